"""Sick links in a lab of 8 real nodes: what link-map measures and names, beside what iperf3 measures.

    sudo .venv/bin/python benchmarks/sicklinks.py [--runs 10] [--only "10% lost, in"] [--within 170]
    sudo .venv/bin/python benchmarks/sicklinks.py --iperf-anew [--only "10% lost, in"]

Each run makes one node of the lab sick with ``lab.break``, runs ``link-map`` as a user would, then
iperf3 between that node and another one, each direction by itself, and mends the node. The node is drawn
from a generator that is seeded by case and number. Each run that ends is written to sicklinks.json and
sicklinks.md beside this file at once, and none that stands there is run again, so that it can be measured
in pieces; ``--fresh`` begins anew. What ``made`` has in sicklinks.json, lines that say in which pieces,
stands in the report. Nothing else may run on the machine meanwhile.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from random import Random
from statistics import median
from typing import Any

from lab_runs import begun, bootstrapped, clusterboot

from clusterboot import lab as labs
from clusterboot.lab.enter import enter_argv

HERE = Path(__file__).parent
NODES = 8
RATE = "300mbit"
LINE_GB_S = 0.0375
# How many seconds of iperf3 count in one direction: whole turns of what flaps, so that it does not matter
# where they begin, and many of TCP's waits for what is lost.
IPERF_S = 8
# What iperf3 sends beyond that: the second in which the first data arrives, and the last one, are not whole.
MARGIN_S = 2
PATIENCE_S = 90
# Below this share of what a clean link gives, a direction is a bad one.
BAD = 0.8
WITHIN = 0.1
# Where iperf3 itself gets less of the line than this, its figure is chance.
CHANCE = 0.2
MOST_OVER_LINE = 1.05


@dataclass(frozen=True)
class Case:
    """What is made, as ``lab.break`` takes it, and the direction that has to be named, if one has."""

    fault: str | None
    named: str | None = None
    iperf_s: int = IPERF_S


CASES = {
    "nothing": Case(None),
    "0.1% lost, in": Case("lossy-in:0.1"),
    "0.1% lost, both": Case("lossy:0.1"),
    "1% lost, in": Case("lossy-in:1"),
    "1% lost, both": Case("lossy:1"),
    "4% lost, in": Case("lossy-in:4", "in"),
    "4% lost, both": Case("lossy:4", "both"),
    "10% lost, in": Case("lossy-in:10", "in"),
    "10% lost, both": Case("lossy:10", "both"),
    "25% lost, in": Case("lossy-in:25", "in"),
    "25% lost, both": Case("lossy:25", "both"),
    "flapping, 0.3 s": Case("flapping:0.3", "both", 9),
    "flapping, 0.5 s": Case("flapping", "both"),
    "flapping, 2 s": Case("flapping:2", "both"),
    "bursty": Case("bursty", "both"),
    "starved": Case("starved"),
}


# What is promised; the others follow as far as the time goes.
FIRST = {
    *("nothing", "4% lost, both", "10% lost, in", "25% lost, in", "bursty"),
    *("flapping, 0.3 s", "flapping, 0.5 s", "flapping, 2 s"),
}


@dataclass(frozen=True)
class Run:
    """One run. ``in`` and ``out`` are as the sick node sees them, figures in 10^9 bytes a second.

    ``exact`` is ``None`` where it is not laid down what has to be named.
    """

    case: str
    number: int
    node: str
    partner: str
    iperf_gb_s: dict[str, float]
    ours_gb_s: dict[str, float | None]
    told: list[str]
    exact: bool | None
    verdict: str
    highest_over_line: float
    map_s: float
    time_s: float


def main() -> None:
    """Measure what is not measured yet, and write the results."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=10, help="runs of each fault; twice as many of none")
    parser.add_argument("--only", action="append", help="only this case; can be repeated")
    parser.add_argument("--within", type=float, default=math.inf, help="begin no run that ends after SECONDS")
    parser.add_argument("--keep", type=Path, help="put the results of runs that are not exact in this folder")
    parser.add_argument(
        "--iperf-anew", action="store_true", help="measure with iperf3 alone the runs that stand there"
    )
    parser.add_argument("--fresh", action="store_true", help="forget the runs that were made before")
    asked = parser.parse_args()
    if not shutil.which("iperf3"):
        parser.error("iperf3 is not installed: it is what link-map's figures are held against")
    end_s = time.monotonic() + asked.within
    results = begun(HERE / "sicklinks.json", {"nodes": NODES, "rate": RATE}, fresh=asked.fresh)
    made = {(run["case"], run["number"]) for run in results["runs"]}
    wanted = [
        (case, number)
        for is_first in (True, False)
        for number in range(2 * asked.runs)
        for case in asked.only or CASES
        if number < asked.runs * (1 if CASES[case].fault else 2)
        and is_first == (case in FIRST)
        and (case, number) not in made
    ]
    usual_s = median(run["time_s"] for run in results["runs"]) if results["runs"] else 25.0
    longest_s = max((run["time_s"] for run in results["runs"]), default=25.0)
    if not asked.iperf_anew:
        print(f"{len(wanted)} runs to make: about {len(wanted) * usual_s / 60:.0f} minutes", flush=True)
    with tempfile.TemporaryDirectory() as folder, bootstrapped(Path(folder), NODES, RATE) as lab:
        for run in results["runs"] if asked.iperf_anew else []:
            if run["case"] in (asked.only or CASES) and not run.get("iperf_anew"):
                _anew(lab, run)
                _write(results)
                print(f"{run['case']} {run['number'] + 1}: {_in_words(run)}", flush=True)
        for case, number in [] if asked.iperf_anew else wanted:
            if time.monotonic() + longest_s > end_s:
                return
            run = asdict(_run(lab, Path(folder), case, number, asked.keep))
            longest_s = max(longest_s, run["time_s"])
            results["runs"].append(run)
            _write(results)
            print(f"{case} {number + 1}: {_in_words(run)}", flush=True)


def _run(lab: labs.Lab, folder: Path, case: str, number: int, keep: Path | None) -> Run:
    random = Random(f"{case} {number}")  # noqa: S311
    node = random.choice([each.name for each in lab.nodes])
    wanted = CASES[case]
    began_s = time.monotonic()
    if wanted.fault:
        labs.break_node(lab.name, node, wanted.fault)
    try:
        said = json.loads(clusterboot(folder, "link-map", "--cluster", str(lab.cluster_file), "--json"))
        map_s = time.monotonic() - began_s
        told = [_named(each) for each in said["findings"]]
        told += [f"{host['name']} {host['status']}" for host in said["hosts"] if host["status"] != "ok"]
        rates = said.get("one_way_gb_s") or said["bandwidth_gb_s"]
        at = said["nodes"].index(node)
        both_known = [
            there
            for there in range(NODES)
            if there != at and rates[at][there] is not None and rates[there][at] is not None
        ]
        partner = random.choice(both_known or [there for there in range(NODES) if there != at])
        if told and both_known:  # link-map measured one of its pairs at length, to say what it sustains
            partner = max(both_known, key=lambda there: (said["segments"][at][there] or {"sent": 0})["sent"])
        other = said["nodes"][partner]
        iperf = _both_ways(lab, node, other, wanted.iperf_s)
    finally:
        labs.mend(lab.name, node)
    exact = None if wanted.fault else not told
    if wanted.named:
        exact = told == [f"node {node} {wanted.named}"]
    if keep is not None and exact is False:
        newest = max(folder.glob("results/*/*-link-map"))
        shutil.copytree(newest, keep / f"{case} {number}", dirs_exist_ok=True)
    return Run(
        case=case,
        number=number,
        node=node,
        partner=other,
        iperf_gb_s=iperf,
        ours_gb_s={"out": rates[at][partner], "in": rates[partner][at]},
        told=told,
        exact=exact,
        verdict=said["verdict"],
        highest_over_line=round(_highest(said) / LINE_GB_S, 3),
        map_s=round(map_s, 1),
        time_s=round(time.monotonic() - began_s, 1),
    )


def _anew(lab: labs.Lab, run: dict[str, Any]) -> None:
    """Measure with iperf3 alone what a run has measured, between the same two nodes."""
    case = CASES[run["case"]]
    if case.fault:
        labs.break_node(lab.name, run["node"], case.fault)
    try:
        run["iperf_gb_s"] = _both_ways(lab, run["node"], run["partner"], case.iperf_s)
    finally:
        labs.mend(lab.name, run["node"])
    run["iperf_anew"] = True


def _both_ways(lab: labs.Lab, node: str, other: str, time_s: int) -> dict[str, float]:
    return {"out": _iperf(lab, node, other, time_s), "in": _iperf(lab, other, node, time_s)}


def _iperf(lab: labs.Lab, sender: str, receiver: str, time_s: int) -> float:
    """Send with iperf3: 10^9 bytes a second as the receiver has them, over some whole seconds.

    The receiver's own seconds count, from the one after that in which the first data arrived. iperf3's sum
    is over the time between two messages of its other connection, and where a link loses those, too, TCP's
    waits for them (0.2 s and more) are in that time.
    """
    target = next(each for each in lab.nodes if each.name == receiver)
    # Below a shell, as anything that a user starts there: what is starved on a node is so, too.
    with subprocess.Popen(
        _inside(lab, receiver, "iperf3 -s -1 -i 1 -J; :"), stdout=subprocess.PIPE, text=True
    ) as server:
        try:
            _client(lab, sender, f"iperf3 -c {target.address} -t {time_s + MARGIN_S} -J; :")
        except SystemExit:
            server.kill()  # it would wait for a client for ever; what runs in the lab ends with it
            raise
        assert server.stdout  # noqa: S101 - it was opened with a pipe
        said = json.loads(server.stdout.read())
    return _settled_gb_s([each["sum"] for each in said["intervals"]], time_s)


def _client(lab: labs.Lab, sender: str, script: str) -> None:
    """Run iperf3's client, again while its server does not listen yet."""
    end_s = time.monotonic() + PATIENCE_S
    while True:
        done = subprocess.run(
            _inside(lab, sender, script), stdout=subprocess.PIPE, text=True, check=False, timeout=PATIENCE_S
        )
        error = json.loads(done.stdout).get("error", "")
        if not error:
            return
        if "refused" not in error or time.monotonic() > end_s:
            raise SystemExit(f"iperf3 on {sender}: {error}")


def _settled_gb_s(seconds: Sequence[dict[str, Any]], time_s: int) -> float:
    """Give the mean rate of so many of iperf3's seconds, or of what there is of them."""
    first = next((at for at, second in enumerate(seconds) if second["bytes"]), len(seconds))
    counted = seconds[first + 1 : first + 1 + time_s]
    took_s = sum(second["seconds"] for second in counted)
    return sum(second["bytes"] for second in counted) / took_s / 1e9 if took_s else 0.0


def _inside(lab: labs.Lab, node: str, script: str) -> list[str]:
    (init,) = (each.init for each in lab.nodes if each.name == node and each.init)
    return enter_argv(init, ["sh", "-c", script])


def _highest(said: dict[str, Any]) -> float:
    """Give the largest rate that stands anywhere in a result, single samples and all."""
    tables = [said[key] for key in ("bandwidth_gb_s", "one_way_gb_s", "both_gb_s") if said.get(key)]
    rates = [float(rate) for table in tables for row in table for rate in row if rate is not None]
    samples = [cell for row in said.get("samples") or [] for cell in row if cell]
    return max(0.0, *rates, *(float(cell["max_gb_s"]) for cell in samples))


def _named(finding: dict[str, Any]) -> str:
    """Give a finding in the form that it is held against; "one of these" is never exact."""
    direction = "open" if finding["next_pairs"] else finding["direction"]
    return f"{finding['kind']} {'-'.join(finding['hosts'])} {direction}"


def _in_words(run: dict[str, Any]) -> str:
    pair = ", ".join(
        f"{way} {ours / iperf:.2f} of iperf3's {iperf:.4f}"
        if ours is not None and iperf
        else f"{way} not measured"
        for way, iperf in run["iperf_gb_s"].items()
        for ours in (run["ours_gb_s"][way],)
    )
    told = "; ".join(run["told"]) or "nothing"
    wrong = f"NOT EXACT ({run['node']} {CASES[run['case']].fault})"
    mark = {True: "exact", False: wrong, None: "-"}[run["exact"]]
    return (
        f"{mark}: {told}; {pair}; at most {run['highest_over_line']:.2f} of the line; {run['time_s']:.0f} s"
    )


def _write(results: dict[str, Any]) -> None:
    runs = "[\n" + ",\n".join(f"  {json.dumps(run)}" for run in results["runs"]) + "\n ]"
    head = {key: value for key, value in results.items() if key != "runs"}
    text = json.dumps(head)[:-1] + f',\n "runs": {runs}}}\n'
    (HERE / "sicklinks.json").write_text(text, encoding="utf-8")
    (HERE / "sicklinks.md").write_text(_tables(results), encoding="utf-8")


def _tables(results: dict[str, Any]) -> str:
    runs = results["runs"]
    lines = [
        "# Sick links: what link-map measures and names, beside iperf3",
        "",
        f"Made by `benchmarks/sicklinks.py`: a lab of {results['nodes']} nodes with {results['rate']} links",
        f"({LINE_GB_S} GB/s) on {os.cpu_count()} cores. One node is sick; `link-map` maps all, and `iperf3`",
        "sends for some seconds between that node and another one, each direction by itself. Where link-map",
        "names the node that other one is the one with which it then measured at length.",
        "",
        f"Of iperf3 {IPERF_S} of the receiver's whole seconds count (9 where what flaps takes 0.6 s a turn),",
        "from the one after that in which its first data arrives: whole turns of what flaps.",
        "",
        *(line for line in (*results.get("made", ()), "") if results.get("made")),
        "## The figures of one pair",
        "",
        "Median, least and most of the runs, in GB/s. **Within 10%** is asked where iperf3 has more than",
        f"{CHANCE:.0%} of the line; **same side** is whether both or neither are below {BAD:.0%} of what",
        "they give without a fault.",
        "",
        "| fault of the node | way | runs | iperf3 | link-map | link-map / iperf3 | within 10% | same side |",
        "| --- | --- | --: | --: | --: | --: | --- | --- |",
    ]
    clean = _of(runs, "nothing")
    for case in CASES:
        mine = _of(runs, case)
        lines += [_row(case, way, mine, clean) for way in ("in", "out") if mine]
    lines += [
        "",
        "## What is named",
        "",
        "**Named right** is the sick node alone, with the direction that was made sick; where none is asked",
        "for, nothing need be. **Highest** is the largest rate in any result, over the line's: at most",
        f"{MOST_OVER_LINE}.",
        "",
        "| fault of the node | named right | highest | met | seconds a map, median | what was named |",
        "| --- | --: | --: | --- | --: | --- |",
        *(_named_row(case, mine) for case in CASES if (mine := _of(runs, case))),
    ]
    return "\n".join(lines) + "\n"


def _of(runs: Sequence[dict[str, Any]], case: str) -> list[dict[str, Any]]:
    return [run for run in runs if run["case"] == case]


def _row(case: str, way: str, mine: list[dict[str, Any]], clean: list[dict[str, Any]]) -> str:
    iperf, ours = _figures(mine, "iperf_gb_s", way), _figures(mine, "ours_gb_s", way)
    if not ours:
        return f"| {case} | {way} | {len(mine)} | {_spread(iperf)} | not measured | | not met | not met |"
    ratio = median(ours) / median(iperf) if median(iperf) else math.inf
    near = abs(ratio - 1) <= WITHIN
    within = "-" if median(iperf) <= CHANCE * LINE_GB_S else "met" if near else "**not met**"
    side = "-"
    if clean:
        sides = [
            median(figures) < BAD * median(_figures(clean, key, way))
            for figures, key in ((iperf, "iperf_gb_s"), (ours, "ours_gb_s"))
        ]
        side = "met" if sides[0] == sides[1] else "**not met**"
    both = f"{_spread(iperf)} | {_spread(ours)} | {ratio:.2f}"
    return f"| {case} | {way} | {len(mine)} | {both} | {within} | {side} |"


def _figures(runs: list[dict[str, Any]], key: str, way: str) -> list[float]:
    return [run[key][way] for run in runs if run[key][way] is not None]


def _spread(figures: list[float]) -> str:
    return f"{median(figures):.4f} ({min(figures):.4f} to {max(figures):.4f})"


def _named_row(case: str, mine: list[dict[str, Any]]) -> str:
    asked = [run for run in mine if run["exact"] is not None]
    right = sum(run["exact"] for run in asked)
    highest = max(run["highest_over_line"] for run in mine)
    must = CASES[case].named is not None or CASES[case].fault is None
    met = highest <= MOST_OVER_LINE and (right == len(mine) or not must)
    told: dict[str, int] = {}
    for run in mine:
        words = "; ".join(each.replace(run["node"], "the node") for each in run["told"]) or "nothing"
        told[words] = told.get(words, 0) + 1
    named = ", ".join(
        f"{words} ({count})" for words, count in sorted(told.items(), key=lambda item: -item[1])
    )
    shown = f"{right} of {len(mine)}" if must else "-"
    return (
        f"| {case} | {shown} | {highest:.2f} | {'met' if met else '**not met**'} |"
        f" {median(run['map_s'] for run in mine):.0f} | {named} |"
    )


if __name__ == "__main__":
    main()
