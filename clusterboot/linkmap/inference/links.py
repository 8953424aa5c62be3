"""Pairs that are slow among nodes that are not."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..pair_matrix import Direction, Flags, Pair, Rates
from .noise import Noise, loss

# A pair is slow both ways where the better direction loses this share of the other's loss.
_BOTH = 0.3


@dataclass(frozen=True)
class SlowPair:
    """A slow pair: for ``out``, from ``ends[0]`` to ``ends[1]``; ``drop`` is a logarithm."""

    ends: Pair
    direction: Direction
    drop: float


def find_links(residuals: Rates, explained: Flags, noise: Noise) -> tuple[SlowPair, ...]:
    """Find the pairs whose loss is neither chance nor explained by one of their nodes.

    One slow measurement must lose more than two that agree: alone it may be flutter.
    """
    left, both, single = _slow(residuals, explained, noise)
    found = [
        SlowPair((one, other), "both", (float(left[one, other]) + float(left[other, one])) / 2)
        for one, other in np.argwhere(np.triu(both, 1)).tolist()
    ]
    found += [
        SlowPair((one, other), "out", float(left[one, other])) for one, other in np.argwhere(single).tolist()
    ]
    return tuple(found)


def slow_cells(residuals: Rates, explained: Flags, noise: Noise) -> Flags:
    """Give the cells of the pairs that :func:`find_links` finds."""
    _, both, single = _slow(residuals, explained, noise)
    return both | single


def _slow(residuals: Rates, explained: Flags, noise: Noise) -> tuple[Rates, Flags, Flags]:
    """Give what is left to explain, the pairs that are slow both ways, and the cells that are in one."""
    left = np.where(explained, np.nan, residuals)
    lost = loss(left)
    noise = noise.fitted(lost)
    with np.errstate(invalid="ignore"):
        less, more = np.minimum(lost, lost.T), np.maximum(lost, lost.T)
        both = (less + more >= 2 * noise.pair_loss) & (less >= np.maximum(noise.pair_loss / 2, _BOTH * more))
        single = (lost >= noise.cell_loss) & ~both & ~(lost < more)
    return left, both, single


def too_many(slow: Flags, seen: Flags) -> bool:
    """Tell whether so many pairs are slow that what is normal cannot be told any more.

    What a pair should give is learnt as the median of its tier, and how far chance goes as the
    median distance from that. Both lie among the sound pairs exactly as long as these are more
    than half: a median's breakdown point is one half. So half of the pairs is where it ends, and not
    a small share: up to there the median has moved to the sound pairs' quantile 1 / (2 (1 - share)) at
    most, by one of their standard deviations for a third of bad pairs. Faults that many pairs have in
    common, of a node or a group, are taken out before, so that only single pairs count.

    Parameters: the cells that are slow by themselves, and those that were measured and that no node or
    group explains.
    """
    return bool(2 * np.count_nonzero(slow) > np.count_nonzero(seen))


def good_cells(residuals: Rates, noise: Noise) -> Flags:
    """Give the cells that prove their sender and their receiver fine."""
    return np.asarray(loss(residuals) < noise.pair_loss)
