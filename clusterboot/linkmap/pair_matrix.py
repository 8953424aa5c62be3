"""A matrix of pairs, and what is found in it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

Rates: TypeAlias = NDArray[np.float64]
Flags: TypeAlias = NDArray[np.bool_]
Indices: TypeAlias = NDArray[np.intp]
# Cells of a matrix: a mask, or the rows and the columns of a few.
Cells: TypeAlias = Flags | tuple[list[int], list[int]]

Kind = Literal["node", "link", "group"]
Where = Literal["across", "inside"]
Direction = Literal["out", "in", "both"]
MatrixVerdict = Literal["ok", "slow", "inconclusive"]
Stability = Literal["steady", "swinging"]
Pair = tuple[int, int]


@dataclass(frozen=True, eq=False)
class Samples:
    """The single measurements that each cell of a matrix rests on, as figures a cell.

    All are n x n, a row a sender and a column a receiver. ``count`` is how many samples there were
    and ``bytes`` how much they moved, 0 where nothing was measured; the rates are in 10^9 bytes a
    second, NaN there. ``q1_gb_s`` and ``q3_gb_s`` are the quartiles, and ``low`` is how many samples were
    below half of the upper one. Where a pair was visited again in the same way, the samples of all visits
    count.
    """

    count: NDArray[np.int64]
    median_gb_s: Rates
    min_gb_s: Rates
    max_gb_s: Rates
    q1_gb_s: Rates
    q3_gb_s: Rates
    bytes: NDArray[np.int64]
    low: NDArray[np.int64]

    @classmethod
    def nothing(cls, nodes: int) -> Samples:
        """Begin with nothing measured."""
        counts = np.zeros((3, nodes, nodes), dtype=np.int64)
        rates = np.full((5, nodes, nodes), np.nan)
        return cls(counts[0], rates[0], rates[1], rates[2], rates[3], rates[4], *counts[1:])


# The rates of :class:`Samples`, in the order of its fields, and as a document has them.
SAMPLE_RATES = ("median_gb_s", "min_gb_s", "max_gb_s", "q1_gb_s", "q3_gb_s")
# A sample is low that is below this share of its direction's upper quartile.
LOW_SHARE = 0.5


@dataclass(frozen=True, eq=False)
class Segments:
    """What TCP sent from each node to each other one in all visits: a row a sender, a column a receiver.

    ``sent`` counts segments with data, and ``resent`` those of them that were sent again since they were
    lost; both are 0 where nothing is known.
    """

    sent: NDArray[np.int64]
    resent: NDArray[np.int64]

    @classmethod
    def nothing(cls, nodes: int) -> Segments:
        """Begin with nothing sent."""
        sent, resent = np.zeros((2, nodes, nodes), dtype=np.int64)
        return cls(sent, resent)


@dataclass(frozen=True, eq=False)
class PairMatrix:
    """What was measured between nodes.

    ``bandwidth_gb_s`` has a row a sender and a column a receiver, in 10^9 bytes a second: NaN is
    not measured, 0 is measured and dead, the diagonal is NaN. ``latency_us`` has the same shape,
    and so has ``one_way_gb_s``: where ``bandwidth_gb_s`` was measured with both directions at
    once, it has what pairs give in one direction by itself, for those of which that is known.
    ``samples`` tells of the measurements that ``bandwidth_gb_s`` is the median of, where they are known,
    ``one_way_samples`` of those of ``one_way_gb_s``, and ``segments`` what TCP sent for all of them.
    """

    nodes: tuple[str, ...]
    bandwidth_gb_s: Rates
    latency_us: Rates | None = None
    one_way_gb_s: Rates | None = None
    samples: Samples | None = None
    segments: Segments | None = None
    one_way_samples: Samples | None = None

    @property
    def measured(self) -> tuple[int, int]:
        """How many pairs were measured, in one direction at least, and how many there are."""
        known = ~np.isnan(self.bandwidth_gb_s)
        count = len(self.nodes)
        return int(np.count_nonzero(np.triu(known | known.T, 1))), count * (count - 1) // 2


@dataclass(frozen=True)
class Finding:
    """One fault, as the machine formats have it.

    ``hosts`` is the node, the two ends of a link, or the smaller side of a group; where
    ``next_pairs`` is not empty, all candidates. ``direction`` is seen from the node, from the
    group, or from a link's first host to its second. ``fraction_of_expected`` is measured over expected, 0
    for dead, ``None`` for not measured. ``next_pairs`` are the fewest further pairs whose
    results would make the finding certain. ``stability`` is ``swinging`` where single measurements
    of the same pair, or of the same node, differ by more than the fleet's do.
    """

    kind: Kind
    hosts: tuple[str, ...]
    direction: Direction
    fraction_of_expected: float | None
    evidence: str
    where: Where | None = None
    next_pairs: tuple[tuple[str, str], ...] = ()
    stability: Stability = "steady"


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
