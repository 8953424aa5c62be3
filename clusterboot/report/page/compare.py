"""Several runs side by side: verdicts, tests by size, matrices and what changed in them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from clusterboot.programs.records import PLACEMENTS
from clusterboot.units import format_size

from ..saved import SavedRun
from .curves import chart, on, points
from .html import Child, Html, el, table
from .maps import bad_links, flagged, heat_map, views
from .packed import Cells, packed
from .past import in_a_line
from .phrases import badge, duration, number, when


def letters(count: int) -> list[str]:
    """Name runs, of which there are at most 26: A, B and so on."""
    return [chr(ord("A") + at) for at in range(count)]


def overview(runs: Sequence[SavedRun]) -> Html:
    """List the runs that are compared, the first being what the others are held against."""
    rows: list[list[Child]] = []
    for letter, run in zip(letters(len(runs)), runs, strict=True):
        line = in_a_line(run, run.name)
        rows.append(
            [
                letter,
                [when(run.started), el("div", run.name, class_="faint")],
                f"{run.command} on {run.cluster or 'no cluster'}",
                badge(run.verdict),
                [el("div", f"{what} {number(value)} GB/s") for what, value in line.figures],
                [el("div", each) for each in line.findings],
                duration(run.duration_s),
            ]
        )
    heads = ("run", "started", "command", "verdict", "figures", "found", "took")
    return el(
        "section", el("h2", "Runs"), table(heads, rows, caption="Runs; A is what the others are held against")
    )


def tests(runs: Sequence[SavedRun]) -> Html | None:
    """Compare the tests of each collective by size."""
    named = [(letter, run) for letter, run in zip(letters(len(runs)), runs, strict=True) if run.tests]
    names = dict.fromkeys(test.collective or "unknown" for _, run in named for test in run.tests if test.rows)
    if len(named) < 2 or not names:
        return None
    return el(
        "section",
        el("h2", "Bus bandwidth over size"),
        el("div", [_collective(name, at, named) for at, name in enumerate(names)], class_="charts"),
        id="busbw",
    )


def _collective(name: str, at: int, named: Sequence[tuple[str, SavedRun]]) -> Html:
    curves = {}
    for letter, run in named:
        rows = [row for test in run.tests if (test.collective or "unknown") == name for row in test.rows]
        if rows:
            curves[letter] = points(rows, PLACEMENTS)
    sizes = sorted({size for curve in curves.values() for size in curve})
    lines = [{"label": letter, "y": on(sizes, curve), "kind": "line"} for letter, curve in curves.items()]
    first, *others = curves
    rows_: list[list[Child]] = []
    for size in sizes:
        base = curves[first].get(size)
        cells: list[Child] = [format_size(size), number(base)]
        for letter in others:
            value = curves[letter].get(size)
            cells += [number(value), _change(base, value)]
        rows_.append(cells)
    heads = ["size", first, *(head for letter in others for head in (letter, f"against {first}"))]
    caption = f"{name}: busbw in GB/s, the better placement"
    return el(
        "article",
        el("h3", name),
        chart(f"compare-{at}", caption, sizes, lines),
        el(
            "details",
            el("summary", "By size"),
            table(heads, rows_, caption=caption, numbers=len(heads) - 1),
            open=True,
        ),
    )


def _change(base: float | None, value: float | None) -> str:
    if base is None or value is None or not base:
        return "N/A"
    return f"{(value / base - 1) * 100:+.1f} %"


def matrices(runs: Sequence[SavedRun]) -> Html | None:
    """Put the matrices next to each other, and after them what each changed against the first."""
    named = [
        (letter, run) for letter, run in zip(letters(len(runs)), runs, strict=True) if run.matrix is not None
    ]
    if not named:
        return None
    maps = [
        el(
            "article",
            el("h3", f"{letter} "),
            heat_map(f"matrix-{letter}", _nodes(run), views(run), flagged(run), bad_links(run)),
        )
        for letter, run in named
    ]
    first_letter, first = named[0]
    changes = [
        change
        for letter, run in named[1:]
        if (change := _difference(first_letter, first, letter, run)) is not None
    ]
    return el("section", el("h2", "Every pair"), el("div", maps, changes, class_="maps"), id="map")


def _nodes(run: SavedRun) -> Sequence[str]:
    return run.matrix.nodes if run.matrix is not None else ()


def _difference(first_letter: str, first: SavedRun, letter: str, run: SavedRun) -> Html | None:
    """Show the bandwidth of the nodes that both maps have, as a share of the first's."""
    common = [node for node in _nodes(first) if node in set(_nodes(run))]
    if len(common) < 2 or first.matrix is None or run.matrix is None:
        return None
    before, after = (_part(each, common) for each in (first, run))
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.where(before > 0, after / before, np.nan)
    view = {
        "label": f"{letter} as a share of {first_letter}",
        "unit": "%",
        "full": 100.0,
        "low": False,
        "split": True,
    }
    shown = [{**view, **packed(ratio * 100)}]
    return el(
        "article",
        el("h3", f"{letter} against {first_letter}"),
        heat_map(f"change-{letter}", common, shown),
    )


def _part(run: SavedRun, nodes: Sequence[str]) -> Cells:
    if run.matrix is None:
        return np.empty((0, 0))
    at = {node: index for index, node in enumerate(run.matrix.nodes)}
    index = [at[node] for node in nodes]
    return run.matrix.bandwidth_gbps[np.ix_(index, index)]
