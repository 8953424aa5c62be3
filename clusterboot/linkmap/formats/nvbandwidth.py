"""What NVIDIA's nvbandwidth prints, as text or as JSON: tables of GPUs, each below its test's name.

Source: nvbandwidth's README and output.cpp, json_output.cpp. ``GPU(row) -> GPU(column)`` says which of the
two sends; ``<->`` has both directions at once. Tables of CPU and GPU, and of one row, are of no pairs.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from .cells import Rows, bad
from .stored import Format, Table
from .tables import CAPTION_LENGTH, Cells, numbered_table

_RUNNING = re.compile(r"\s*Running (\w+)\.?\s*$")
_CAPTION = re.compile(r".*\b(?P<one>\w+)\(row\) (?P<arrow><->|->|<-) (?P<other>\w+)\(column\)(?P<rest>.*)")
_PROCESS = re.compile(r"\s*Process (\d{1,6}) \((\S{1,200})\): device (\d{1,3}):")
# A launcher may have said something before it, and after.
_DOCUMENT = re.compile(r'^[ \t]*\{\s*"nvbandwidth"', re.MULTILINE)
_TITLE = re.compile(r"^\s*nvbandwidth Version\b", re.MULTILINE)
_GPU = frozenset({"GPU"})


def _caption(line: str) -> re.Match[str] | None:
    return _CAPTION.match(line[:CAPTION_LENGTH])


def _recognises(text: str) -> bool:
    if _DOCUMENT.search(text[:20_000]):
        return True
    return bool(_TITLE.search(text[:20_000])) or ("(row)" in text and any(map(_caption, text.splitlines())))


def _read(text: str, path: str) -> list[Table]:
    document = _DOCUMENT.search(text[:20_000])
    found = list(_from_json(text[document.start() :].lstrip(), path) if document else _from_text(text, path))
    tables = [table for table in found if table is not None]
    if not tables:
        raise bad(path, "it is nvbandwidth's output without a table of GPU to GPU bandwidths")
    left_out = len(found) - len(tables)
    if left_out:
        note = (
            f"{left_out} further {'tables are' if left_out > 1 else 'table is'} not of GPU to GPU bandwidths"
        )
        tables[0] = Table(tables[0].rows, tables[0].caption, (*tables[0].notes, note))
    return tables


def _from_text(text: str, path: str) -> Iterator[Table | None]:
    lines = text.splitlines()
    processes = {int(m[1]): f"{m[2]}:gpu{m[3]}" for line in lines if (m := _PROCESS.match(line))}
    test = ""
    for at, line in enumerate(lines):
        if running := _RUNNING.match(line):
            test = running[1]
        elif caption := _caption(line):
            if not _is_of_pairs(caption):
                yield None
                continue
            columns, rows, cells = numbered_table(lines, at + 1, "", path)
            if columns != rows:
                raise bad(path, f"its table in line {at + 2} has {len(rows)} rows for {len(columns)} columns")
            names = [processes.get(number, f"gpu{number}") for number in columns]
            yield _table(names, cells, test, caption)


def _from_json(text: str, path: str) -> Iterator[Table | None]:
    try:
        document, _ = json.JSONDecoder().raw_decode(text)
    except (ValueError, RecursionError) as problem:
        raise bad(path, f"it is not JSON: {problem}") from None
    inner = document.get("nvbandwidth") if isinstance(document, dict) else None
    cases = inner.get("testcases") if isinstance(inner, dict) else None
    for case in cases if isinstance(cases, list) else ():
        caption = _caption(str(case.get("bandwidth_description", ""))) if isinstance(case, dict) else None
        rows = case.get("bandwidth_matrix") if isinstance(case, dict) else None
        if caption is None or not isinstance(rows, list):
            continue
        if not _is_of_pairs(caption):
            yield None
            continue
        cells = [[_number(cell, path) for cell in row] if isinstance(row, list) else [] for row in rows]
        yield _table([f"gpu{at}" for at in range(len(rows))], cells, str(case.get("name", "")), caption)


def _is_of_pairs(caption: re.Match[str]) -> bool:
    return {caption["one"].upper(), caption["other"].upper()} == _GPU and "(GB/s)" in caption["rest"]


def _table(names: list[str], cells: Cells, test: str, caption: re.Match[str]) -> Table:
    if caption["arrow"] == "<-" and all(len(row) == len(cells) for row in cells):
        cells = [list(column) for column in zip(*cells, strict=True)]
    both = "total" in caption["rest"].lower()
    notes = ("each figure is that of both directions together",) if both else ()
    words = " ".join(caption[0].split())
    return Table(Rows(names, cells), f"{test}: {words}" if test else words, notes)


def _number(cell: Any, path: str) -> float | None:
    if cell is None or cell == "N/A":
        return None
    try:
        return float(cell)
    except (TypeError, ValueError):
        raise bad(path, f"{str(cell)[:40]!r} is not a bandwidth") from None


NVBANDWIDTH = Format("nvbandwidth's output", _recognises, _read)
