"""Tables of devices by number, as nvbandwidth and p2pBandwidthLatencyTest print them."""

from __future__ import annotations

import re
from collections.abc import Sequence

from .cells import MOST_NODES, bad

# A caption is no longer, however long a line is.
CAPTION_LENGTH = 300
_NUMBER = re.compile(r"[0-9]{1,5}")

Cells = list[list[float | None]]


def numbered_table(
    lines: Sequence[str], at: int, corner: str, path: str
) -> tuple[list[int], list[int], Cells]:
    """Read a table whose columns and rows are numbered.

    Parameters: the lines; the place of its line of columns; the word in that line's corner, ``""``
    for none; the file's name for errors.
    Returns: the columns' numbers, the rows' numbers, the cells; ``None`` is N/A.
    Errors: :class:`UsageError` where a row has more or fewer cells than there are columns.
    """
    words = lines[at].split() if at < len(lines) else []
    if corner and words[:1] == [corner]:
        words = words[1:]
    if not words or not all(map(_NUMBER.fullmatch, words)) or len(words) > MOST_NODES:
        raise bad(path, f"its table in line {at + 1} has no line of columns")
    columns = [int(word) for word in words]
    numbers: list[int] = []
    cells: Cells = []
    for line in lines[at + 1 :]:
        row = line.split()
        if not row or not _NUMBER.fullmatch(row[0]):
            break
        if len(row) != len(columns) + 1:
            raise bad(
                path,
                f"its table in line {at + 1} has a row of {len(row) - 1} cells for {len(columns)} columns",
            )
        numbers.append(int(row[0]))
        cells.append([_cell(word, path) for word in row[1:]])
    return columns, numbers, cells


def _cell(word: str, path: str) -> float | None:
    if word.upper() in {"N/A", "-"}:
        return None
    try:
        return float(word)
    except ValueError:
        raise bad(path, f"'{word[:40]}' is not a bandwidth") from None
