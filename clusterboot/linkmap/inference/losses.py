"""Nodes and links that lose packets: what TCP had to send again, pair by pair, beside the fleet's.

Loss shows here before it shows in a rate: TCP makes up for most of it within a round trip, so that a short
measurement of a link that loses 4% may see nothing but its line's rate. And it is the sender that
counts, for each pair and direction, so that it is known which way the lost packets went.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ..pair_matrix import Cells, Direction, Flags, Pair, Rates
from .noise import edge
from .picture import Picture
from .suspects import find_suspects

# A full queue makes TCP lose this much on the mean on a link that is well.
_USUAL_LOSS = 0.001
# The logarithm of how seldom chance may have a whole matrix blame somebody: once in a thousand.
_BY_CHANCE = 7.0
# Of fewer segments that share is not known: one that was lost would be more.
_ENOUGH_SEGMENTS = round(1 / _USUAL_LOSS)
# What is usual is learnt from so many directions of a tier at least; half of them may be bad.
_ENOUGH_CELLS = 12
# Levels of what is expected (logarithm) that are nearer to each other are of one tier.
_TIER_GAP = 0.1


@dataclass(frozen=True, eq=False)
class Losses:
    """What is lost far beyond what the fleet loses.

    ``shares`` is the part of each direction's segments that was sent again, NaN where that is not known.
    ``nodes`` has each node of which most partners lose what they are sent by it (``out``), or what they
    send it; ``links`` are the pairs besides, of which no end answers for the loss.
    """

    shares: Rates
    nodes: Mapping[int, Direction]
    links: tuple[tuple[Pair, Direction], ...]


def find_losses(picture: Picture) -> Losses:
    """Find the nodes and links that lose packets.

    What pairs of a slower tier lose at its uplink is theirs alike: each tier has its own limit.
    """
    size = len(picture.matrix.nodes)
    segments = picture.matrix.segments
    if segments is None:
        return Losses(np.full((size, size), np.nan), {}, ())
    sent = np.where(segments.sent >= _ENOUGH_SEGMENTS, segments.sent, 1)
    shares = np.where(sent > 1, segments.resent / sent, np.nan)
    above = shares / _limits(shares, picture.expected)
    # Shares are told in what chance can come to.
    suspects = find_suspects(-above, lambda _partners: -1.0)
    if 2 * np.count_nonzero(suspects.any) >= size:
        return Losses(shares, {}, ())
    nodes = {node: suspects.direction(node) for node in np.flatnonzero(suspects.any).tolist()}
    far = above > 1
    far[suspects.out, :] = far[:, suspects.in_] = False
    return Losses(shares, nodes, _links(far))


def share_of(losses: Losses, cells: Cells) -> float:
    """Give the median share of cells that was sent again, 0 where nothing is known."""
    known = losses.shares[cells]
    known = known[~np.isnan(known)]
    return float(np.median(known)) if known.size else 0.0


def _limits(shares: Rates, expected: Rates) -> Rates:
    """Give the most that chance and queues can come to, for each cell by its tier; NaN where unknown."""
    limits = np.full(shares.shape, np.nan)
    is_known = ~np.isnan(shares)
    levels = np.unique(expected[is_known])
    # What is expected differs a little within a tier, too, by which of its measurements a cell has.
    for tier_levels in np.split(levels, np.flatnonzero(np.diff(levels) > _TIER_GAP) + 1):
        tier = np.isin(expected, tier_levels)
        known = shares[tier & is_known]
        if known.size >= _ENOUGH_CELLS:
            limits[tier] = most_by_chance(known)
    return limits


def most_by_chance(shares: Rates) -> float:
    """Give the most that any of many loses which are all well.

    What queues lose comes in bursts, so that shares are spread as exponentials are, with the mean that
    the better half shows: the largest of n exceeds that mean times ln n + c once in exp(c) times. Where the
    tail is heavier it thins out without a gap, and the limit is where that ends (see
    :func:`~clusterboot.linkmap.inference.noise.edge`).
    """
    middle = float(np.sort(shares)[(shares.size - 1) // 2])  # the smaller of two: half may be bad
    mean = max(_USUAL_LOSS, middle / math.log(2))
    return max(mean * (math.log(shares.size) + _BY_CHANCE), edge(shares, _USUAL_LOSS))


def _links(far: Flags) -> tuple[tuple[Pair, Direction], ...]:
    found: list[tuple[Pair, Direction]] = []
    for one, other in np.argwhere(np.triu(far | far.T, 1)).tolist():
        ends = (one, other) if far[one, other] else (other, one)
        found.append((ends, "both" if far[ends[::-1]] else "out"))
    return tuple(found)
