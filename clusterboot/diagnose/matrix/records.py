"""A matrix of pairs, and what is found in it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

Rates: TypeAlias = NDArray[np.float64]
Flags: TypeAlias = NDArray[np.bool_]
Indices: TypeAlias = NDArray[np.intp]

Kind = Literal["node", "link", "group"]
Where = Literal["across", "inside"]
Direction = Literal["out", "in", "both"]
MatrixVerdict = Literal["ok", "slow", "inconclusive"]
Pair = tuple[int, int]


@dataclass(frozen=True, eq=False)
class PairMatrix:
    """What was measured between nodes.

    ``bandwidth_gbps`` has a row a sender and a column a receiver, in 10^9 bytes a second: NaN is
    not measured, 0 is measured and dead, the diagonal is NaN. ``latency_us`` has the same shape,
    and so has ``one_way_gbps``: where ``bandwidth_gbps`` was measured with both directions at
    once, it has what pairs give in one direction by itself, for those of which that is known.
    """

    nodes: tuple[str, ...]
    bandwidth_gbps: Rates
    latency_us: Rates | None = None
    one_way_gbps: Rates | None = None


@dataclass(frozen=True)
class Finding:
    """One fault, as the machine formats have it.

    ``hosts`` is the node, the two ends of a link, or the smaller side of a group; where
    ``next_pairs`` is not empty, all candidates. ``direction`` is seen from the node, from the
    group, or from a link's first host to its second. ``severity`` is measured over expected, 0
    for dead, ``None`` for not measured. ``next_pairs`` are the fewest further pairs whose
    results would make the finding certain.
    """

    kind: Kind
    hosts: tuple[str, ...]
    direction: Direction
    severity: float | None
    evidence: str
    where: Where | None = None
    next_pairs: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Inference:
    """What a matrix proves: its verdict, the findings, the worst first, and what else to know."""

    verdict: MatrixVerdict
    findings: tuple[Finding, ...] = ()
    notes: tuple[str, ...] = ()


def row_middles(cells: Rates) -> Rates:
    """Give each row's middle value, the higher of two; NaN cells do not count, nor do they warn."""
    ordered = np.sort(cells, axis=1)  # NaN sorts last
    counts = np.count_nonzero(~np.isnan(cells), axis=1)
    at = np.minimum(counts // 2, cells.shape[1] - 1)
    return np.asarray(np.take_along_axis(ordered, at[:, None], axis=1)[:, 0])
