"""What a matrix cannot say, and the structure that was found in it and is no fault."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np

from ..pair_matrix import Flags
from .findings import rate
from .levels import coverage
from .picture import Picture, lacks_reference
from .swings import Swings

# Tiers that are nearer to each other than this (logarithm) may be chance.
_FAR_APART = 0.3
# Of Gaussian noise one value in fifteen thousand is as far out; heavy tails have this share there.
_FAR_SPREADS = 4
_TAIL_SHARE = 0.02
_TAIL_PAIRS = 4
_ALL_ALIKE = "with most nodes alike: noise of the fabric, blamed on no one"
_FEW_PARTNERS = 3
_SPARSE = 0.4


def remarks(picture: Picture) -> tuple[str, ...]:
    """List what a reader of the verdict should know."""
    known = ~np.isnan(picture.matrix.bandwidth_gb_s)
    share = coverage(known)
    found = []
    if len(picture.matrix.nodes) == 2:
        found.append("two nodes have no reference: only a dead link or unequal directions would show")
    if lacks_reference(picture.matrix):
        found.append(
            "one direction gave far more than the other at times: which of it is usual, others would tell"
        )
    if 0 < share < 1:
        pairs = int(np.count_nonzero(np.triu(picture.seen, 1)))
        nodes = len(picture.matrix.nodes)
        every = nodes * (nodes - 1) // 2
        if pairs < every:
            told = "a bad link between two others would not show"
            found.append(f"{pairs} of {every} pairs were measured: {told}")
        else:
            told = "what is bad in the other one alone would not show"
            found.append(
                f"{2 * every - _count(known)} of {every} pairs were measured in one direction: {told}"
            )
    return (*found, *_tiers(picture))


def heavy_tails(picture: Picture, swings: Swings, blamed: Flags) -> tuple[str, ...]:
    """Say where measurements of all pairs alike are far off now and then: that is no fault of one of them.

    Parameters: ``blamed`` are the cells that findings answer for.
    """
    residuals = np.where(blamed, np.nan, picture.residuals)
    known = ~np.isnan(residuals)
    odd = np.where(blamed, 0, swings.low) > 0
    few_samples = _are_everyones(odd, known)
    if few_samples:
        share = np.count_nonzero(odd) / np.count_nonzero(known)
        return (f"single measurements stall now and then, in {share:.0%} of the directions, {_ALL_ALIKE}",)
    with np.errstate(invalid="ignore"):
        far = known & (np.abs(residuals) > _FAR_SPREADS * picture.noise.spread)
    if not _are_everyones(far, known):
        return ()
    worst = 1 - math.exp(float(np.min(residuals[known])))
    return (
        f"{_count(far)} of {_count(known)} directions are far from the usual, by {worst:.0%} at most, "
        f"{_ALL_ALIKE}",
    )


def _are_everyones(odd: Flags, known: Flags) -> bool:
    """Tell whether odd cells are many, and those of no node in particular."""
    pairs = odd | odd.T
    total, worst = _count(pairs) // 2, int(pairs.sum(axis=1).max())
    is_many = _count(odd) >= _TAIL_SHARE * max(1, _count(known))
    return is_many and total >= _TAIL_PAIRS and 2 * worst <= total


def _count(cells: Flags) -> int:
    return int(np.count_nonzero(cells))


def half_is_slow(picture: Picture) -> bool:
    """Tell whether slow pairs may be a tier as well as a fault: which, cannot be known.

    The only fast set is no majority; or so few partners were met that no sets show.
    """
    few = picture.seen.sum(axis=1).mean() < _FEW_PARTNERS
    sparse = coverage(picture.seen) < _SPARSE
    for tier, slower in pairwise(picture.tiers):
        if tier.level - slower.level < _FAR_APART:
            continue
        alone = len(tier.blocks) == 1 and len(tier.blocks[0]) < len(picture.matrix.nodes)
        if alone or (few and sparse and not tier.blocks):
            return True
    return False


def _tiers(picture: Picture) -> tuple[str, ...]:
    if len(picture.tiers) < 2:
        return ()
    told = []
    for tier in picture.tiers:
        level = rate(float(np.exp(tier.level)))
        sizes = sorted({len(block) for block in tier.blocks})
        if sizes:
            size = f"{sizes[0]}" if len(sizes) == 1 else f"{sizes[0]} to {sizes[-1]}"
            told.append(f"{level} inside {len(tier.blocks)} sets of {size}")
        else:
            told.append(f"{level} between the others" if told and "inside" in told[-1] else level)
    found = [f"the fabric has tiers: {', '.join(told)}"]
    sets = picture.tiers[-2].blocks
    if len(sets) == 2 and len(sets[0]) != len(sets[1]):
        found.append("two sets alone do not tell a slow uplink from two racks")
    return tuple(found)
