"""Pairs that are slow among nodes that are not."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from clusterboot.diagnose.matrix.noise import Noise, loss
from clusterboot.diagnose.matrix.records import Direction, Flags, Pair, Rates

# Single bad links are rare: more of them than this have another cause.
_FEW = 3
_SHARE = 0.05
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
    left = np.where(explained, np.nan, residuals)
    lost = loss(left)
    noise = noise.fitted(lost)
    with np.errstate(invalid="ignore"):
        less, more = np.minimum(lost, lost.T), np.maximum(lost, lost.T)
        both = (less + more >= 2 * noise.pair_loss) & (less >= np.maximum(noise.pair_loss / 2, _BOTH * more))
        single = (lost >= noise.cell_loss) & ~both & ~(lost < more)
    found = [
        SlowPair((one, other), "both", (float(left[one, other]) + float(left[other, one])) / 2)
        for one, other in np.argwhere(np.triu(both, 1)).tolist()
    ]
    found += [
        SlowPair((one, other), "out", float(left[one, other])) for one, other in np.argwhere(single).tolist()
    ]
    return tuple(found)


def too_many(links: int, seen: Flags) -> bool:
    """Tell whether so many single pairs are slow that the reference itself is in doubt."""
    return links > max(_FEW, _SHARE * np.count_nonzero(seen) / 2)


def good_cells(residuals: Rates, noise: Noise) -> Flags:
    """Give the cells that prove their sender and their receiver fine."""
    return np.asarray(loss(residuals) < noise.pair_loss)
