"""How right the inference is, and what it costs, beside what people use today.

Run ``python benchmarks/inference.py``: it writes ``inference.json``, ``inference.md`` and
``inference.svg`` beside itself. ``--jobs N`` measures with so many processes. ``--seed N`` draws other
fabrics, faults and noise: the published table's are none that the inference was looked at with while
it was written. ``--part NAME`` measures one part alone and keeps the rest as it is in ``inference.json``;
``--quick`` takes a tenth of the repetitions; both are to try it out.
"""

from __future__ import annotations

import argparse
import json
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from inference_report import draw, table
from inference_speed import speed
from methods import METHODS, Probe
from scenarios import CONDITIONS, HEAVY, HIGH, OUTLIERS, SCENARIOS, STEADY
from simulator import SHAPES, Cluster, Conditions, Fabric, Shape, fabric, named, not_measured, simulate

from clusterboot.linkmap.doubt import find_doubts, without
from clusterboot.linkmap.inference.infer import infer

_HERE = Path(__file__).parent
# Nodes, noise, and repetitions of each fault on each fabric; other methods than ours run at 64, and of 256
# nodes, whose simulation takes long, there is the full way alone.
_GRIDS = {
    "16, usual": ((16, 0.03, 16, 0.0),),
    "17, usual": ((17, 0.03, 6, 0.0),),
    "16, others": ((16, 0.01, 2, 0.0), (16, 0.05, 2, 0.0), (16, 0.08, 2, 0.0), (16, 0.03, 2, 0.1)),
    "64": ((64, 0.03, 1, 0.0),),
    "256": ((256, 0.03, 1, 0.0),),
}
_LARGEST = 1024
_USUAL = 0.03
_CLEAN = 1000
_CLEAN_LARGE = 250
_CLEAN_A_JOB = 25
# No seed that anything was mended with: those were 0 to 99.
_SEED = 2718
# Clean fabrics measured visit by visit are smaller: the simulation takes far longer than the inference.
_MOST_DOUBLINGS, _MOST_DOUBLINGS_IN_VISITS = 10, 7
_OURS = tuple(METHODS)[:2]
PARTS = (*_GRIDS, "1024", "clean", "speed")


@dataclass(frozen=True)
class Grid:
    """All faults on all fabrics of a size: with how much noise, how much missing, and how often."""

    nodes: int
    noise: float
    trials: int
    missing: float = 0.0


@dataclass(frozen=True)
class Case:
    """What is simulated again and again."""

    scenario: str
    shape: Shape
    nodes: int
    noise: float
    missing: float


@dataclass(frozen=True)
class Score:
    """How often one method was right about one kind of fault, and what it measured.

    ``shown`` is in how many trials all faults were there when they were visited.
    """

    method: str
    scenario: str
    shape: str
    nodes: int
    noise: float
    missing: float
    trials: int
    exact: int
    hosts_right: int
    shown: int
    exact_of_shown: int
    measurements: float
    runs: float


def main() -> None:
    """Measure, and write the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a tenth of the repetitions")
    parser.add_argument("--part", action="append", choices=PARTS, help="measure this part alone")
    parser.add_argument("--jobs", type=int, default=1, help="processes that measure side by side")
    parser.add_argument("--seed", type=int, default=_SEED, help="draw other fabrics, faults and noise")
    options = parser.parse_args()
    share = 0.1 if options.quick else 1.0
    path = _HERE / "inference.json"
    results = json.loads(path.read_text(encoding="utf-8")) if options.part else {"scores": []}
    results["seed"] = options.seed
    with ProcessPoolExecutor(options.jobs) as pool:
        for part in options.part or PARTS:
            for _ in _measure(part, share, options.seed, pool, results):
                path.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    (_HERE / "inference.md").write_text(table(results), encoding="utf-8")
    draw(results, _HERE / "inference.svg")
    print(table(results))


def _measure(part: str, share: float, seed: int, pool: Executor, results: dict[str, Any]) -> Iterator[None]:
    """Measure a part, and go on whenever there is something new to be kept."""
    if part == "clean":
        results["clean_in_visits"] = _together(pool, _clean_in_visits, seed, round(_CLEAN * share))
        results["clean"] = _together(pool, _clean_fabrics, seed, round(_CLEAN_LARGE * share))
        yield
    elif part == "speed":
        results["speed"] = asdict(speed())
        yield
    else:
        scores = {_key(row): row for row in results["scores"]}
        jobs = [pool.submit(_score, *each, seed) for each in _rows(part, share)]
        for number, job in enumerate(as_completed(jobs), 1):
            row = asdict(job.result())
            scores[_key(row)] = row
            told = f"{row['nodes']} nodes, {row['noise']:.0%} noise, {row['scenario']}, {row['shape']}"
            exact = f"{row['exact']} of {row['trials']}"
            print(f"{part}: {number} of {len(jobs)}: {told}, {row['method']}: {exact}", flush=True)
            results["scores"] = [scores[key] for key in sorted(scores)]
            yield


def _key(row: dict[str, Any]) -> tuple[Any, ...]:
    """Order scores by what was simulated, then by fault and method as they are listed."""
    size = (row["nodes"] // 16, row["missing"], row["noise"], row["nodes"])
    fault = (list(SCENARIOS).index(row["scenario"]), SHAPES.index(row["shape"]))
    return (*size, *fault, list(METHODS).index(row["method"]))


def _rows(part: str, share: float) -> Iterable[tuple[str, Case, int]]:
    """List what is to be measured for a part: with which method, what, and how often."""
    if part == "1024":
        # Each takes many seconds: every fault once, on the fabrics in turn.
        for at, scenario in enumerate(STEADY):
            yield _OURS[0], Case(scenario, SHAPES[at % len(SHAPES)], _LARGEST, _USUAL, 0.0), 1
        return
    for nodes, noise, trials, missing in _GRIDS[part]:
        # The adaptive way is what a link map does unless told otherwise.
        adaptive_too = noise == _USUAL and not missing and part != "256"
        methods = tuple(METHODS) if part == "64" else _OURS if adaptive_too else _OURS[:1]
        yield from _grid(methods, Grid(nodes, noise, max(1, int(trials * share)), missing))


def _grid(methods: Sequence[str], grid: Grid) -> Iterable[tuple[str, Case, int]]:
    for scenario in SCENARIOS:
        for shape in SHAPES:
            # Rails need whole hosts of four.
            if grid.nodes >= SCENARIOS[scenario][0] and (shape != "rails" or grid.nodes % 4 == 0):
                case = Case(scenario, shape, grid.nodes, grid.noise, grid.missing)
                yield from ((method, case, grid.trials) for method in methods)


def _score(method: str, case: Case, trials: int, seed: int) -> Score:
    exact = right = shown = exact_of_shown = 0
    measurements, runs = [], []
    for trial in range(trials):
        kind = zlib.crc32(f"{case.scenario}{case.shape}".encode())
        generator = np.random.default_rng([seed, case.nodes, trial, int(case.noise * 1000), kind])
        sound = fabric(case.shape, case.nodes, generator)
        faults = SCENARIOS[case.scenario][1](sound, generator)
        conditions = Conditions(case.noise, **CONDITIONS.get(case.scenario, {}))
        cluster = Cluster(sound, faults, generator, conditions)
        left_out = not_measured(case.nodes, faults, case.missing, generator)
        probe = Probe(cluster, generator, left_out)
        told, truth = METHODS[method](probe), named(faults, probe.nodes)
        exact += told == truth
        shown += cluster.has_shown_all
        exact_of_shown += cluster.has_shown_all and told == truth
        right += {each[:2] for each in told} == {each[:2] for each in truth}
        measurements.append(probe.measurements)
        runs.append(probe.runs)
    return Score(
        method,
        **asdict(case),
        trials=trials,
        exact=exact,
        hosts_right=right,
        shown=shown,
        exact_of_shown=exact_of_shown,
        measurements=_mean(measurements),
        runs=_mean(runs),
    )


def _together(
    pool: Executor, count_in: Callable[[int, range], tuple[int, int]], seed: int, count: int
) -> dict[str, int]:
    """Count over so many fabrics, a few a job."""
    parts = [range(at, min(at + _CLEAN_A_JOB, count)) for at in range(0, count, _CLEAN_A_JOB)]
    counts = list(pool.map(count_in, [seed] * len(parts), parts))
    blamed, not_ok = (sum(each) for each in zip(*counts, strict=True))
    print(f"{count} clean fabrics: {blamed} with a finding, {not_ok} not ok", flush=True)
    return {"fabrics": count, "blamed": blamed, "not_ok": not_ok}


def _clean_fabrics(seed: int, trials: range) -> tuple[int, int]:
    """Count the clean fabrics, of 2 to 1,024 nodes and 1% to 8% noise, with somebody blamed, and not ok."""
    blamed = not_ok = 0
    for trial in trials:
        generator = np.random.default_rng([seed, 7, trial])
        nodes = round(2 ** generator.uniform(1, _MOST_DOUBLINGS))
        sound: Fabric = fabric(SHAPES[trial % 3], nodes, generator)
        inference = infer(simulate(sound, (), generator, noise=generator.uniform(0.01, 0.08)))
        blamed += bool(inference.findings)
        not_ok += inference.verdict != "ok"
    return blamed, not_ok


def _clean_in_visits(seed: int, trials: range) -> tuple[int, int]:
    """Count the same, visit by visit, with calm and heavy-tailed noise, outliers and high figures in turn."""
    blamed = not_ok = 0
    disturbed: tuple[dict[str, float], ...] = ({}, HEAVY, OUTLIERS, HIGH)
    for trial in trials:
        generator = np.random.default_rng([seed, 8, trial])
        nodes = round(2 ** generator.uniform(1, _MOST_DOUBLINGS_IN_VISITS))
        conditions = Conditions(generator.uniform(0.01, 0.08), **disturbed[trial // 3 % 4])
        sound = fabric(SHAPES[trial % 3], nodes, generator)
        probe = Probe(Cluster(sound, (), generator, conditions), generator)
        METHODS[_OURS[0]](probe)
        matrix = probe.matrix()
        doubts = find_doubts(matrix)
        inference = infer(without(matrix, doubts))
        blamed += bool(inference.findings)
        not_ok += bool(doubts) or inference.verdict != "ok"
    return blamed, not_ok


def _mean(values: list[int]) -> float:
    return round(sum(values) / len(values), 1)


if __name__ == "__main__":
    main()
