"""Rows of a benchmark's table, in any layout: the column header says what the cells are."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

from clusterboot.bench.collectives import DTYPE_BYTES
from clusterboot.bench.records import Layout, Placement, Row
from clusterboot.units import gbps

_NUMBER = r"-?(?:\d+(?:\.\d*)?(?:[eE][+-]?\d+)?|inf|nan)"
_CELL = re.compile(rf"\s*(N/A|{_NUMBER})(?=\s|$)")
_START = re.compile(r"\s*(\d+)\s+(\d+)\s+([a-z][a-z0-9_]*)(?=\s|$)")
_WORD = re.compile(r"\s+([a-z]+)(?=\s|$)")
_FLOAT_ERROR = re.compile(r"\de[+-]\d\d$")
_LAST_COLUMN: dict[str, Layout] = {"res": "1", "error": "2.0", "#wrong": "2.13"}


@dataclass(frozen=True)
class Columns:
    """What a table's column header says: the layout, and which cells a row has.

    ``cells`` is the number of cells of one placement; ``placements`` 1 where the table has
    only the out-of-place half.
    """

    layout: Layout
    redop: bool
    root: bool
    cells: int
    placements: int


@dataclass(frozen=True)
class Piece:
    """The beginning of a row: its cells so far, as they were printed, and the line it began in."""

    start: tuple[str, str, str]
    redop: str | None
    cells: tuple[str, ...]
    line: int


def read_columns(text: str) -> Columns | None:
    """Read a column header, such as ``#  size  count  type  redop  root  time …``.

    The ``#`` may be missing: pasting a log into a web page often eats it.
    Returns: ``None`` for any other line. Times of layout 1 are milliseconds.
    """
    words = text.lstrip().removeprefix("#").split()
    if len(words) < 7 or words[:3] not in (["size", "count", "type"], ["bytes", "N", "type"]):
        return None
    times = [at for at, word in enumerate(words) if word in ("time", "cputime")]
    last = next((word for word in words if word in _LAST_COLUMN), None)
    if len(times) not in (1, 2) or last is None:
        return None
    end = times[1] if len(times) == 2 else len(words)
    layout = "2.19" if "i_min" in words else _LAST_COLUMN[last]
    named = words[3 : times[0]]
    return Columns(layout, "redop" in named or "op" in named, "root" in named, end - times[0], len(times))


def take_start(text: str, line: int) -> tuple[Piece, str] | None:
    """Take the beginning of a row off a line: size, count, type, and the redop where there is one.

    Returns: the piece and the rest of the line; ``None`` where no row begins.
    """
    match = _START.match(text)
    if not match or match[3] not in DTYPE_BYTES:
        return None
    rest = text[match.end() :]
    redop = _WORD.match(rest)
    if redop:
        rest = rest[redop.end() :]
    return Piece((match[1], match[2], match[3]), redop[1] if redop else None, (), line), rest


def take_cells(text: str) -> tuple[tuple[str, ...], str]:
    """Take numbers and ``N/A`` off a line's beginning, up to the first thing that is neither."""
    cells = []
    while match := _CELL.match(text):
        cells.append(match[1])
        text = text[match.end() :]
    return tuple(cells), text


def guess_columns(piece: Piece) -> Columns | None:
    """Tell the layout of a whole line's row whose table's header is lost.

    Returns: ``None`` unless the row can be of one layout only.
    """
    if piece.redop is None:
        return None
    if len(piece.cells) == 17:
        return Columns("2.19", redop=True, root=True, cells=8, placements=2)
    guess = Columns("2.13", redop=True, root=True, cells=4, placements=2)
    row = build_row(piece, guess)
    if row is None or any(_FLOAT_ERROR.search(piece.cells[at]) for at in (4, 8)):
        return None
    # Half a row of layout 2.19 has as many cells; its second "time" does not fit its "algbw".
    return guess if all(_fits(row.size_bytes, place) for place in row.placements) else None


def _fits(size_bytes: int, place: Placement) -> bool:
    if place.time_us is None or place.algbw_gbps is None:
        return False
    return math.isclose(gbps(size_bytes, place.time_us), place.algbw_gbps, rel_tol=0.02, abs_tol=0.02)


def build_row(piece: Piece, columns: Columns) -> Row | None:
    """Make a row of a piece that has all its cells.

    Returns: ``None`` where cells are missing or too many, or a cell is not what it should be.
    """
    wanted = columns.cells * columns.placements + columns.root
    if len(piece.cells) != wanted or (piece.redop is not None and not columns.redop):
        return None
    root: int | None = None
    cells = piece.cells
    if columns.root:
        if not re.fullmatch(r"-?\d+", cells[0]):
            return None
        root, cells = int(cells[0]), cells[1:]
    halves = [cells[at : at + columns.cells] for at in range(0, len(cells), columns.cells)]
    places = [_placement(half, columns.layout) for half in halves]
    redop = None if piece.redop == "none" else piece.redop
    in_place = places[1] if len(places) == 2 else None
    return Row(
        int(piece.start[0]), int(piece.start[1]), piece.start[2], redop, root, places[0], in_place, piece.line
    )


def _placement(cells: Sequence[str], layout: Layout) -> Placement:
    time, algbw, busbw, last = (_number(cell) for cell in cells[:4])
    if layout in ("1", "2.0"):
        scale = 1000 if layout == "1" else 1
        # Rounded, because milliseconds with three decimals are whole microseconds.
        return Placement(None if time is None else round(time * scale, 6), algbw, busbw, error=last)
    return Placement(time, algbw, busbw, wrong=None if last is None else int(last))


def _number(cell: str) -> float | None:
    if cell == "N/A":
        return None
    value = float(cell)
    return value if math.isfinite(value) else None
