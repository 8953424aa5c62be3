"""Benchmark rows for people: nccl-tests' columns in 80 characters, and busbw over size as bars."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.text import Text

from clusterboot.printable import one_line
from clusterboot.programs.records import LogReport, Placement, Row, Verdict
from clusterboot.units import format_size

from .ending import say

_BAR_WIDTH = 44


def head(collective: str, row: Row) -> tuple[str, str, str]:
    """Write the lines above a collective's rows: what it is, and the columns."""
    what = f"{collective}, {row.dtype}" + (f", {row.redop}" if row.redop not in (None, "none") else "")
    halves = f"{'out-of-place (us, GB/s)':^31} {'in-place (us, GB/s)':^31}"
    columns = f"{'time':>10}{'algbw':>8}{'busbw':>8}{'wrong':>6}"
    return what, f"{'':14}{halves}".rstrip(), f"{'size':>12}  {columns}{columns}"


def line(row: Row) -> str:
    """Write one row: its size in bytes, then time, algbw, busbw and wrong of either placement."""
    places = [_half(row.out_of_place), _half(row.in_place)]
    return f"{row.size_bytes:>12}  " + "".join(places)


def is_wrong(row: Row) -> bool:
    """Tell whether any value of the row was wrong."""
    return any(place.wrong for place in row.placements)


def bars(rows: Sequence[Row]) -> list[str]:
    """Draw busbw over size, one bar a row: the better of both placements, in GB/s."""
    points = [(row.size_bytes, best) for row in rows if (best := _best(row)) is not None]
    top = max((value for _, value in points), default=0.0)
    lines = []
    for size_bytes, value in points:
        filled = value / top * _BAR_WIDTH if top else 0
        lines.append(f"{format_size(size_bytes):>10} {_bar(filled):<{_BAR_WIDTH}} {_number(value):>8} GB/s")
    return lines


def _bar(cells: float) -> str:
    # Eighths of a block let a small value show at all.
    whole = int(cells)
    rest = " ▏▎▍▌▋▊▉"[int((cells - whole) * 8)]
    return ("█" * whole + rest).rstrip()


def _best(row: Row) -> float | None:
    return max((place.busbw_gb_s for place in row.placements if place.busbw_gb_s is not None), default=None)


def _half(place: Placement | None) -> str:
    if place is None or place.time_us is None:
        return f"{'N/A':>10}{'N/A':>8}{'N/A':>8}{'N/A':>6}"
    wrong = "N/A" if place.wrong is None else str(place.wrong)
    bandwidths = f"{_number(place.algbw_gb_s):>8}{_number(place.busbw_gb_s):>8}"
    return f"{_number(place.time_us, 2):>10}{bandwidths}{wrong:>6}"


def _number(value: float | None, digits: int = 3) -> str:
    if value is None:
        return "N/A"
    return f"{value:.{digits}f}" if value < 1000 else f"{value:.1f}"


def show_judgement(to: Console, report: LogReport) -> None:
    """Print each test's verdict with its reason, each problem, and the remarks."""
    judgement = report.judgement
    # The reason of a single test is the headline's, unless all is well.
    if len(report.tests) > 1 or report.verdict == "ok":
        for test, judged in zip(report.tests, judgement.tests, strict=True):
            to.print(
                _verdict(judged.verdict, f"{test.collective or 'a test'}: {judged.reason}", "  "),
                soft_wrap=True,
            )
    for problem in dict.fromkeys(report.problems):
        line = Text(f"  {problem.where}{problem.kind}: {one_line(problem.text, 300)}", style="red")
        line.append(f"; {problem.remedy}", style="dim")
        say(to, line)
    for note in judgement.overall.notes:
        say(to, Text(f"  note: {note}", style="dim"))


def _verdict(verdict: Verdict, reason: str, indent: str = "") -> Text:
    style = {"ok": "bold green", "inconclusive": "bold yellow"}.get(verdict, "bold red")
    return Text.assemble(indent, (verdict, style), f": {one_line(reason, 300)}")
