"""Busbw over size for each collective, with the line that was expected and how it was reckoned."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any

from clusterboot.programs.records import PLACEMENTS, BenchTest, Placement, PlacementName, Row
from clusterboot.units import format_size

from ..saved import Expected, SavedRun
from .html import Child, Html, badge, chart, el, folded, number, section, table


def curves(run: SavedRun) -> Html | None:
    """Show each test of a benchmark as a chart and as a table."""
    tests = [test for test in run.tests if test.rows]
    if not tests:
        return None
    source = run.told.get("expected_from")
    told = el("p", "What is expected comes from ", el("strong", source), ".")
    if not source:
        none = "There was nothing to compare with: no minimum, no baseline, no hardware that is known."
        told = el("p", none, class_="note")
    shown = [_test(run, test, at) for at, test in enumerate(tests)]
    return section("Bus bandwidth over size", told, el("div", shown, class_="charts"), id_="busbw")


def _test(run: SavedRun, test: BenchTest, at: int) -> Html:
    name = test.collective or "unknown collective"
    expected = next((each for each in run.expected if each.collective == test.collective), None)
    sizes = sorted({row.size_bytes for row in test.rows})
    lines = [
        {"label": place.replace("_", " "), "y": on(sizes, points(test.rows, (place,))), "kind": "line"}
        for place in PLACEMENTS
    ]
    lines += _expected_lines(sizes, expected)
    first = test.rows[0]
    what = ", ".join(word for word in (first.dtype, first.redop) if word and word != "none")
    return el(
        "article",
        el("h3", name, " ", el("span", what, class_="faint"), " ", badge(test.verdict)),
        chart(f"busbw-{at}", f"{name}: busbw in GB/s over message size", "bytes", sizes, lines),
        _derivation(run, name),
        _beyond(sizes, expected),
        folded("All rows", _rows(test)),
    )


def _derivation(run: SavedRun, name: str) -> Html | None:
    """Give the reckoning of what is expected of one collective; all of it where it cannot be told apart."""
    whole = run.told.get("expected_derivation")
    if not whole:
        return None
    parts = re.split(r"; (?=[a-z_]+: )", whole)
    mine = [part.removeprefix(f"{name}: ") for part in parts if part.startswith(f"{name}: ")]
    return el("p", el("strong", "Expected: "), "; ".join(mine) or whole, class_="derivation")


def _beyond(sizes: Sequence[int], expected: Expected | None) -> Html | None:
    if expected is None or expected.min_busbw_gb_s is None or sizes[-1] >= expected.holds_from_bytes:
        return None
    least, size = number(expected.min_busbw_gb_s), format_size(expected.holds_from_bytes)
    return el("p", f"At least {least} GB/s is expected from {size} on, beyond this sweep.", class_="note")


def points(rows: Sequence[Row], places: Sequence[PlacementName]) -> dict[int, float]:
    """Give busbw by size: of the placements the better, of a size that comes again the median."""
    found: dict[int, list[float]] = {}
    for row in rows:
        values = [each.busbw_gb_s for name in places if (each := row.placement(name)) is not None]
        known = [value for value in values if value is not None]
        if known:
            found.setdefault(row.size_bytes, []).append(max(known))
    return {size: median(values) for size, values in found.items()}


def on(sizes: Sequence[int], values: Mapping[int, float]) -> list[float | None]:
    """Put values on a chart's sizes."""
    return [values.get(size) for size in sizes]


def _expected_lines(sizes: Sequence[int], expected: Expected | None) -> list[dict[str, Any]]:
    """Describe the lines of what was expected: a minimum from a size on, and an earlier run."""
    lines: list[dict[str, Any]] = []
    if expected is not None and (least := expected.min_busbw_gb_s) is not None:
        held = [least if size >= expected.holds_from_bytes else None for size in sizes]
        lines.append({"label": "expected at least", "y": held, "kind": "expected"})
    if expected is not None and expected.baseline:
        lines.append({"label": "baseline", "y": on(sizes, dict(expected.baseline)), "kind": "baseline"})
    return lines


def _rows(test: BenchTest) -> Html:
    """Write a test's rows, with nccl-tests' figures."""
    rows: list[list[Child]] = []
    for row in test.rows:
        cells: list[Child] = [format_size(row.size_bytes)]
        for name in PLACEMENTS:
            place = row.placement(name) or Placement(None, None, None)
            wrong = "N/A" if place.wrong is None else str(place.wrong)
            cells += [number(value) for value in (place.time_us, place.algbw_gb_s, place.busbw_gb_s)]
            cells.append(el("strong", f"✕ {wrong}", class_="odd") if place.wrong else wrong)
        rows.append(cells)
    heads = ["size", *("time µs", "algbw", "busbw", "wrong") * 2]
    return table(
        heads, rows, caption="Out of place, then in place; bandwidths in GB/s", numbers=len(heads) - 1
    )
