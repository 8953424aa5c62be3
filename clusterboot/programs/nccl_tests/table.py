"""Rows of a benchmark's table, in any layout: the column header says what the cells are."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

from clusterboot.units import gb_s

from ..collectives import DTYPE_BYTES
from ..records import Layout, Placement, Row

_NUMBER = r"-?(?:\d+(?:\.\d*)?(?:[eE][+-]?\d+)?|inf|nan)"
# rccl-tests marks an error beyond its threshold with an asterisk.
_CELL = re.compile(rf"\s*(N/A|{_NUMBER})\*?(?=[\s\[|]|$)")
_START = re.compile(r"(?<![\w.])(\d+)\s+(\d+)\s+([a-z][a-z0-9_]*)(?=\s|$)")
_WORD = re.compile(r"\s+([a-z]+)(?=[\s\[]|$)")
_FLOAT_ERROR = re.compile(r"-?(?:\de[+-]\d\d|nan|inf)|N/A")
_MILLISECONDS = re.compile(r"\d+\.\d{3}")
_LAST_COLUMN: dict[str, Layout] = {"res": "1", "error": "2.0", "#wrong": "2.13", "wrong": "2.13"}
# A header of this many words has the per-iteration columns of -I.
_ITERATION_COLUMN = "i_min"


@dataclass(frozen=True)
class Columns:
    """What a table's column header says: the layout, and which cells a row has.

    ``cells`` is the number of cells of one placement; ``placements`` 1 where the table has
    one half only: the out-of-place one, or with ``only_in_place`` the other. ``cpu_time`` is
    true where the time is not the one that the bandwidth was reckoned with (``-C 1``).
    """

    layout: Layout
    redop: bool
    root: bool
    cells: int
    placements: int
    only_in_place: bool = False
    cpu_time: bool = False

    @property
    def wanted(self) -> int:
        """The number of cells after the redop of a whole row."""
        return self.cells * self.placements + self.root


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
    words = text.lstrip(" \t#").split()
    if len(words) < 7 or words[:3] not in (["size", "count", "type"], ["bytes", "N", "type"]):
        return None
    times = [at for at, word in enumerate(words) if word in ("time", "cputime")]
    last = next((at for at, word in enumerate(words) if word in _LAST_COLUMN), None)
    if len(times) not in (1, 2) or last is None:
        return None
    per_iteration = _ITERATION_COLUMN in words
    cells = 8 if per_iteration else last - times[0] + 1
    if len(times) == 2 and times[1] - times[0] != cells:
        return None
    named = words[3 : times[0]]
    return Columns(
        "2.19" if per_iteration else _LAST_COLUMN[words[last]],
        "redop" in named or "op" in named,
        "root" in named,
        cells,
        len(times),
        # 2018's broadcast has no in-place half; rccl-tests can leave out the other.
        only_in_place=len(times) == 1 and words[last] != "res",
        cpu_time="cputime" in words,
    )


def find_start(text: str) -> tuple[re.Match[str], tuple[str, str, str]] | None:
    """Find where in a line a row begins: size, count and a type that is one.

    Returns: the match, and the three words; ``None`` where no row begins.
    """
    for match in _START.finditer(text):
        if match[3] in DTYPE_BYTES:
            return match, (match[1], match[2], match[3])
    return None


def take_redop(text: str) -> tuple[str | None, str]:
    """Take the reduction's name off the words that follow a row's type.

    Returns: the name, ``None`` where the cell is blank or the table has none; the rest.
    """
    match = _WORD.match(text)
    if match is None or match[1] in ("inf", "nan"):
        return None, text
    return match[1], text[match.end() :]


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
    cells, redop = piece.cells, piece.redop is not None
    if len(cells) == 17 and redop:
        return Columns("2.19", redop=True, root=True, cells=8, placements=2)
    for root in (False, True):
        if root and cells[:1] == ("-1",):
            # These layouts print a root only where there is one.
            continue
        if len(cells) == 8 + root and all(_FLOAT_ERROR.fullmatch(cells[at + root]) for at in (3, 7)):
            return _guess_float_error(cells[root:], redop=redop, root=root)
    if not redop or len(cells) != 9:
        return None
    guess = Columns("2.13", redop=True, root=True, cells=4, placements=2)
    row = build_row(piece, guess)
    # Half a row of layout 2.19 has as many cells; its second "time" does not fit its "algbw".
    return guess if row and all(_fits(row.size_bytes, place) for place in row.placements) else None


def _guess_float_error(cells: Sequence[str], *, redop: bool, root: bool) -> Columns | None:
    if "N/A" in (cells[3], cells[7]) and not _MILLISECONDS.fullmatch(cells[0]):
        # Without a check the last cell of every layout is the same.
        return None
    layout: Layout = "1" if all(_MILLISECONDS.fullmatch(cells[at]) for at in (0, 4)) else "2.0"
    return Columns(layout, redop=redop, root=root, cells=4, placements=2)


def _fits(size_bytes: int, place: Placement) -> bool:
    if place.time_us is None or place.algbw_gb_s is None:
        return False
    return math.isclose(gb_s(size_bytes, place.time_us), place.algbw_gb_s, rel_tol=0.02, abs_tol=0.02)


def build_row(piece: Piece, columns: Columns) -> Row | None:
    """Make a row of a piece that has all its cells.

    Returns: ``None`` where cells are missing or too many, or a cell is not what it should be.
    """
    if len(piece.cells) != columns.wanted or (piece.redop is not None and not columns.redop):
        return None
    root: int | None = None
    cells = piece.cells
    if columns.root:
        if not re.fullmatch(r"-?\d+", cells[0]):
            return None
        root, cells = int(cells[0]), cells[1:]
    halves = [cells[at : at + columns.cells] for at in range(0, len(cells), columns.cells)]
    places = [_placement(half, columns.layout) for half in halves]
    if any(place is None for place in places):
        return None
    first, second = places[0], places[1] if len(places) == 2 else None
    if columns.only_in_place:
        first, second = None, first
    redop = None if piece.redop == "none" else piece.redop
    return Row(
        int(piece.start[0]), int(piece.start[1]), piece.start[2], redop, root, first, second, piece.line
    )


def _placement(cells: Sequence[str], layout: Layout) -> Placement | None:
    """Read one half of a row; ``None`` where its last cell cannot be what the layout says."""
    time, algbw, busbw, last = (finite(cell) for cell in cells[:4])
    if layout in ("1", "2.0"):
        scale = 1000 if layout == "1" else 1
        # Rounded, because milliseconds with three decimals are whole microseconds.
        return Placement(None if time is None else round(time * scale, 6), algbw, busbw, error=last)
    if last is not None and (last < 0 or not last.is_integer()):
        return None
    return Placement(time, algbw, busbw, wrong=None if last is None else int(last))


def finite(cell: str) -> float | None:
    """Read a printed number; ``None`` for ``N/A``, ``inf`` and ``nan``, and for what is no number."""
    try:
        value = float(cell)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def count_fits(row: Row) -> bool:
    """Tell whether a row's size is its count of elements, or that for each of some ranks.

    False for a size that lost its first digits to another process's line.
    """
    least = (row.count or 0) * DTYPE_BYTES[row.dtype]
    return row.size_bytes % least == 0 if least else row.size_bytes == 0


def agrees_with_itself(row: Row) -> bool:
    """Tell whether both halves of a row can be of one size: time times algbw, busbw over algbw.

    For rows put together from pieces: halves of two processes' rows do not agree. True where
    the figures are too coarse to tell.
    """
    first, second = row.out_of_place, row.in_place
    if first is None or second is None:
        return True
    sizes = [_range(place.time_us, place.algbw_gb_s, multiply=True) for place in (first, second)]
    factors = [_range(place.busbw_gb_s, place.algbw_gb_s, multiply=False) for place in (first, second)]
    return _overlap(sizes) and _overlap(factors)


def _range(a: float | None, b: float | None, *, multiply: bool) -> tuple[float, float] | None:
    """Give between which values a product or quotient of two printed figures lies."""
    if a is None or b is None or (not multiply and b <= 0.05):
        return None
    half_a, half_b = _half_digit(a), _half_digit(b)
    if multiply:
        return max(0.0, a - half_a) * max(0.0, b - half_b), (a + half_a) * (b + half_b)
    return max(0.0, a - half_a) / (b + half_b), (a + half_a) / max(b - half_b, 0.01)


def _half_digit(value: float) -> float:
    # Two decimals at best; three significant digits at worst, two in the narrowest exponents.
    return max(0.006, value * (0.006 if value < 1e5 else 0.06))


def _overlap(ranges: list[tuple[float, float] | None]) -> bool:
    known = [each for each in ranges if each is not None]
    return len(known) < 2 or max(low for low, _ in known) <= min(high for _, high in known)
