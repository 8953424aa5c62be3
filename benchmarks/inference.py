"""How right the inference is, and what it costs, beside what people use today.

Run ``python benchmarks/inference.py``: it writes ``inference.json``, ``inference.md`` and
``inference.svg`` beside itself. ``--quick`` takes a tenth of the repetitions, to try it out.
"""

from __future__ import annotations

import argparse
import json
import zlib
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from inference_report import draw, table
from inference_speed import speed
from methods import METHODS, Probe
from scenarios import CONDITIONS, SCENARIOS
from simulator import SHAPES, Cluster, Conditions, Fabric, Shape, fabric, named, not_measured, simulate

from clusterboot.diagnose.matrix.infer import infer

_HERE = Path(__file__).parent
# Nodes, noise, and repetitions of each fault on each fabric; other methods than ours run at 64.
_FULL = ((16, 0.01, 100), (16, 0.03, 100), (17, 0.03, 50), (16, 0.05, 50), (16, 0.08, 50))
_LARGE = ((64, 0.03, 20), (256, 0.03, 5))
_USUAL = 0.03
_CLEAN = 1000


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
    """How often one method was right about one kind of fault, and what it measured."""

    method: str
    scenario: str
    shape: str
    nodes: int
    noise: float
    missing: float
    trials: int
    exact: int
    hosts_right: int
    measurements: float
    runs: float


def main() -> None:
    """Measure, and write the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a tenth of the repetitions")
    share = 0.1 if parser.parse_args().quick else 1.0
    scores = list(_scores(share))
    clean = _clean_fabrics(max(1, int(_CLEAN * share)))
    slowest_s, peak_mib = speed()
    results = {
        "scores": [asdict(score) for score in scores],
        "clean": clean,
        "speed": {"slowest_s": round(slowest_s, 2), "peak_mib": peak_mib},
    }
    (_HERE / "inference.json").write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    (_HERE / "inference.md").write_text(table(results), encoding="utf-8")
    draw(results, _HERE / "inference.svg")
    print(table(results))


def _scores(share: float) -> Iterator[Score]:
    ours = ("clusterboot, full",)
    for nodes, noise, trials in _FULL:
        # The adaptive way is what a link map does unless told otherwise.
        methods = tuple(METHODS)[:2] if noise == _USUAL else ours
        yield from _grid(methods, nodes, noise, 0.0, max(1, int(trials * share)))
    yield from _grid(ours, 16, 0.03, 0.1, max(1, int(50 * share)))
    for nodes, noise, trials in _LARGE:
        methods = tuple(METHODS) if nodes == 64 else tuple(METHODS)[:2]
        yield from _grid(methods, nodes, noise, 0.0, max(1, int(trials * share)))
    yield from _grid(ours, 1024, 0.03, 0.0, max(1, int(2 * share)))


def _grid(methods: tuple[str, ...], nodes: int, noise: float, missing: float, trials: int) -> Iterator[Score]:
    for scenario in SCENARIOS:
        for shape in SHAPES:
            # Rails need whole hosts of four.
            if nodes >= SCENARIOS[scenario][0] and (shape != "rails" or nodes % 4 == 0):
                for method in methods:
                    yield _score(method, Case(scenario, shape, nodes, noise, missing), trials)
        print(f"{nodes} nodes, {noise:.0%} noise, {scenario}", flush=True)


def _score(method: str, case: Case, trials: int) -> Score:
    exact = right = 0
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
        right += {each[:2] for each in told} == {each[:2] for each in truth}
        measurements.append(probe.measurements)
        runs.append(probe.runs)
    return Score(
        method,
        **asdict(case),
        trials=trials,
        exact=exact,
        hosts_right=right,
        measurements=_mean(measurements),
        runs=_mean(runs),
    )


def _clean_fabrics(count: int) -> dict[str, int]:
    """Count the clean fabrics, of 2 to 1,024 nodes and 1% to 8% noise, in which somebody is blamed."""
    blamed = not_ok = 0
    for trial in range(count):
        generator = np.random.default_rng([7, trial])
        nodes = round(2 ** generator.uniform(1, 10))
        sound: Fabric = fabric(SHAPES[trial % 3], nodes, generator)
        inference = infer(simulate(sound, (), generator, noise=generator.uniform(0.01, 0.08)))
        blamed += bool(inference.findings)
        not_ok += inference.verdict != "ok"
    print(f"{count} clean fabrics: {blamed} with a finding, {not_ok} not ok", flush=True)
    return {"fabrics": count, "blamed": blamed, "not_ok": not_ok}


def _mean(values: list[int]) -> float:
    return round(sum(values) / len(values), 1)


if __name__ == "__main__":
    main()
