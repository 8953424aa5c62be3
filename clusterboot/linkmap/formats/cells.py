"""What makes rows of cells a matrix of pairs, whatever file they came from."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from clusterboot.errors import UsageError
from clusterboot.printable import one_line, printable

from ..pair_matrix import PairMatrix, Rates, Samples, Segments

MOST_NODES = 4096
_LONGEST_NAME = 253
# Far beyond any link and any wait, and far from where arithmetic ends.
_MOST = 1e12
_REMEDY = (
    "give a matrix in JSON or CSV, output of mpiGraph, nvbandwidth or p2pBandwidthLatencyTest, or a table or"
    " logs of pairs: nccl-tests, osu_bw, ib_write_bw"
)


@dataclass(frozen=True)
class Rows:
    """Cells as a file has them: numbers, or ``None`` for not measured; nothing is checked yet."""

    nodes: Sequence[Any]
    bandwidth_gb_s: Sequence[Any]
    latency_us: Sequence[Any] | None = None
    one_way_gb_s: Sequence[Any] | None = None
    samples: Sequence[Any] | None = None
    segments: Sequence[Any] | None = None


def bad(path: str, cause: str, remedy: str = _REMEDY) -> UsageError:
    """Make the error for a file that is no matrix."""
    return UsageError(f"{path}: {cause}", remedy=remedy)


def matrix_of(path: str, rows: Rows) -> PairMatrix:
    """Check rows and make a matrix of them; what stands on the diagonal does not count.

    Errors: :class:`UsageError` that names the file, and the cell where one is at fault.
    """
    nodes = _names(path, rows.nodes)
    bandwidth_gb_s = _square(path, "bandwidth_gb_s", rows.bandwidth_gb_s, nodes)
    latency_us = None
    if rows.latency_us is not None:
        latency_us = _square(path, "latency_us", rows.latency_us, nodes)
    one_way_gb_s = None
    if rows.one_way_gb_s is not None:
        one_way_gb_s = _square(path, "one_way_gb_s", rows.one_way_gb_s, nodes)
    samples = None if rows.samples is None else _samples(path, rows.samples, nodes)
    segments = None if rows.segments is None else _segments(path, rows.segments, nodes)
    return PairMatrix(nodes, bandwidth_gb_s, latency_us, one_way_gb_s, samples, segments)


def _names(path: str, names: Sequence[Any]) -> tuple[str, ...]:
    if not 2 <= len(names) <= MOST_NODES:
        raise bad(path, f"it names {len(names)} nodes, where 2 to {MOST_NODES} are read")
    seen: set[str] = set()
    for name in names:
        if not isinstance(name, str) or not name.strip() or len(name) > _LONGEST_NAME:
            raise bad(path, f"{_shown(name)} is not a node's name")
        if name != one_line(name, _LONGEST_NAME) or name != printable(name):
            raise bad(path, f"the name {_shown(name)} has characters that cannot be shown")
        if name in seen:
            raise bad(path, f"the node {_shown(name)} stands in it twice")
        seen.add(name)
    return tuple(names)


def _square(path: str, what: str, rows: Sequence[Any], nodes: tuple[str, ...]) -> Rates:
    size = len(nodes)
    if len(rows) != size:
        raise bad(path, f"{what} has {len(rows)} rows for {size} nodes")
    cells = np.full((size, size), np.nan)
    for at, row in enumerate(rows):
        if not isinstance(row, (list, tuple)) or len(row) != size:
            count = f"{len(row)} cells" if isinstance(row, (list, tuple)) else "no cells"
            raise bad(path, f"{what}: the row of {nodes[at]} has {count} for {size} nodes")
        cells[at] = (
            row
            if _plain(row)
            else [_cell(path, what, value, nodes[at], nodes[to]) for to, value in enumerate(row)]
        )
    np.fill_diagonal(cells, np.nan)
    return cells


def _samples(path: str, rows: Sequence[Any], nodes: tuple[str, ...]) -> Samples:
    """Read an object of figures a cell; what one of them lacks is not known."""

    def table(name: str) -> Rates:
        return _table(path, "samples", rows, name, nodes)

    return Samples(
        np.nan_to_num(table("n")).astype(np.int64),
        table("median_gb_s"),
        table("min_gb_s"),
        table("max_gb_s"),
        table("q1_gb_s"),
        table("q3_gb_s"),
        np.nan_to_num(table("bytes")).astype(np.int64),
    )


def _segments(path: str, rows: Sequence[Any], nodes: tuple[str, ...]) -> Segments:
    sent, resent = (
        np.nan_to_num(_table(path, "segments", rows, name, nodes)).astype(np.int64)
        for name in ("sent", "resent")
    )
    return Segments(sent, resent)


def _table(path: str, what: str, rows: Sequence[Any], name: str, nodes: tuple[str, ...]) -> Rates:
    return _square(path, f"{what}.{name}", [_column(row, name) for row in rows], nodes)


def _column(row: Any, name: str) -> Any:
    """Take one figure of each cell of a row; what is no object is made a text, which is refused."""
    if not isinstance(row, list):
        return row
    return [
        cell.get(name) if isinstance(cell, dict) else cell if cell is None else repr(cell) for cell in row
    ]


def _plain(row: Sequence[Any]) -> bool:
    """Tell quickly whether all of a row is as it should be: a million cells are looked at."""
    known = [value for value in row if value is not None]
    return set(map(type, known)) <= {int, float} and (
        not known or (min(known) >= 0 and max(known) <= _MOST and not any(map(math.isnan, known)))
    )


def _cell(path: str, what: str, value: Any, sender: str, receiver: str) -> float:
    if value is None:
        return math.nan
    # True is a number to Python.
    if isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value <= _MOST:
        return float(value)
    raise bad(
        path, f"{what}: {_shown(value)} from {sender} to {receiver} is not a number from 0 to {_MOST:.0e}"
    )


def _shown(value: Any) -> str:
    return one_line(repr(value), 60)
