"""Earlier runs of the same cluster: each in a line, and how its figures went over time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np

from ..saved import SavedRun
from .html import Child, Html, badge, chart, duration, el, join, number, section, table, when


@dataclass(frozen=True)
class PastRun:
    """An earlier run in a line: ``figures`` are in 10^9 bytes a second, each with what it is of."""

    started: str
    command: str
    sign: str
    duration_s: float | None
    figures: tuple[tuple[str, float], ...]
    findings: tuple[str, ...]
    folder: str


@dataclass(frozen=True)
class Past:
    """The runs before one, the newest first; ``notes`` say what was left out, and why."""

    runs: tuple[PastRun, ...] = ()
    notes: tuple[str, ...] = ()


def in_a_line(run: SavedRun, folder: str) -> PastRun:
    """Take from a run what its line in the history of others has."""
    figures = [
        (f"{test.collective or 'unknown'}, peak busbw", test.peak[0]) for test in run.tests if test.peak
    ]
    if run.matrix is not None:
        known = run.matrix.bandwidth_gb_s[~np.isnan(run.matrix.bandwidth_gb_s)]
        figures += [("pairs, median", float(np.median(known)))] if known.size else []
    findings = run.inference.findings if run.inference is not None else ()
    found = tuple(f"{each.kind} {', '.join(each.hosts[:3])}" for each in findings)
    return PastRun(run.started, run.command, run.sign, run.duration_s, tuple(figures), found, folder)


def history(run: SavedRun, past: Past) -> Html | None:
    """Show the earlier runs, and this one among them as the last point of each curve."""
    if not past.runs and not past.notes:
        return None
    now = in_a_line(run, "this run")
    heads = ("started", "command", "verdict", "figures", "found", "took")
    lines = [_line(each) for each in (now, *past.runs)]
    return section(
        "Earlier runs of this cluster",
        _curves([*reversed(past.runs), now]),
        table(heads, lines, caption="Runs, the newest first") if past.runs else None,
        [el("p", note, class_="note") for note in past.notes],
        id_="history",
    )


def _line(run: PastRun) -> list[Child]:
    found = [*run.findings[:4], *([f"and {len(run.findings) - 4} more"] if len(run.findings) > 4 else [])]
    return [
        join(el("span", when(run.started), class_="nowrap"), el("div", run.folder, class_="faint")),
        run.command,
        badge(run.sign),
        [el("div", f"{what} {number(value)} GB/s") for what, value in run.figures],
        [el("div", each) for each in found],
        duration(run.duration_s),
    ]


def _curves(runs: Sequence[PastRun]) -> Html | None:
    """Draw each figure that two runs or more have over the time of the runs."""
    points = [(at, dict(run.figures)) for run in runs if (at := _seconds(run.started)) is not None]
    values = {name: [figures.get(name) for _, figures in points] for _, each in points for name in each}
    lines = [
        {"label": name, "y": each, "kind": "line"}
        for name, each in values.items()
        if sum(value is not None for value in each) > 1
    ]
    label = "GB/s over the time of the runs"
    return chart("history-data", label, "time", [at for at, _ in points], lines) if lines else None


def _seconds(started: str) -> float | None:
    try:
        return datetime.fromisoformat(started.replace("Z", "+00:00")).timestamp()
    except (ValueError, OverflowError):
        return None
