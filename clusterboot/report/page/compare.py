"""Several runs side by side: verdicts, tests by size, matrices and what changed in them."""

from __future__ import annotations

from collections.abc import Sequence

from clusterboot.linkmap.pair_matrix import PairMatrix
from clusterboot.programs.records import PLACEMENTS
from clusterboot.units import format_size

from ..saved import SavedRun
from .changed import common_share, what_changed
from .curves import on, points
from .html import Child, Html, badge, chart, duration, el, folded, number, section, table, when
from .maps import common_scale, heat_map, map_of, packed
from .past import in_a_line

# A run with the letter that names it.
Lettered = tuple[str, SavedRun]


def comparison(runs: Sequence[SavedRun]) -> list[Html]:
    """Show runs, of which there are at most 26, the first being what the others are held against."""
    named = [(chr(ord("A") + at), run) for at, run in enumerate(runs)]
    parts = (_changes(named), _overview(named), _tests(named), _matrices(named))
    return [part for part in parts if part is not None]


def _changes(named: Sequence[Lettered]) -> Html:
    """Begin with what changed against the first run, a sentence for each of the others."""
    (_, first), *others = named
    return el("div", [el("p", f"{letter}: {what_changed(first, run)}") for letter, run in others])


def _overview(named: Sequence[Lettered]) -> Html:
    rows: list[list[Child]] = []
    for letter, run in named:
        line = in_a_line(run, run.name)
        rows.append(
            [
                letter,
                [when(run.started), el("div", run.name, class_="faint")],
                f"{run.command} on {run.cluster or 'no cluster'}",
                badge(run.sign),
                [el("div", f"{what} {number(value)} GB/s") for what, value in line.figures],
                [el("div", each) for each in line.findings],
                duration(run.duration_s),
            ]
        )
    heads = ("run", "started", "command", "verdict", "figures", "found", "took")
    return section("Runs", table(heads, rows, caption="Runs; A is what the others are held against"))


def _tests(named: Sequence[Lettered]) -> Html | None:
    """Compare the tests of each collective by size."""
    named = [(letter, run) for letter, run in named if run.tests]
    names = dict.fromkeys(test.collective or "unknown" for _, run in named for test in run.tests if test.rows)
    if len(named) < 2 or not names:
        return None
    charts = el("div", [_collective(name, at, named) for at, name in enumerate(names)], class_="charts")
    return section("Bus bandwidth over size", charts, id_="busbw")


def _collective(name: str, at: int, named: Sequence[Lettered]) -> Html:
    curves = {}
    for letter, run in named:
        rows = [row for test in run.tests if (test.collective or "unknown") == name for row in test.rows]
        if rows:
            curves[letter] = points(rows, PLACEMENTS)
    sizes = sorted({size for curve in curves.values() for size in curve})
    lines = [{"label": letter, "y": on(sizes, curve), "kind": "line"} for letter, curve in curves.items()]
    first, *others = curves
    shown: list[list[Child]] = []
    for size in sizes:
        base = curves[first].get(size)
        cells: list[Child] = [format_size(size), number(base)]
        for letter in others:
            value = curves[letter].get(size)
            change = f"{(value / base - 1) * 100:+.1f} %" if base and value is not None else "N/A"
            cells += [number(value), change]
        shown.append(cells)
    heads = ["size", first, *(head for letter in others for head in (letter, f"against {first}"))]
    caption = f"{name}: busbw in GB/s, the better placement"
    return el(
        "article",
        el("h3", name),
        chart(f"compare-{at}", caption, "bytes", sizes, lines),
        folded("By size", table(heads, shown, caption=caption, numbers=len(heads) - 1), open_=True),
    )


def _matrices(named: Sequence[Lettered]) -> Html | None:
    """Put the matrices next to each other, and after them what each changed against the first."""
    mapped = [(letter, run, run.matrix) for letter, run in named if run.matrix is not None]
    if not mapped:
        return None
    scale = common_scale([run for _, run, _ in mapped])
    maps = [el("article", el("h3", f"{at} "), map_of(f"matrix-{at}", run, scale)) for at, run, _ in mapped]
    first_letter, _, first = mapped[0]
    changes = [_difference(first_letter, first, letter, matrix) for letter, _, matrix in mapped[1:]]
    return section("Every pair", el("div", maps, changes, class_="maps"), id_="map")


def _difference(first_letter: str, first: PairMatrix, letter: str, matrix: PairMatrix) -> Html | None:
    """Show the bandwidth of the nodes that both maps have, as a share of the first's."""
    common, ratio = common_share(first, matrix)
    if len(common) < 2:
        return None
    label = f"{letter} as a share of {first_letter}"
    view = {"label": label, "unit": "%", "full": 100.0, "low": False, "split": True, **packed(ratio * 100)}
    heading = el("h3", f"{letter} against {first_letter}")
    return el("article", heading, heat_map(f"change-{letter}", common, [view]))
