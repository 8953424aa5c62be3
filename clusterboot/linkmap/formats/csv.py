"""Matrices in CSV: a header of names, then a row a sender; or a line a pair, as a link map writes it."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Sequence

from clusterboot.schema_1 import current_name

from .cells import ABSENT, MOST_NODES, Rows, bad, bandwidth
from .othertools import kind_of_csv
from .pairtable import is_pair_table, read_pair_table
from .stored import Format, Found, Table

# Columns of a benchmark's table; no node is called so.
_MEASURES = frozenset({"size", "bytes", "count", "time", "time_us", "algbw", "busbw", "latency", "bandwidth"})
_TRIPLE = 3
_NAMELESS = "write the columns above them, as in: src,dst,GB/s"
_DELIMITERS = ",;\t"
_COMMA = re.compile(r"\d+,\d+")
_THOUSAND = re.compile(r"[1-9]\d{0,2},\d{3}")
_POINT = re.compile(r"\d+\.\d+")
# The columns that a line a pair has at least.
_SENDER, _RECEIVER = "sender", "receiver"
_BANDWIDTH, _ONE_WAY = "bandwidth_gb_s", "one_way_gb_s"


def _read(text: str, path: str) -> list[Found]:
    """Read a table with the receivers' names in its first line, or one with a line a pair.

    Each further line is a sender's: its name and its cells, in the order of the header; the
    name may be absent where the header has no corner for it. A line a pair has the columns
    ``sender``, ``receiver`` and ``bandwidth_gb_s``; pairs without a line are not measured. Blank and
    NA mean not measured too. Other programs' tables of pairs become figures of pairs.
    Errors: :class:`UsageError` for what is no such table.
    """
    text = _without_remarks(text)
    if not text.strip():
        raise bad(path, "it is empty")
    first = text.lstrip("\r\n").splitlines()[0]
    delimiter = ";" if first.count(";") > 1 else max(_DELIMITERS, key=first.count)
    lines = _blanks_apart(text, path) if delimiter not in first else _split(text, delimiter, path)
    header, body = lines[0], lines[1:]
    if len(header) == _TRIPLE and all(map(_is_triple, lines)):
        raise bad(path, "its lines have two names and a figure, and none says what they are", _NAMELESS)
    columns = [current_name(name) for name in header]
    if {_SENDER, _RECEIVER, _BANDWIDTH} <= set(columns):
        return [Table(_of_pairs(columns, body, path))]
    if is_pair_table(header):
        return list(read_pair_table(header, body, path))
    has_corner = all(line[0] in header[1:] for line in body) and bool(body)
    names = header[1:] if has_corner or not header[0] else header
    if not has_corner and _is_other(header, body) and (kind := kind_of_csv(header)):
        raise bad(path, f"it is {kind}")
    if has_corner and [line[0] for line in body] != names[: len(body)]:
        raise bad(path, "its rows are not in the order of its columns")
    if not all(names):
        raise bad(path, "its first line has an empty name")
    skip = 1 if has_corner or not header[0] else 0
    return [Table(Rows(names, [[_cell(cell, path) for cell in line[skip:]] for line in body]))]


def _is_triple(line: Sequence[str]) -> bool:
    return len(line) == _TRIPLE and not any(map(_is_cell, line[:2])) and _is_cell(line[2])


def _without_remarks(text: str) -> str:
    """Leave out lines like ``# made by …`` that stand above a header with separators."""
    rest = text.lstrip("\r\n")
    while rest.startswith("#") and "\n" in rest:
        line, _, below = rest.partition("\n")
        if any(mark in line for mark in _DELIMITERS):
            break
        rest = below.lstrip("\r\n")
    first = rest.partition("\n")[0]
    return rest if any(mark in first for mark in _DELIMITERS) else text


def _is_other(header: Sequence[str], body: Sequence[Sequence[str]]) -> bool:
    """Tell whether a table without names of rows is none of bandwidths between the names of its columns."""
    if len(body) != len(header) or _MEASURES & {name.lower() for name in header}:
        return True
    return any(not _is_cell(cell) for line in body for cell in line)


def _is_cell(text: str) -> bool:
    try:
        return text.lower() in ABSENT or float(text) is not None
    except ValueError:
        return False


def _split(text: str, delimiter: str, path: str) -> list[list[str]]:
    try:
        lines = [line for line in csv.reader(io.StringIO(text), delimiter=delimiter, strict=True) if line]
    except csv.Error as problem:
        raise bad(path, f"it is not CSV: {problem}") from None
    return _with_points([[cell.strip() for cell in line] for line in lines], path)


def _with_points(lines: list[list[str]], path: str) -> list[list[str]]:
    """Read decimal commas, as spreadsheets of many countries write them.

    Errors: :class:`UsageError` where a comma may as well part thousands.
    """
    cells = [cell for line in lines for cell in line if "," in cell and _COMMA.fullmatch(cell)]
    if not cells or any(_POINT.fullmatch(cell) for line in lines for cell in line):
        return lines
    if all(_THOUSAND.fullmatch(cell) for cell in cells):
        raise bad(path, f"'{cells[0][:40]}' may be a fraction or thousands", "write decimal points in it")
    return [[cell.replace(",", ".") if _COMMA.fullmatch(cell) else cell for cell in line] for line in lines]


def _blanks_apart(text: str, path: str) -> list[list[str]]:
    """Split a table that is set with blanks, in which an empty corner leaves nothing."""
    lines = [line.split() for line in text.splitlines() if line.strip()]
    header, body = lines[0], lines[1:]
    if not body or any(len(line) - len(header) not in {0, 1} for line in body):
        raise bad(path, "its first line is no header of names separated by commas or blanks")
    return [["", *header], *body] if all(len(line) > len(header) for line in body) else lines


def _cell(text: str, path: str) -> float | None:
    return None if text.lower() in ABSENT else bandwidth(text, path)


def _of_pairs(header: Sequence[str], lines: Sequence[Sequence[str]], path: str) -> Rows:
    """Put a line a pair into a matrix; nodes are in the order in which they come first."""
    column = {name: at for at, name in enumerate(header)}
    if len(column) < len(header):
        raise bad(path, "a column stands in its header twice")
    for line in lines:
        if len(line) != len(header):
            raise bad(path, f"a line has {len(line)} cells for {len(header)} columns")
    # The lines of hosts, which a link map writes below, have no pair.
    lines = [line for line in lines if line[column[_SENDER]] or line[column[_RECEIVER]]]
    pairs = [(line[column[_SENDER]], line[column[_RECEIVER]]) for line in lines]
    at = {name: index for index, name in enumerate(dict.fromkeys(name for pair in pairs for name in pair))}
    if len(at) > MOST_NODES:
        raise bad(path, f"it names {len(at)} nodes, where 2 to {MOST_NODES} are read")
    if len(set(pairs)) < len(pairs):
        raise bad(path, "it has two lines of one sender and receiver")

    def table(which: str) -> list[list[float | None]] | None:
        if which not in column:
            return None
        rows: list[list[float | None]] = [[None] * len(at) for _ in at]
        for line, (sender, receiver) in zip(lines, pairs, strict=True):
            rows[at[sender]][at[receiver]] = _cell(line[column[which]], path)
        return rows

    return Rows(list(at), table(_BANDWIDTH) or [], table("latency_us"), table(_ONE_WAY))


CSV = Format("a table of bandwidths", bool, _read)
