"""Earlier runs of the same cluster: each in a line, and how its figures went over time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np

from ..saved import SavedRun
from .html import Html, data, el, join, table
from .phrases import badge, duration, number, when


@dataclass(frozen=True)
class PastRun:
    """An earlier run in a line: ``figures`` are in 10^9 bytes a second, each with what it is of."""

    started: str
    command: str
    verdict: str | None
    nodes: int
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
        (f"{test.collective or 'unknown'}, peak busbw", test.peak[0])
        for test in run.tests
        if test.peak is not None
    ]
    if run.matrix is not None:
        known = run.matrix.bandwidth_gbps[~np.isnan(run.matrix.bandwidth_gbps)]
        figures += [("pairs, median", float(np.median(known)))] if known.size else []
    findings = run.inference.findings if run.inference is not None else ()
    return PastRun(
        run.started,
        run.command,
        run.verdict,
        len(run.matrix.nodes) if run.matrix is not None else len(run.hosts),
        run.duration_s,
        tuple(figures),
        tuple(f"{found.kind} {', '.join(found.hosts[:3])}" for found in findings),
        folder,
    )


def history(run: SavedRun, past: Past) -> Html | None:
    """Show the earlier runs, and this one among them as the last point of each curve."""
    if not past.runs and not past.notes:
        return None
    now = in_a_line(run, "this run")
    return el(
        "section",
        el("h2", "Earlier runs of this cluster"),
        _curves([*reversed(past.runs), now]),
        table(
            ("started", "command", "verdict", "figures", "found", "took"),
            [_line(each) for each in (now, *past.runs)],
            caption="Runs, the newest first",
        )
        if past.runs
        else None,
        [el("p", note, class_="note") for note in past.notes],
        id="history",
    )


def _line(run: PastRun) -> list[Any]:
    figures = [el("div", f"{what} {number(value)} GB/s") for what, value in run.figures]
    found = [el("div", each) for each in run.findings[:4]]
    if len(run.findings) > 4:
        found.append(el("div", f"and {len(run.findings) - 4} more"))
    return [
        join(el("span", when(run.started), class_="nowrap"), el("div", run.folder, class_="faint")),
        run.command,
        badge(run.verdict),
        figures,
        found,
        duration(run.duration_s),
    ]


def _curves(runs: Sequence[PastRun]) -> Html | None:
    """Draw each figure that two runs or more have over the time of the runs."""
    points = [(at, run) for run in runs if (at := _seconds(run.started)) is not None]
    names = dict.fromkeys(what for _, run in points for what, _ in run.figures)
    lines = []
    for name in names:
        values = [dict(run.figures).get(name) for _, run in points]
        if sum(value is not None for value in values) > 1:
            lines.append({"label": name, "y": values, "kind": "line"})
    if not lines:
        return None
    label = "GB/s over the time of the runs"
    described = {"x": [at for at, _ in points], "scale": "time", "lines": lines, "label": label}
    return join(
        el("div", class_="chart", data_chart="history-data", role="group", tabindex=0, aria_label=label),
        data("history-data", described),
    )


def _seconds(started: str) -> float | None:
    try:
        return datetime.fromisoformat(started.replace("Z", "+00:00")).timestamp()
    except (ValueError, OverflowError):
        return None
