"""Tables of the GPUs of one machine, or of a job's: what nvbandwidth and p2pBandwidthLatencyTest print.

Sources: nvbandwidth's README, output.cpp and json_output.cpp. ``GPU(row) -> GPU(column)`` says which of the
two sends; ``<->`` has both directions at once. Tables of CPU and GPU, and of one row, are of no pairs.
p2pBandwidthLatencyTest.cu of NVIDIA/cuda-samples: a row is the GPU that a copy is queued on and a column its
peer; the bandwidth of the bidirectional tables is that of both copies together.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from .cells import MOST_NODES, Rows, bad, bandwidth
from .stored import Format, Table

_RUNNING = re.compile(r"\s*Running (\w+)\.?\s*$")
_NVBANDWIDTH = re.compile(
    r".*\b(?P<one>\w+)\(row\) (?P<arrow><->|->|<-) (?P<other>\w+)\(column\)(?P<rest>.*)"
)
_PROCESS = re.compile(r"\s*Process (\d{1,6}) \((\S{1,200})\): device (\d{1,3}):")
# A launcher may have said something before it, and after.
_DOCUMENT = re.compile(r'^[ \t]*\{\s*"nvbandwidth"', re.MULTILINE)
_TITLE = re.compile(r"^\s*nvbandwidth Version\b", re.MULTILINE)
_GPU = frozenset({"GPU"})
_P2P = re.compile(
    r"\s*(?:(?P<ways>Uni|Bi)directional )?P2P=(?P<mode>Enabled|Disabled) (?P<what>Bandwidth|Latency)"
    r"(?: \(P2P (?P<how>Writes|Reads)\))? Matrix \((?P<unit>[^)]*)\)"
)
# A caption is no longer, however long a line is.
_CAPTION_LENGTH = 300
_NUMBER = re.compile(r"[0-9]{1,5}")
_BOTH = ("each figure is that of both directions together",)

Cells = list[list[float | None]]


def _captions(pattern: re.Pattern[str], lines: Sequence[str]) -> Iterator[tuple[int, re.Match[str]]]:
    for at, line in enumerate(lines):
        if match := pattern.match(line[:_CAPTION_LENGTH]):
            yield at, match


def _square(lines: Sequence[str], at: int, corner: str, path: str) -> tuple[list[int], Cells]:
    """Read a table whose columns and rows have the same numbers.

    Parameters: the lines; the place of its line of columns; the word in that line's corner, ``""``
    for none; the file's name for errors.
    Returns: the numbers, the cells; ``None`` is N/A.
    Errors: :class:`UsageError` for a table that is not square.
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
            of = f"a row of {len(row) - 1} cells for {len(columns)} columns"
            raise bad(path, f"its table in line {at + 1} has {of}")
        numbers.append(int(row[0]))
        cells.append([None if word.upper() in {"N/A", "-"} else bandwidth(word, path) for word in row[1:]])
    if columns != numbers:
        raise bad(path, f"its table in line {at + 1} has {len(numbers)} rows for {len(columns)} columns")
    return columns, cells


def _is_nvbandwidth(text: str) -> bool:
    beginning = text[:20_000]
    if _DOCUMENT.search(beginning) or _TITLE.search(beginning):
        return True
    return "(row)" in text and any(_captions(_NVBANDWIDTH, text.splitlines()))


def _read_nvbandwidth(text: str, path: str) -> list[Table]:
    document = _DOCUMENT.search(text[:20_000])
    found = list(_from_json(text[document.start() :].lstrip(), path) if document else _from_text(text, path))
    tables = [table for table in found if table is not None]
    if not tables:
        raise bad(path, "it is nvbandwidth's output without a table of GPU to GPU bandwidths")
    left_out = len(found) - len(tables)
    if left_out:
        are = "tables are" if left_out > 1 else "table is"
        note = f"{left_out} further {are} not of GPU to GPU bandwidths"
        tables[0] = replace(tables[0], notes=(*tables[0].notes, note))
    return tables


def _from_text(text: str, path: str) -> Iterator[Table | None]:
    lines = text.splitlines()
    processes = {int(m[1]): f"{m[2]}:gpu{m[3]}" for line in lines if (m := _PROCESS.match(line))}
    tests = {at: running[1] for at, line in enumerate(lines) if (running := _RUNNING.match(line))}
    for at, caption in _captions(_NVBANDWIDTH, lines):
        if not _is_of_pairs(caption):
            yield None
            continue
        columns, cells = _square(lines, at + 1, "", path)
        names = [processes.get(number, f"gpu{number}") for number in columns]
        yield _table(names, cells, next((tests[n] for n in reversed(tests) if n < at), ""), caption)


def _from_json(text: str, path: str) -> Iterator[Table | None]:
    try:
        document, _ = json.JSONDecoder().raw_decode(text)
    except (ValueError, RecursionError) as problem:
        raise bad(path, f"it is not JSON: {problem}") from None
    inner = document.get("nvbandwidth") if isinstance(document, dict) else None
    cases = inner.get("testcases") if isinstance(inner, dict) else None
    for case in cases if isinstance(cases, list) else ():
        if not isinstance(case, dict):
            continue
        caption = _NVBANDWIDTH.match(str(case.get("bandwidth_description", ""))[:_CAPTION_LENGTH])
        rows = case.get("bandwidth_matrix")
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
    words = " ".join(caption[0].split())
    both = "total" in caption["rest"].lower()
    return Table(Rows(names, cells), f"{test}: {words}" if test else words, _BOTH if both else ())


def _number(cell: Any, path: str) -> float | None:
    if cell is None or cell == "N/A":
        return None
    try:
        return float(cell)
    except (TypeError, ValueError):
        raise bad(path, f"{str(cell)[:40]!r} is not a bandwidth") from None


def _is_p2p(text: str) -> bool:
    return "P2P=" in text and any(_captions(_P2P, text.splitlines()))


def _read_p2p(text: str, path: str) -> list[Table]:
    """Read every table of bandwidths, and beside a one-way table the latencies of its mode."""
    lines = text.splitlines()
    captions = list(_captions(_P2P, lines))
    latencies: dict[tuple[str, str | None], Cells] = {}
    for at, match in captions:
        if match["what"] == "Latency" and match["unit"] == "us":
            key = (match["mode"], match["how"])
            latencies.setdefault(key, _square(lines, at + 1, "GPU", path)[1])
    tables = []
    for at, match in captions:
        if match["what"] == "Bandwidth" and match["unit"] == "GB/s":
            columns, cells = _square(lines, at + 1, "D\\D", path)
            latency = latencies.get((match["mode"], match["how"])) if match["ways"] == "Uni" else None
            rows = Rows([f"gpu{number}" for number in columns], cells, latency)
            tables.append(Table(rows, " ".join(match[0].split()), _BOTH if match["ways"] == "Bi" else ()))
    if not tables:
        raise bad(path, "it is p2pBandwidthLatencyTest's output without a table of bandwidths")
    return tables


NVBANDWIDTH = Format("nvbandwidth's output", _is_nvbandwidth, _read_nvbandwidth)
P2P = Format("p2pBandwidthLatencyTest's output", _is_p2p, _read_p2p)
