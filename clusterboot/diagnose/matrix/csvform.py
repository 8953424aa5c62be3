"""Matrices in CSV: a header of names, then a row a sender."""

from __future__ import annotations

import csv
import io

from clusterboot.diagnose.matrix.checks import Rows, bad

# What people and programs write for a pair that was not measured.
_NOT_MEASURED = frozenset({"", "na", "n/a", "null", "none", "-"})
_DELIMITERS = ",;\t"


def read_csv(text: str, path: str) -> Rows:
    """Read a table with the receivers' names in its first line.

    Each further line is a sender's: its name and its cells, in the order of the header; the
    name may be absent where the header has no corner for it. Blank and NA mean not measured.
    Errors: :class:`UsageError` for what is no such table.
    """
    first = text.lstrip("\r\n").splitlines()[0]
    delimiter = max(_DELIMITERS, key=first.count)
    if delimiter not in first:
        raise bad(path, "its first line is no header of names separated by commas")
    try:
        lines = [line for line in csv.reader(io.StringIO(text), delimiter=delimiter, strict=True) if line]
    except csv.Error as problem:
        raise bad(path, f"it is not CSV: {problem}") from None
    lines = [[cell.strip() for cell in line] for line in lines]
    header, body = lines[0], lines[1:]
    has_corner = all(line[0] in header[1:] for line in body) and bool(body)
    names = header[1:] if has_corner or not header[0] else header
    if has_corner and [line[0] for line in body] != names[: len(body)]:
        raise bad(path, "its rows are not in the order of its columns")
    skip = 1 if has_corner or not header[0] else 0
    return Rows(names, [[_cell(cell, path) for cell in line[skip:]] for line in body])


def _cell(text: str, path: str) -> float | None:
    if text.lower() in _NOT_MEASURED:
        return None
    try:
        return float(text)
    except ValueError:
        raise bad(path, f"'{text[:40]}' is not a bandwidth") from None
