"""Matrices in CSV: a header of names, then a row a sender; or a line a pair, as a link map writes it."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence

from clusterboot.diagnose.matrix.checks import MOST_NODES, Rows, bad

# What people and programs write for a pair that was not measured.
_NOT_MEASURED = frozenset({"", "na", "n/a", "null", "none", "-"})
_DELIMITERS = ",;\t"
# The columns that a line a pair has at least.
_SENDER, _RECEIVER, _BANDWIDTH = "sender", "receiver", "bandwidth_gbps"


def read_csv(text: str, path: str) -> Rows:
    """Read a table with the receivers' names in its first line, or one with a line a pair.

    Each further line is a sender's: its name and its cells, in the order of the header; the
    name may be absent where the header has no corner for it. A line a pair has the columns
    ``sender``, ``receiver`` and ``bandwidth_gbps``; pairs without a line are not measured. Blank and
    NA mean not measured too.
    Errors: :class:`UsageError` for what is no such table.
    """
    first = text.lstrip("\r\n").splitlines()[0]
    delimiter = max(_DELIMITERS, key=first.count)
    lines = _blanks_apart(text, path) if delimiter not in first else _split(text, delimiter, path)
    header, body = lines[0], lines[1:]
    if {_SENDER, _RECEIVER, _BANDWIDTH} <= set(header):
        return _of_pairs(header, body, path)
    has_corner = all(line[0] in header[1:] for line in body) and bool(body)
    names = header[1:] if has_corner or not header[0] else header
    if has_corner and [line[0] for line in body] != names[: len(body)]:
        raise bad(path, "its rows are not in the order of its columns")
    skip = 1 if has_corner or not header[0] else 0
    return Rows(names, [[_cell(cell, path) for cell in line[skip:]] for line in body])


def _split(text: str, delimiter: str, path: str) -> list[list[str]]:
    try:
        lines = [line for line in csv.reader(io.StringIO(text), delimiter=delimiter, strict=True) if line]
    except csv.Error as problem:
        raise bad(path, f"it is not CSV: {problem}") from None
    return [[cell.strip() for cell in line] for line in lines]


def _blanks_apart(text: str, path: str) -> list[list[str]]:
    """Split a table that is set with blanks, in which an empty corner leaves nothing."""
    lines = [line.split() for line in text.splitlines() if line.strip()]
    header, body = lines[0], lines[1:]
    if not body or any(len(line) - len(header) not in {0, 1} for line in body):
        raise bad(path, "its first line is no header of names separated by commas or blanks")
    return [["", *header], *body] if all(len(line) > len(header) for line in body) else lines


def _cell(text: str, path: str) -> float | None:
    if text.lower() in _NOT_MEASURED:
        return None
    try:
        return float(text)
    except ValueError:
        raise bad(path, f"'{text[:40]}' is not a bandwidth") from None


def _of_pairs(header: Sequence[str], lines: Sequence[Sequence[str]], path: str) -> Rows:
    """Put a line a pair into a matrix; nodes are in the order in which they come first."""
    column = {name: at for at, name in enumerate(header)}
    if len(column) < len(header):
        raise bad(path, "a column stands in its header twice")
    for line in lines:
        if len(line) != len(header):
            raise bad(path, f"a line has {len(line)} cells for {len(header)} columns")
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

    return Rows(list(at), table(_BANDWIDTH) or [], table("latency_us"), table("one_way_gbps"))
