"""The JSON file that rccl-tests writes with ``-x FILE -Z json``, made into records.

Source: ``src/common.cu`` of rccl-tests since its pull request 93: one flat object for each size and
placement, in an array that the end of the run closes (in the first version one object a line, which
nothing closes); numbers as ``std::to_string`` prints them, also ``inf``; ``wrong`` (once ``#wrong``)
a string. It has neither the counts nor the parameters of the sweep nor the hosts.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from ..bench_options import nominal_sizes
from ..collectives import COLLECTIVES
from ..records import BenchTest, ParsedLog, Placement, Row, Sweep
from .json_text import load_json, number

_RECORD = re.compile(r"\{[^{}]*\}")
_KEYS = ('"inPlace"', '"algBw"', '"busBw"')
_NAMES = {name.replace("_", ""): name for name in COLLECTIVES}

Record = Mapping[str, Any]


def read_rccl_json(text: str) -> ParsedLog | None:
    """Read such a file.

    Returns: a test for each collective, with every row that is whole. Where the array is closed, the
    run came to its end, and its sweep is taken from the sizes themselves. ``None`` for any other text.
    """
    stripped = text.strip()
    if stripped[:1] not in ("[", "{") or not all(key in text for key in _KEYS):
        return None
    loaded = (load_json(match[0]) for match in _RECORD.finditer(stripped))
    records = [each[0] for each in loaded if each and isinstance(each[0].get("size"), int)]
    if not records:
        return None
    closed = stripped.startswith("[") and stripped.endswith("]")
    names = dict.fromkeys(record.get("name") for record in records)
    tests = (_test([each for each in records if each.get("name") == name], closed) for name in names)
    return ParsedLog(tuple(tests), began=True)


def _test(records: Sequence[Record], closed: bool) -> BenchTest:
    first = records[0]
    rows, broken = _rows(records)
    wrong = [place.wrong for row in rows for place in row.placements if place.wrong is not None]
    ranks = first.get("gpus") or int(first.get("ranks") or 0) * int(first.get("gpusPerRank") or 1)
    sweep = _sweep([row.size_bytes for row in rows]) if closed else None
    return BenchTest(
        collective=_NAMES.get(str(first.get("name")).lower()),
        tool="rccl-tests",
        layout="2.13",
        rank_count=ranks or None,
        sweep=sweep,
        rows=rows,
        out_of_bounds=sum(wrong) if wrong else None,
        concluded=closed,
        broken_rows=broken,
    )


def _rows(records: Sequence[Record]) -> tuple[tuple[Row, ...], int]:
    """Join both placements of each size, and count those whose other placement is missing."""
    kinds = {bool(record.get("inPlace")) for record in records}
    rows: list[Row] = []
    halves: dict[bool, Record] = {}
    broken = 0
    for record in records:
        placed = bool(record.get("inPlace"))
        if halves and (placed in halves or _identity(record) != _identity(next(iter(halves.values())))):
            broken += 1
            halves = {}
        halves[placed] = record
        if halves.keys() == kinds:
            rows.append(_row(record, halves))
            halves = {}
    return tuple(rows), broken + bool(halves)


def _identity(record: Record) -> tuple[Any, ...]:
    return tuple(record.get(key) for key in ("numCycle", "size", "type", "redop"))


def _row(record: Record, halves: Mapping[bool, Record]) -> Row:
    redop = record.get("redop")
    first, second = (_placement(halves[each]) if each in halves else None for each in (False, True))
    return Row(
        int(record["size"]),
        None,
        str(record.get("type")),
        redop if isinstance(redop, str) and redop not in ("", "none") else None,
        None,
        first,
        second,
    )


def _placement(record: Record) -> Placement:
    wrong = str(record.get("wrong", record.get("#wrong")))
    time, algbw, busbw = (number(record.get(key)) for key in ("time", "algBw", "busBw"))
    return Placement(
        time,
        algbw,
        busbw,
        wrong=int(float(wrong)) if re.fullmatch(r"\d+(?:\.\d*)?(?:e\+?\d+)?", wrong) else None,
    )


def _sweep(sizes: Sequence[int]) -> Sweep | None:
    """Give the sweep that goes through just these sizes; ``None`` where a size is missing in it."""
    each = tuple(sorted(set(sizes)))
    if not each or each[0] <= 0:
        return None
    first, second, last = each[0], each[:2][-1], each[-1]
    by_factor = Sweep(first, last, max(2, second // first), by_factor=True)
    by_step = Sweep(first, last, second - first, by_factor=False)
    return next((sweep for sweep in (by_factor, by_step) if nominal_sizes(sweep) == each), None)
