"""How right a link map is on a lab of 16 real sshds with real faults, run after run.

    sudo .venv/bin/python benchmarks/linkmap.py [--runs 10] [--only "slow NIC"] [--within 280]

Each run injects one fault with ``lab.break`` at nodes drawn from a generator that is seeded by case
and number, runs ``link-map`` as a user would, holds what it names against what was injected, and
mends it. Each run that ends is written to linkmap.json and linkmap.md beside this file at once, and
none that stands there is run again, so that it can be measured in pieces; ``--fresh`` begins anew.
Where no run is left, two more things are measured: one launch of a whole tournament beside a launch a
round, and the inference for 1,024 nodes.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import shutil
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from random import Random
from typing import Any

from lab_runs import begun, bootstrapped, clusterboot
from linkmap_cost import inference_cost, launch_cost

from clusterboot import lab as labs

HERE = Path(__file__).parent
NODES = 16
# At this rate the links are what limits, not the cores of a small machine.
RATE = "60mbit"
CLEAN_RUNS = 20

# Kind, hosts, where, direction; a link's direction as "n1->n2" where it is one.
Named = tuple[str, tuple[str, ...], str | None, str]


@dataclass(frozen=True)
class Injected:
    """What a run injects, as ``lab.break`` takes it, and what has to be named then."""

    faults: tuple[tuple[str, str], ...] = ()
    named: frozenset[Named] = frozenset()
    words: tuple[str, ...] = ()


@dataclass(frozen=True)
class Run:
    """One run: what was injected and what was named, whether that is exact, and the time it took."""

    case: str
    number: int
    faults: list[str]
    told: list[list[Any]]
    exact: bool
    time_s: float
    launches: int
    shared: bool
    notes: list[str] = field(default_factory=list)


def _node(kind: str, direction: str) -> Callable[[Random], Injected]:
    def draw(random: Random) -> Injected:
        name = random.choice(_names())
        return Injected(((name, kind),), frozenset({("node", (name,), None, direction)}))

    return draw


def _pair(kind: str, direction: str = "both") -> Callable[[Random], Injected]:
    def draw(random: Random) -> Injected:
        one, other = random.sample(_names(), 2)
        way = f"{one}->{other}" if direction == "out" else "both"
        return Injected(
            ((one, f"{kind}:{other}"),), frozenset({("link", tuple(sorted((one, other))), None, way)})
        )

    return draw


def _group(random: Random) -> Injected:
    first, *others = random.sample(_names(), 4)
    members = tuple(sorted((first, *others)))
    return Injected(
        ((first, f"slow-group:{','.join(others)}"),), frozenset({("group", members, "across", "both")})
    )


def _two(random: Random) -> Injected:
    pair = random.sample(_names(), 2)
    return Injected(
        tuple((name, "slow-nic") for name in pair),
        frozenset(("node", (name,), None, "both") for name in pair),
    )


def _odd(random: Random) -> Injected:
    name = random.choice(_names()[:-1])
    return Injected(
        ((name, "slow-nic"),), frozenset({("node", (name,), None, "both")}), ("--exclude", f"n{NODES}")
    )


def _shared(random: Random) -> Injected:
    name = random.choice(_names())
    faults = (("switch", "shared-switch"), (name, "slow-nic"))
    return Injected(faults, frozenset({("node", (name,), None, "both")}))


CASES: dict[str, Callable[[Random], Injected]] = {
    "nothing": lambda _: Injected(),
    "slow NIC": _node("slow-nic", "both"),
    "slow outbound only": _node("slow-out", "out"),
    "slow inbound only": _node("slow-in", "in"),
    "one slow pair": _pair("slow-pair"),
    "one slow pair, one way": _pair("slow-to", "out"),
    "dead pair": _pair("dead-pair"),
    "dead pair, dropped in silence": _pair("dropped-pair"),
    "slow group": _group,
    "two slow nodes": _two,
    "odd number of nodes, slow NIC": _odd,
    "slow NIC behind a shared switch": _shared,
}


def _names() -> list[str]:
    return [f"n{number}" for number in range(1, NODES + 1)]


def main() -> None:
    """Measure what is not measured yet, and write the results."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=10, help="runs of each fault; twice as many of none")
    parser.add_argument("--only", action="append", help="only this case; can be repeated")
    parser.add_argument("--mode", default="adaptive")
    parser.add_argument(
        "--cost", action="store_true", help="no runs: only what a launch and the inference cost"
    )
    parser.add_argument("--within", type=float, default=math.inf, help="begin no run that ends after SECONDS")
    parser.add_argument("--keep", type=Path, help="put the results of runs that are not exact in this folder")
    parser.add_argument("--fresh", action="store_true", help="forget the runs that were made before")
    asked = parser.parse_args()
    end_s = time.monotonic() + asked.within
    kind = {"nodes": NODES, "rate": RATE, "mode": asked.mode}
    results = begun(HERE / "linkmap.json", kind, fresh=asked.fresh)
    for further in ("launch", "inference"):
        results.setdefault(further, None)
    cases = [] if asked.cost else asked.only or list(CASES)
    wanted = [
        (case, number)
        for number in range(2 * asked.runs)
        for case in cases
        if number < (2 * asked.runs if case == "nothing" else asked.runs)
        and not any((run["case"], run["number"]) == (case, number) for run in results["runs"])
    ]
    with tempfile.TemporaryDirectory() as folder, bootstrapped(Path(folder), NODES, RATE) as lab:
        longest_s = max((run["time_s"] for run in results["runs"]), default=30.0)
        for case, number in wanted:
            if time.monotonic() + longest_s > end_s:
                return
            run = _run(lab, Path(folder), (case, number), asked.mode, asked.keep)
            longest_s = max(longest_s, run.time_s)
            results["runs"].append(asdict(run))
            _write(results)
        if asked.cost or not asked.only:
            clusterboot(Path(folder), "link-map", "--cluster", str(lab.cluster_file))
            results["launch"] = launch_cost(lab)
            results["inference"] = inference_cost()
            _write(results)


def _write(results: dict[str, Any]) -> None:
    (HERE / "linkmap.json").write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    (HERE / "linkmap.md").write_text(_table(results), encoding="utf-8")


def _run(lab: labs.Lab, folder: Path, which: tuple[str, int], mode: str, keep: Path | None) -> Run:
    case, number = which
    injected = CASES[case](Random(f"{case} {number}"))  # noqa: S311
    for node, fault in injected.faults:
        labs.break_node(lab.name, node, fault)
    try:
        run = _one(lab, folder, which, injected, mode)
    finally:
        for node, _ in injected.faults:
            labs.mend(lab.name, node)
    if keep is not None and not run.exact:
        newest = max(folder.glob("results/*/*-link-map"))
        shutil.copytree(newest, keep / f"{case} {number}", dirs_exist_ok=True)
    print(f"{case} {number + 1}: {'exact' if run.exact else run}", f"{run.time_s:.0f} s", flush=True)
    return run


def _one(lab: labs.Lab, folder: Path, which: tuple[str, int], injected: Injected, mode: str) -> Run:
    words = ("link-map", "--cluster", str(lab.cluster_file), "--mode", mode, *injected.words)
    before = time.monotonic()
    said = json.loads(clusterboot(folder, *words, "--json"))
    time_s = round(time.monotonic() - before, 1)
    told = frozenset(map(_named, said["findings"]))
    return Run(
        *which,
        [f"{node} {fault}" for node, fault in injected.faults],
        [list(each) for each in sorted(told, key=str)],
        told == injected.named,
        time_s,
        said["launches"],
        said["crowd"] is not None,
        [] if told == injected.named else said["notes"],
    )


def _named(finding: dict[str, Any]) -> Named:
    """Give a finding in the form that it is held against; "one of these" is never exact."""
    hosts, direction = finding["hosts"], finding["direction"]
    if finding["next_pairs"]:
        direction = "open"
    elif finding["kind"] == "link" and direction != "both":
        direction = "->".join(hosts if direction == "out" else hosts[::-1])
    return (finding["kind"], tuple(sorted(hosts)), finding.get("where"), direction)


def _table(results: dict[str, Any]) -> str:
    runs, launch, inference = results["runs"], results["launch"], results["inference"]
    lines = [
        "# Link map: what it names on a real lab",
        "",
        "Made by `benchmarks/linkmap.py`: a lab of "
        f"{results['nodes']} nodes with {results['rate']} links on {os.cpu_count()} cores, "
        f"`link-map --mode {results['mode']}`. Exact means: the injected fault is named with kind, hosts",
        "and direction, and nothing else is. Faults are drawn at random, a tenth of the rate or dead.",
        "",
        "| fault | exact | seconds a run, median |",
        "| --- | --: | --: |",
    ]
    for case in dict.fromkeys(run["case"] for run in runs):
        mine = [run for run in runs if run["case"] == case]
        times = sorted(run["time_s"] for run in mine)
        exact = sum(run["exact"] for run in mine)
        lines.append(f"| {case} | {exact} of {len(mine)} | {times[len(times) // 2]:.0f} |")
    missed = [run for run in runs if not run["exact"]]
    if missed:
        lines += ["", "Every run that was not exact:", ""]
    for run in missed:
        told = "; ".join(" ".join(map(str, each)) for each in run["told"]) or "nothing"
        lines.append(
            f"- {run['case']} {run['number'] + 1} ({', '.join(run['faults']) or 'no fault'}): {told}"
        )
    lines.append("")
    for plan, cost in (launch or {}).items():
        one_s, each_s = cost["one_launch_s"], cost["launch_a_round_s"]
        lines.append(
            f"- every pair of {results['nodes']} nodes, {cost['rounds']} rounds of a `{plan}` map with "
            f"{cost['pair_s']} s a pair: {one_s} s in one launch, {each_s} s with one `mpirun` a round: "
            f"{one_s / each_s:.2f} of it"
        )
    if inference:
        lines.append(
            f"- inference for a full matrix of 1,024 nodes: {inference['slowest_s']} s at most, "
            f"{inference['peak_mib']:.0f} MiB"
        )
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
