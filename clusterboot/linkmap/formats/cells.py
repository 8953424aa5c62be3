"""What makes rows of cells a matrix of pairs, whatever file they came from."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from clusterboot.errors import UsageError
from clusterboot.printable import one_line, printable

from ..pair_matrix import SAMPLE_RATES, PairMatrix, Rates, Samples, Segments

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
    one_way_samples: Sequence[Any] | None = None


def bad(path: str, cause: str, remedy: str = _REMEDY) -> UsageError:
    """Make the error for a file that is no matrix."""
    return UsageError(f"{path}: {cause}", remedy=remedy)


# What people and programs write for a pair that was not measured.
ABSENT = frozenset({"", "na", "n/a", "null", "none", "-"})


def bandwidth(text: str, path: str) -> float:
    """Read a figure of a table. Errors: :class:`UsageError` for what is no number."""
    try:
        return float(text)
    except ValueError:
        raise bad(path, f"'{text[:40]}' is not a bandwidth") from None


def matrix_of(path: str, rows: Rows) -> PairMatrix:
    """Check rows and make a matrix of them; what stands on the diagonal does not count.

    Errors: :class:`UsageError` that names the file, and the cell where one is at fault.
    """
    nodes = _names(path, rows.nodes)
    bandwidth_gb_s = rates_of(path, "bandwidth_gb_s", rows.bandwidth_gb_s, nodes)
    further = {
        name: rates_of(path, name, cells, nodes)
        for name in ("latency_us", "one_way_gb_s")
        if (cells := getattr(rows, name)) is not None
    }
    samples, one_way_samples = (
        None if objects is None else _samples(path, what, objects, nodes)
        for what, objects in (("samples", rows.samples), ("one_way_samples", rows.one_way_samples))
    )
    segments = None
    if (objects := rows.segments) is not None:
        segments = Segments(*(_counts(path, "segments", objects, name, nodes) for name in ("sent", "resent")))
    return PairMatrix(
        nodes,
        bandwidth_gb_s,
        **further,
        samples=samples,
        segments=segments,
        one_way_samples=one_way_samples,
    )


def _samples(path: str, what: str, objects: Sequence[Any], nodes: tuple[str, ...]) -> Samples:
    """Read the figures of samples; what one of the objects lacks is not known."""
    count, size, low = (_counts(path, what, objects, name, nodes) for name in ("n", "bytes", "low"))
    rates = {name: _table(path, what, objects, name, nodes) for name in SAMPLE_RATES}
    return Samples(count=count, **rates, bytes=size, low=low)


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


def rates_of(path: str, what: str, rows: Sequence[Any], nodes: tuple[str, ...]) -> Rates:
    """Check one matrix of a file, which calls it ``what``; errors as for :func:`matrix_of`."""
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


def _counts(
    path: str, what: str, rows: Sequence[Any], name: str, nodes: tuple[str, ...]
) -> NDArray[np.int64]:
    return np.nan_to_num(_table(path, what, rows, name, nodes)).astype(np.int64)


def _table(path: str, what: str, rows: Sequence[Any], name: str, nodes: tuple[str, ...]) -> Rates:
    return rates_of(path, f"{what}.{name}", [_column(row, name) for row in rows], nodes)


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
