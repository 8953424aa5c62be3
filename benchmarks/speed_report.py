"""What speed.py measured, as a table for people and a plot.

    benchmarks/.venv/bin/python benchmarks/speed_report.py benchmarks/speed.json

Writes speed.md and speed.svg beside the file.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("svg")
from matplotlib import pyplot as plt

Row = dict[str, Any]

_RAW = "OpenSSH"
_OURS = "pass"
_STARTED = "pass, started already"
# What the figures are held against: the row, what is compared, the most it may be.
_TARGETS = (
    (_OURS, "wall, OpenSSH = 1", 0.8),
    ("first bootstrap", "wall, OpenSSH = 1", 3.0),
    ("second bootstrap", "wall, OpenSSH = 1", 1.5),
    (_OURS, "its CPU, ms a host", 9.0),
)


def report(found: dict[str, Any]) -> str:
    """Write the whole report, in Markdown."""
    rows: list[Row] = found["measured"]
    return "\n".join(
        [
            "# Speed",
            "",
            "One run of `benchmarks/speed.py` on a lab of each size, each contender a cold process.",
            "Plain OpenSSH is `xargs -P32 ssh` over one ControlMaster with curve25519, `true` on each node;",
            "the faster one of its passes is 1. All CPU is the machine's, the lab's nodes' sshd included.",
            "",
            *_table(rows),
            *_launches(found["mpirun_hostname_s"]),
            "",
            "## Against what it is to reach",
            "",
            *_targets(rows),
            "",
            "## Where a bootstrap's CPU time goes",
            "",
            *_spent(rows),
            "",
            *_floor(rows, found["cpus"]),
            "",
            "## Where a pass's own CPU time goes",
            "",
            "By py-spy's samples of who holds the interpreter, in the smallest lab.",
            "",
            *(f"- {share:.0%} {what}" for what, share in found["profile"][:5]),
            "",
        ]
    )


def _table(rows: list[Row]) -> Iterator[str]:
    yield "| nodes | what | wall, OpenSSH = 1 | its CPU, ms a host | all CPU, ms a host | largest, MiB |"
    yield "| --: | --- | --: | --: | --: | --: |"
    for row in rows:
        figures = f"{row['ratio']:.2f} | {_own_ms(row):.1f} | {_all_ms(row):.0f} | {row['peak_mib'] or '':.4}"
        yield f"| {row['nodes']} | {row['name']} | {figures} |"


def _launches(launched: dict[str, dict[str, float]]) -> Iterator[str]:
    yield ""
    for nodes, took_s in launched.items():
        ratio = took_s["cheap exchange"] / took_s["OpenSSH's order"]
        yield (
            f"`mpirun hostname` over {nodes} nodes takes {ratio:.2f} of the time with the key exchange that"
            " the nodes' configuration prefers, OpenSSH's own order = 1."
        )


def _targets(rows: list[Row]) -> Iterator[str]:
    sizes = sorted({row["nodes"] for row in rows})
    yield f"| what | figure | at most | {' | '.join(f'{size} nodes' for size in sizes)} |"
    yield f"| --- | --- | --: | {' | '.join('--:' for _ in sizes)} |"
    for name, figure, most in _TARGETS:
        at = [min(_figure(row, figure) for row in rows if _is(row, size, name)) for size in sizes]
        yield f"| {name} | {figure} | {most} | {' | '.join(f'{value:.2f}' for value in at)} |"
    most_mib = [100 + 0.4 * size for size in sizes]
    peak = [max(r["peak_mib"] for r in rows if _is(r, size, "first bootstrap")) for size in sizes]
    cells = " | ".join(f"{mib:.0f} of {limit:.0f}" for mib, limit in zip(peak, most_mib, strict=True))
    yield f"| first bootstrap | peak memory, MiB | 100 + 0.4 a host | {cells} |"
    if len(sizes) > 1:
        for name in (_RAW, _OURS, "first bootstrap", "second bootstrap"):
            walls = [min(r["wall_s"] for r in rows if _is(r, size, name)) for size in sizes]
            growth = walls[-1] / walls[0] / (sizes[-1] / sizes[0])
            yield (
                f"| {name} | wall a host at {sizes[-1]} nodes, {sizes[0]} nodes = 1 | | "
                + " | ".join([*("" for _ in sizes[1:]), f"{growth:.2f}"])
                + " |"
            )


def _spent(rows: list[Row]) -> Iterator[str]:
    """Take the figures of the commands apart, each of which does what the one before does, and more."""
    sizes = sorted({row["nodes"] for row in rows})
    steps = (
        ("one login, and the start of Python", _OURS, None),
        ("asking for facts and keys", "second bootstrap, nothing proven", _OURS),
        ("the proof: a login from node to node", "second bootstrap", "second bootstrap, nothing proven"),
        ("keys made, files written, a fresh login each", "first bootstrap", "second bootstrap"),
    )
    yield f"| all CPU, ms a host | {' | '.join(f'{size} nodes' for size in sizes)} |"
    yield f"| --- | {' | '.join('--:' for _ in sizes)} |"
    yield f"| OpenSSH's pass | {' | '.join(f'{_least(rows, size, _RAW):.0f}' for size in sizes)} |"
    for what, name, less in steps:
        cells = [_least(rows, size, name) - (_least(rows, size, less) if less else 0) for size in sizes]
        yield f"| {what} | {' | '.join(f'{cell:.0f}' for cell in cells)} |"


def _floor(rows: list[Row], cpus: int) -> Iterator[str]:
    """Say what the largest parts of it are spent on."""
    size = max(row["nodes"] for row in rows)
    start_ms = size * min(_own_ms(row) for row in rows if _is(row, size, _OURS)) - size * min(
        _own_ms(row) for row in rows if _is(row, size, _STARTED)
    )
    busy = [
        row["machine_s"] / row["wall_s"] / cpus
        for row in rows
        if row["nodes"] == size and row["name"].endswith(" bootstrap")
    ]
    yield f"In a bootstrap over {size} nodes the {cpus} CPUs are busy {min(busy):.0%} to {max(busy):.0%} of"
    yield "the time: its wall time is CPU time. A login costs about what it costs OpenSSH's pass, most of"
    yield "it in `sshd`, whoever logs in. A first bootstrap makes three a node: the operator's, the proof's"
    yield "from the launching host, and the fresh one that shows that a changed `authorized_keys` still lets"
    yield "the operator in. An unchanged one makes two; `--verify none` leaves out the proof's. What is not"
    yield "logins is processes on the nodes: `ssh-keygen`, `ssh -V`, each MPI's version, and the copies,"
    yield "digests and `sync`s of every file that is written. Python's start and end take"
    yield f"{start_ms:.0f} ms of one CPU, once, before the first packet and after the last: a large share of"
    yield "a pass over 64 nodes, little of one over 256."


def _is(row: Row, size: int, name: str) -> bool:
    return bool(row["nodes"] == size and row["name"] == name)


def _least(rows: list[Row], size: int, name: str) -> float:
    return min(_all_ms(row) for row in rows if _is(row, size, name))


def _figure(row: Row, figure: str) -> float:
    return _own_ms(row) if "CPU" in figure else float(row["ratio"])


def _own_ms(row: Row) -> float:
    return float(row["cpu_s"] / row["nodes"] * 1000)


def _all_ms(row: Row) -> float:
    return float(row["machine_s"] / row["nodes"] * 1000)


def draw(rows: list[Row], path: Path) -> None:
    """Plot each contender's wall time beside OpenSSH's pass, on a logarithmic axis."""
    mpl.rcParams["svg.hashsalt"] = "speed"
    sizes = sorted({row["nodes"] for row in rows})
    names = list(dict.fromkeys(row["name"] for row in rows))[::-1]
    figure, axes = plt.subplots(figsize=(8, 0.32 * len(names) + 1.2), layout="constrained")
    for at, size in enumerate(sizes):
        for place, name in enumerate(names):
            ratios = [row["ratio"] for row in rows if _is(row, size, name)]
            if ratios:
                label = f"{size} nodes" if place == len(names) - 1 else None
                offset = place + 0.35 * (at - (len(sizes) - 1) / 2)
                axes.barh(offset, min(ratios), 0.33, color=f"C{at}", label=label)
    axes.set_xscale("log")
    axes.axvline(1, color="black", linewidth=0.8)
    axes.set_yticks(range(len(names)), names, fontsize=8)
    axes.set_xlabel("wall time, plain OpenSSH's pass = 1")
    axes.legend(fontsize=8)
    figure.savefig(path, metadata={"Date": None})


def main() -> None:
    """Read what was measured, write the report beside it."""
    source = Path(sys.argv[1])
    found = json.loads(source.read_text(encoding="utf-8"))
    text = report(found)
    print(text)
    source.with_suffix(".md").write_text(text, encoding="utf-8")
    draw(found["measured"], source.with_suffix(".svg"))


if __name__ == "__main__":
    main()
