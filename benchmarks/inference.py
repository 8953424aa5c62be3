"""How right the inference is, and what it costs, beside what people use today.

Run ``python benchmarks/inference.py``: it writes ``inference.json``, ``inference.md`` and
``inference.svg`` beside itself. ``--part NAME`` measures one part alone, ``--slice K/N`` the faults whose
number leaves K when it is divided by N; both keep the rest as it is in ``inference.json``. ``--quick``
takes a tenth of the repetitions, to try it out.
"""

from __future__ import annotations

import argparse
import json
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from inference_report import draw, table
from inference_speed import speed
from methods import METHODS, Probe
from scenarios import CONDITIONS, HEAVY, OUTLIERS, SCENARIOS
from simulator import SHAPES, Cluster, Conditions, Fabric, Shape, fabric, named, not_measured, simulate

from clusterboot.diagnose.matrix.infer import infer

_HERE = Path(__file__).parent
# Nodes, noise, and repetitions of each fault on each fabric; other methods than ours run at 64.
_GRIDS = {
    "16, usual": ((16, 0.03, 60, 0.0),),
    "17, usual": ((17, 0.03, 20, 0.0),),
    "16, others": ((16, 0.01, 30, 0.0), (16, 0.05, 20, 0.0), (16, 0.08, 20, 0.0), (16, 0.03, 20, 0.1)),
    "64": ((64, 0.03, 10, 0.0),),
    "256": ((256, 0.03, 1, 0.0),),
}
_LARGEST = 1024
_USUAL = 0.03
_CLEAN = 1000
# Clean fabrics measured visit by visit are smaller: the simulation takes far longer than the inference.
_MOST_DOUBLINGS, _MOST_DOUBLINGS_IN_VISITS = 10, 7
_OURS = tuple(METHODS)[:2]
# The faults that do not change: what a simulation of the largest fabric has time for.
_STEADY = tuple(SCENARIOS)[:12]
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
    parser.add_argument("--slice", default="0/1", help="measure some of a part's faults alone")
    options = parser.parse_args()
    first, step = map(int, options.slice.split("/"))
    share = 0.1 if options.quick else 1.0
    path = _HERE / "inference.json"
    results = json.loads(path.read_text(encoding="utf-8")) if options.part else {"scores": []}
    for part in options.part or PARTS:
        _measure(part, share, tuple(SCENARIOS)[first::step], results)
        path.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    (_HERE / "inference.md").write_text(table(results), encoding="utf-8")
    draw(results, _HERE / "inference.svg")
    print(table(results))


def _measure(part: str, share: float, scenarios: Sequence[str], results: dict[str, Any]) -> None:
    """Measure one part, and put it in the place of what the results have of it."""
    if part == "clean":
        results["clean"] = _clean_fabrics(max(1, int(_CLEAN * share)))
        results["clean_in_visits"] = _clean_in_visits(max(1, int(_CLEAN * share)))
    elif part == "speed":
        results["speed"] = asdict(speed())
    else:
        scores = {_key(row): row for row in results["scores"]}
        scores |= {_key(row): row for row in map(asdict, _scores(part, share, scenarios))}
        results["scores"] = [scores[key] for key in sorted(scores)]


def _key(row: dict[str, Any]) -> tuple[Any, ...]:
    """Order scores by what was simulated, then by fault and method as they are listed."""
    size = (row["nodes"] // 16, row["missing"], row["noise"], row["nodes"])
    fault = (list(SCENARIOS).index(row["scenario"]), SHAPES.index(row["shape"]))
    return (*size, *fault, list(METHODS).index(row["method"]))


def _scores(part: str, share: float, scenarios: Sequence[str]) -> Iterator[Score]:
    if part == "1024":
        yield from _grid(
            _OURS[:1], Grid(_LARGEST, _USUAL, 1), [name for name in scenarios if name in _STEADY]
        )
        return
    for nodes, noise, trials, missing in _GRIDS[part]:
        # The adaptive way is what a link map does unless told otherwise.
        methods = tuple(METHODS) if part == "64" else _OURS if noise == _USUAL and not missing else _OURS[:1]
        yield from _grid(methods, Grid(nodes, noise, max(1, int(trials * share)), missing), scenarios)


def _grid(methods: Sequence[str], grid: Grid, scenarios: Sequence[str] = tuple(SCENARIOS)) -> Iterator[Score]:
    nodes, noise, trials = grid.nodes, grid.noise, grid.trials
    for scenario in scenarios:
        for shape in SHAPES:
            # Rails need whole hosts of four.
            if nodes >= SCENARIOS[scenario][0] and (shape != "rails" or nodes % 4 == 0):
                for method in methods:
                    yield _score(method, Case(scenario, shape, nodes, noise, grid.missing), trials)
        print(f"{nodes} nodes, {noise:.0%} noise, {scenario}", flush=True)


def _score(method: str, case: Case, trials: int) -> Score:
    exact = right = shown = exact_of_shown = 0
    measurements, runs = [], []
    for trial in range(trials):
        kind = zlib.crc32(f"{case.scenario}{case.shape}".encode())
        generator = np.random.default_rng([case.nodes, trial, int(case.noise * 1000), kind])
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


def _clean_fabrics(count: int) -> dict[str, int]:
    """Count the clean fabrics, of 2 to 1,024 nodes and 1% to 8% noise, in which somebody is blamed."""
    blamed = not_ok = 0
    for trial in range(count):
        generator = np.random.default_rng([7, trial])
        nodes = round(2 ** generator.uniform(1, _MOST_DOUBLINGS))
        sound: Fabric = fabric(SHAPES[trial % 3], nodes, generator)
        inference = infer(simulate(sound, (), generator, noise=generator.uniform(0.01, 0.08)))
        blamed += bool(inference.findings)
        not_ok += inference.verdict != "ok"
    print(f"{count} clean fabrics: {blamed} with a finding, {not_ok} not ok", flush=True)
    return {"fabrics": count, "blamed": blamed, "not_ok": not_ok}


def _clean_in_visits(count: int) -> dict[str, int]:
    """Count the same, visit by visit, with calm and heavy-tailed noise, and outliers in turn."""
    blamed = not_ok = 0
    disturbed: tuple[dict[str, float], ...] = ({}, HEAVY, OUTLIERS)
    for trial in range(count):
        generator = np.random.default_rng([8, trial])
        nodes = round(2 ** generator.uniform(1, _MOST_DOUBLINGS_IN_VISITS))
        conditions = Conditions(generator.uniform(0.01, 0.08), **disturbed[trial // 3 % 3])
        probe = Probe(
            Cluster(fabric(SHAPES[trial % 3], nodes, generator), (), generator, conditions), generator
        )
        METHODS[_OURS[0]](probe)
        inference = infer(probe.matrix())
        blamed += bool(inference.findings)
        not_ok += inference.verdict != "ok"
    print(f"{count} clean fabrics in visits: {blamed} with a finding, {not_ok} not ok", flush=True)
    return {"fabrics": count, "blamed": blamed, "not_ok": not_ok}


def _mean(values: list[int]) -> float:
    return round(sum(values) / len(values), 1)


if __name__ == "__main__":
    main()
