"""Rows as they come, line by line: for a live table and for whole logs alike."""

from __future__ import annotations

import re
from dataclasses import replace

from clusterboot.bench import headers
from clusterboot.bench.lines import Line, clean
from clusterboot.bench.records import Row
from clusterboot.bench.table import (
    Columns,
    Piece,
    build_row,
    guess_columns,
    read_columns,
    take_cells,
    take_start,
)

# A library's own line: `host:pid:tid [device] NCCL INFO …`, in newer versions with a source
# file before NCCL. It can begin in the middle of a row.
_NCCL_LINE = re.compile(r"(?P<host>[A-Za-z0-9_.-]+):\d+:\d+ \[[^\]]*\](?: \S+:\d+)? NCCL [A-Z]+\b")


def is_library_chatter(text: str) -> bool:
    """Tell whether a line is wholly the library's own information: most of a debug log is."""
    return " NCCL INFO " in text and _NCCL_LINE.match(text) is not None


def cut_noise(text: str, hosts: frozenset[str]) -> str:
    """Cut off the end of a line what is another line that landed in a row.

    Parameters: a line; the hosts seen so far, which tell where a name begins that is glued
    to the last cell (``-1gpu001:…``).
    """
    if not text.lstrip().startswith("#"):
        # alltoallv's summary is printed by the program itself, in the middle of its own row.
        text = text.partition("#")[0]
    match = _NCCL_LINE.search(text) if " NCCL " in text else None
    if not match:
        return text
    known = max((host for host in hosts if match["host"].endswith(host)), key=len, default=match["host"])
    return text[: match.end("host") - len(known)]


class RowReader:
    """Gives each row as soon as its last cell is there.

    Feed it every line of the output, not only rows: it learns the columns and the hosts from
    them. ``broken`` counts rows that were begun and never finished; ``columns`` is the
    current table's header, ``None`` before one was seen.
    """

    def __init__(self) -> None:
        self.columns: Columns | None = None
        self.broken = 0
        self._piece: Piece | None = None
        self._hosts: frozenset[str] = frozenset()
        self._number = 0

    def feed_text(self, text: str) -> Row | None:
        """Take the next line as it came, and give the row that it completes, if any."""
        self._number += 1
        return self.feed(clean(self._number, text))

    def feed(self, line: Line) -> Row | None:
        """Take the next cleaned line, and give the row that it completes, if any."""
        if rank := headers.rank(line.text):
            self._hosts |= {rank.host}
            return None
        if columns := read_columns(line.text):
            self.abandon()
            self.columns = columns
            return None
        if headers.ends_table(line.text):
            self.abandon()
            return None
        text = cut_noise(line.text, self._hosts)
        begun = take_start(text, line.number)
        if begun:
            self.abandon()
            self._piece, text = begun
        if self._piece is None:
            return None
        return self._extend(self._piece, text, whole=begun is not None, ended=line.ended)

    def abandon(self) -> None:
        """Give up the row that is unfinished, if there is one: nothing more of it can come."""
        if self._piece is not None:
            self.broken += 1
        self._piece = None

    def _extend(self, piece: Piece, text: str, *, whole: bool, ended: bool) -> Row | None:
        cells, _ = take_cells(text)
        self._piece = piece = replace(piece, cells=piece.cells + cells)
        columns = self.columns or (guess_columns(piece) if whole else None)
        # A last line without its end may have lost digits of its last cell.
        row = build_row(piece, columns) if columns and cells and ended else None
        if row is not None:
            self.columns = columns
            self._piece = None
        return row
