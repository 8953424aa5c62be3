"""The results of the inference benchmark as a table and a plot."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("svg")
from matplotlib import pyplot as plt

_OURS = "clusterboot, full"
_ADAPTIVE = "clusterboot, adaptive"
_USUAL = 0.03

# Three of each pair of 64 nodes.
_ALL = 3 * 2016

Row = dict[str, Any]


def table(results: dict[str, Any]) -> str:
    """Write the results in Markdown."""
    scores: list[Row] = results["scores"]
    clean, visits = results["clean"], results["clean_in_visits"]
    lines = [
        "# Inference: accuracy and cost",
        "",
        f"Made by `python benchmarks/inference.py` from one version of the code, seed {results['seed']}.",
        "Exact means: every injected fault is named with its kind, hosts and direction, and nothing",
        "else is. Faults keep 5% to 70% of the bandwidth.",
        "",
        f"- clean fabrics of 2 to 1,024 nodes with 1% to 8% noise: {clean['fabrics']}, "
        f"with a finding: {clean['blamed']}, not `ok`: {clean['not_ok']}",
        "- clean fabrics of 2 to 128 nodes measured in visits, a quarter of them calm, a quarter with heavy "
        f"tails, with outliers, and with figures that lie high: {visits['fabrics']}, with a finding: "
        f"{visits['blamed']}, not `ok`: {visits['not_ok']}",
        *_speed(results.get("speed")),
        "",
        "A measurement is one series of timed transfers between two nodes, of 3 to 9 samples in 0.2 to",
        "0.5 s: one way, the other way, or both ways at once; a whole tournament makes these three of each",
        "pair. The adaptive way makes them in a few rounds, makes the last one alone of every other pair,",
        "and then all three of what it suspects. Both ways look once more, or twice, at what they blame or",
        "do not believe, as a link map does. Heavy tails, outliers and figures that lie high are described",
        "in `simulator.py`, their shares are in `scenarios.py`.",
        *_by_class(scores),
        "",
        "## Every method at 64 nodes, 3% noise (measurements and runs: mean)",
        "",
        "| method | exact | right hosts | exact, bad nodes only | measurements | share of all | runs |",
        "| --- | --: | --: | --: | --: | --: | --: |",
    ]
    at_64 = [score for score in scores if score["nodes"] == 64]
    for method in dict.fromkeys(score["method"] for score in at_64):
        rows = [score for score in at_64 if score["method"] == method]
        nodes = [score for score in rows if score["scenario"] in _NODE_FAULTS]
        cost = _mean(rows, "measurements")
        lines.append(
            f"| {method} | {_share(rows)} | {_share(rows, 'hosts_right')} | {_share(nodes)} "
            f"| {cost:.0f} | {cost / _ALL:.0%} | {_mean(rows, 'runs'):.0f} |"
        )
    lines += _shown(scores)
    lines += _by_fault(scores, _OURS) + _by_fault(scores, _ADAPTIVE)
    return "\n".join(lines) + "\n"


# Classes of faults, and their scenarios.
_CLASSES: dict[str, tuple[str, ...]] = {
    "one node or pair, slow, lossy, bursty or dead": (
        *("slow node", "slow node, out only", "slow node, in only", "dead node"),
        *("slow pair", "slow pair, one way", "dead pair"),
        *("lossy node, one way", "lossy pair, one way", "bursty pair"),
    ),
    "one node or pair that comes and goes, in 0.1 to 0.4 s": ("flapping node, fast", "flapping pair, fast"),
    "one node that comes and goes, in 0.4 to 4 s": ("flapping node, slow",),
    "one pair that comes and goes, in 0.4 to 4 s, of those that were there": ("flapping pair, slow",),
    "one group of nodes": ("slow group",),
    "two of these": ("two slow nodes", "slow node and slow pair", "slow node in slow group"),
    "up to 10% bad cables": ("5% bad cables", "10% bad cables"),
    "25% bad cables": ("25% bad cables",),
    "several kinds at once": ("several kinds at once",),
    "a slow node or pair, heavy tails": ("slow node, heavy tails", "slow pair, heavy tails"),
    "a slow node, outliers either way": ("slow node, outliers either way",),
    "a slow node or pair, some figures lie high": (
        *("slow node, some figures lie high", "slow pair, some figures lie high"),
    ),
    "clean": (
        *("clean", "clean, heavy tails", "clean, outliers either way", "clean, some figures lie high"),
    ),
}


# What is visited so seldom that nothing of it may be seen.
_RARELY_SHOWN = {"flapping pair, slow"}


def _of_all(rows: list[Row]) -> str:
    return f"{_share(rows)} ({sum(row['trials'] for row in rows)})"


def _of_shown(rows: list[Row]) -> str:
    trials, shown, exact = (sum(row[key] for row in rows) for key in ("trials", "shown", "exact_of_shown"))
    share = f"{100 * exact / shown:.4g}% " if shown else ""
    return f"{share}({shown} of {trials})"


def _by_class(scores: list[Row]) -> list[str]:
    """Sum up what was measured with 3% noise or less: ours in all sizes, and every method at 64 nodes."""
    quiet = [row for row in scores if row["noise"] <= _USUAL and not row["missing"]]
    others = [
        name for name in dict.fromkeys(row["method"] for row in quiet) if name not in (_OURS, _ADAPTIVE)
    ]
    heads = [_OURS, _ADAPTIVE, *(f"{name}, 64 nodes" for name in others)]
    lines = [
        "",
        "## Exact, by class of fault, 3% noise or less, 16 to 1,024 nodes (trials)",
        "",
        "A pair that comes and goes slowly is away at all of its visits now and then, and sound in all that",
        "was measured. It is judged where it was there in one sample at least: so many of the trials.",
        "",
        f"| fault | {' | '.join(heads)} |",
        f"| --- | {' | '.join('--:' for _ in heads)} |",
    ]
    for name, scenarios in _CLASSES.items():
        cells = []
        for method in (_OURS, _ADAPTIVE, *others):
            rows = [row for row in quiet if row["method"] == method and row["scenario"] in scenarios]
            cells.append(_of_shown(rows) if set(scenarios) <= _RARELY_SHOWN else _of_all(rows))
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return lines


_NODE_FAULTS = (
    "clean",
    "slow node",
    "slow node, out only",
    "slow node, in only",
    "dead node",
    "two slow nodes",
)


def _speed(speed: Row | None) -> list[str]:
    """Say what a full matrix of 1,024 nodes takes, where that was measured."""
    if speed is None:
        return []
    return [
        f"- a full matrix of 1,024 nodes: {speed['slowest_s']} s at most, {speed['peak_mib']} MiB; with "
        f"samples {speed['with_samples_s']} s; with a tenth of all cables bad {speed['many_findings_s']} s; "
        "of one processor's time"
    ]


def _shown(scores: list[Row]) -> list[str]:
    """Say, for what comes and goes, how often it was there when it was visited, and was named then."""
    lines = [
        "",
        "## What comes and goes, up to 3% noise: how often it was there at a visit, and was named then",
        "",
        "| fault | method | trials | there at a visit | exact of these |",
        "| --- | --- | --: | --: | --: |",
    ]
    changing = [row for row in scores if "flapping" in row["scenario"] and row["noise"] <= _USUAL]
    for scenario in dict.fromkeys(row["scenario"] for row in changing):
        for method in (_OURS, _ADAPTIVE):
            rows = [row for row in changing if (row["scenario"], row["method"]) == (scenario, method)]
            trials, shown, exact = (
                sum(row[key] for row in rows) for key in ("trials", "shown", "exact_of_shown")
            )
            seen, named = f"{100 * shown / trials:.4g}%", f"{100 * exact / max(1, shown):.4g}%"
            lines.append(f"| {scenario} | {method} | {trials} | {seen} | {named} |")
    return lines


def _by_fault(scores: list[Row], method: str) -> list[str]:
    mine = [score for score in scores if score["method"] == method]
    columns = list(dict.fromkeys((score["nodes"], score["noise"], score["missing"]) for score in mine))
    heads = [
        f"{nodes}, {noise:.0%}" + (f", {gaps:.0%} missing" if gaps else "") for nodes, noise, gaps in columns
    ]
    lines = [
        "",
        f"## {method}: exact, by fault, nodes and noise",
        "",
        f"| fault | fabric | {' | '.join(heads)} |",
        f"| --- | --- | {' | '.join('--:' for _ in heads)} |",
    ]
    for scenario, shape in dict.fromkeys((score["scenario"], score["shape"]) for score in mine):
        cells = [
            _share(
                [
                    score
                    for score in mine
                    if (score["scenario"], score["shape"]) == (scenario, shape)
                    and (score["nodes"], score["noise"], score["missing"]) == column
                ]
            )
            for column in columns
        ]
        lines.append(f"| {scenario} | {shape} | {' | '.join(cells)} |")
    return lines


def draw(results: dict[str, Any], path: Path) -> None:
    """Plot, for each method, how often it is exact over what it measures, at 64 nodes."""
    at_64 = [score for score in results["scores"] if score["nodes"] == 64]
    figure, axes = plt.subplots(figsize=(8, 4.5))
    for method in dict.fromkeys(score["method"] for score in at_64):
        rows = [score for score in at_64 if score["method"] == method]
        cost = 100 * _mean(rows, "measurements") / _ALL
        for select, filled in ((_is_node, True), (_is_other, False)):
            part = [score for score in rows if select(score)]
            good = 100 * sum(score["exact"] for score in part) / sum(score["trials"] for score in part)
            colour = "tab:green" if method.startswith("clusterboot") else "tab:gray"
            axes.plot(cost, good, "o", color=colour, markerfacecolor=colour if filled else "white")
            if filled:
                axes.annotate(method, (cost, good), textcoords="offset points", xytext=(6, 4), fontsize=7)
    axes.set_xlabel("measurements, % of a full tournament")
    axes.set_ylabel("exact, % of trials")
    axes.set_title("64 nodes, 3% noise; filled: clean and bad nodes, open: links, groups, several")
    axes.set_xlim(0, 130)
    axes.set_ylim(-3, 108)
    axes.grid(visible=True, alpha=0.3)
    mpl.rcParams["svg.hashsalt"] = "inference"
    figure.savefig(path, metadata={"Date": None})


def _is_node(score: Row) -> bool:
    return score["scenario"] in _NODE_FAULTS


def _is_other(score: Row) -> bool:
    return not _is_node(score)


def _share(rows: Iterable[Row], what: str = "exact") -> str:
    rows = list(rows)
    trials = sum(row["trials"] for row in rows)
    if not trials:
        return ""
    return f"{100 * sum(row[what] for row in rows) / trials:.4g}%"


def _mean(rows: list[Row], what: str) -> float:
    get: Callable[[Row], float] = lambda row: row[what] * row["trials"]  # noqa: E731
    return sum(map(get, rows)) / sum(row["trials"] for row in rows)
