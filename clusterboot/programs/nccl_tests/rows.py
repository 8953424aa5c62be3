"""Rows as they come, line by line: for a live table and for whole logs alike."""

from __future__ import annotations

import re
from collections.abc import Set
from dataclasses import dataclass, replace

from ..messages.nccl_warnings import LIBRARY
from ..records import Row
from . import headers
from .log_lines import Line, segments
from .table import (
    Columns,
    Piece,
    agrees_with_itself,
    build_row,
    count_fits,
    find_start,
    guess_columns,
    read_columns,
    take_cells,
    take_redop,
)

# A library's own line, which can begin in the middle of a row.
_NCCL_LINE = re.compile(rf"{LIBRARY}[A-Z]+\b")
# What may stand behind the last cell of a piece: -S's time, another program's bracketed line.
_AFTER_CELLS = re.compile(r"\s*(?:$|\[|\||\d{4}-\d\d-\d\d \d\d:)")
# No cell: a row with this in it is never finished.
_DOUBT = "?"


def is_library_chatter(text: str) -> bool:
    """Tell whether a line is wholly the library's own information: most of a debug log is."""
    return " NCCL INFO " in text and _NCCL_LINE.match(text) is not None


def cut_noise(text: str, hosts: Set[str]) -> str:
    """Cut off the end of a line what is another line that landed in a row.

    Parameters: a line; the hosts seen so far, which tell where a name begins that is glued
    to the last cell (``-1gpu001:…``).
    Returns: the row's own part; with a mark at its end where it cannot be told which
    letters are the cell's and which an unknown host's.
    """
    if "#" in text and not text.lstrip().startswith("#"):
        # alltoallv's summary is printed by the program itself, in the middle of its own row.
        text = text.partition("#")[0]
    match = _NCCL_LINE.search(text) if " NCCL " in text else None
    if not match:
        return text
    known = max((host for host in hosts if match["host"].endswith(host)), key=len, default=None)
    if known is None:
        return text[: match.start()] + _DOUBT
    return text[: match.end("host") - len(known)]


@dataclass(frozen=True)
class _Open:
    """A row that is not finished: its words as they came, in how many pieces.

    ``doubtful`` is true where the line before may have taken the size's first digits.
    """

    start: tuple[str, str, str]
    rest: str
    line: int
    parts: int = 1
    doubtful: bool = False

    def joined(self, text: str) -> tuple[_Open, ...]:
        """Give the ways in which a further piece can belong to it: glued, or after a lost space."""
        ways = (
            (self.rest + text,)
            if text[:1].isspace() or not text
            else (self.rest + text, f"{self.rest} {text}")
        )
        return tuple(replace(self, rest=rest, parts=self.parts + 1) for rest in ways)

    def piece(self) -> Piece:
        redop, rest = take_redop(self.rest)
        return Piece(self.start, redop, take_cells(rest)[0], self.line)


class RowReader:
    """Gives each row as soon as its last cell is there.

    Feed it every line of the output, not only rows: it learns the columns and the hosts from
    them. ``broken`` counts rows that were begun and never finished; ``columns`` is the
    current table's header, ``None`` before one was seen.
    """

    def __init__(self) -> None:
        self.columns: Columns | None = None
        self.broken = 0
        self._open: dict[int | None, _Open] = {}
        self._hosts: set[str] = set()
        self._number = 0
        self._uneven = False
        self._after_noise = False

    def feed_text(self, text: str) -> Row | None:
        """Take the next line as it came, and give the row that it completes, if any."""
        self._number += 1
        rows = [row for line in segments(self._number, text) for row in self.feed(line)]
        return rows[-1] if rows else None

    def feed(self, line: Line) -> tuple[Row, ...]:
        """Take the next cleaned line, and give the rows that it completes.

        A line whose end was lost can end one row and begin another.
        """
        start = find_start(line.text)
        doubtful = self._after_noise and line.text[:1].isdigit()
        self._after_noise = " NCCL " in line.text
        if start is None:
            rows = self._learn(line) if headers.may_be(line.text) else None
            if rows is None:
                return self._continue(line, line.text, line.ended) if self._open else ()
            return rows
        rows = ()
        rest = line.text
        while start is not None:
            match, words = start
            rows += self._continue(line, rest[: match.start()], ended=True) if self._open else ()
            rows += self._close(line.rank)
            rest = rest[match.end() :]
            start = find_start(rest)
            own = rest if start is None else rest[: start[0].start()]
            ended = line.ended if start is None else True
            new = _Open(words, self._words(own), line.number, doubtful=doubtful)
            rows += self._begin(new, line.rank, ended)
        return rows

    def know_host(self, host: str) -> None:
        """Learn a host's name from a line that is not fed: it tells where other lines begin."""
        self._hosts.add(host)
        self._after_noise = True

    def abandon(self) -> tuple[Row, ...]:
        """Close every row that is open: nothing more of it can come.

        Returns: those that were whole and only waited for their line's end.
        """
        return tuple(row for rank in tuple(self._open) for row in self._close(rank))

    def drop_unended(self) -> None:
        """Give up every open row at the log's end: the last cell may have lost digits."""
        self.broken += len(self._open)
        self._open.clear()

    def _learn(self, line: Line) -> tuple[Row, ...] | None:
        """Take in a line that is no row; give the rows that it closes, ``None`` where it closes nothing."""
        text = line.text
        if rank := headers.rank(text):
            self._hosts.update([rank.host] if rank.host else [])
        elif columns := read_columns(text):
            closed = self.abandon()
            self.columns = columns
            return closed
        elif headers.ends_table(text):
            if name := headers.said(text, "starting"):
                # Of this one alone the ranks' shares differ.
                self._uneven = "alltoallv" in name
            return self.abandon()
        return None

    def _begin(self, new: _Open, rank: int | None, ended: bool) -> tuple[Row, ...]:
        row = self._built(new) if ended else None
        if row is None:
            self._open[rank] = new
            return ()
        return (row,)

    def _continue(self, line: Line, text: str, ended: bool) -> tuple[Row, ...]:
        """Take a line that begins no row as the next piece of an open one, if it can be that."""
        key = line.rank if line.rank in self._open else next(iter(self._open))
        if key != line.rank and (len(self._open) > 1 or (line.rank is not None and key is not None)):
            # Another process's line, or one whose owner cannot be told.
            return ()
        own = cut_noise(text, self._hosts)
        if own.endswith(_DOUBT):
            self._open[key] = replace(self._open[key], rest=f"{self._open[key].rest} {_DOUBT}")
            return ()
        cells, left = take_cells(own)
        if (not cells and own.strip()) or not _AFTER_CELLS.match(left):
            return ()
        ways = self._open[key].joined(own[: len(own) - len(left)])
        self._open[key] = ways[0]
        if not ended:
            return ()
        for way in ways:
            row = self._built(way)
            if row is not None:
                del self._open[key]
                return (row,)
        longest = max(ways, key=lambda way: len(way.piece().cells))
        self._open[key] = longest
        return ()

    def _close(self, rank: int | None) -> tuple[Row, ...]:
        """End the open row of one process: a line of its own follows."""
        key = rank if rank in self._open else None
        opened = self._open.pop(key, None)
        if opened is None:
            return ()
        row = self._built(opened)
        if row is None:
            self.broken += 1
            return ()
        return (row,)

    def _words(self, text: str) -> str:
        """Cut what follows a row's type down to the words that are the row's own."""
        own = cut_noise(text, self._hosts)
        if len(own) < len(text):
            # What stands before another line's beginning may be half a cell.
            return own
        _, rest = take_redop(own)
        _, left = take_cells(rest)
        return own[: len(own) - len(left)]

    def _built(self, opened: _Open) -> Row | None:
        piece = opened.piece()
        columns = self.columns
        if columns is None:
            columns = guess_columns(piece) if opened.parts == 1 else None
        row = build_row(piece, columns) if columns and piece.cells else None
        if row is None or columns is None:
            return None
        if (opened.doubtful or opened.parts > 1) and not (self._uneven or count_fits(row)):
            return None
        if opened.parts > 1 and not columns.cpu_time and not agrees_with_itself(row):
            return None
        self.columns = columns
        return row
