"""What each pair of a fabric should give: the tiers that it is built of."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..pair_matrix import Flags, Indices, Rates
from .blocks import agreement, alone, enough_pairs, find_blocks, place
from .cover import few_are_to_blame, few_nodes, many_share
from .levels import Level, best_of_both, find_levels, worse_of_both

# A level with more of all pairs than this is a tier of the fabric.
_WIDE = 1 / 3
# As fast as a level is what lies no farther from its peak than so many of its widths.
_NEAR_WIDTHS = 3.0
# What so many of all pairs give is usual in a fabric, and not one of many faults.
_COMMON = 1 / 8


@dataclass(frozen=True, eq=False)
class Tier:
    """One level of speed that the fabric has by nature.

    ``level`` is the logarithm of its usual bandwidth; ``blocks`` the sets whose pairs have
    it, empty for the pairs between sets and where the sets could not be told.
    """

    level: float
    blocks: tuple[tuple[int, ...], ...] = ()


@dataclass(frozen=True, eq=False)
class Structure:
    """The fabric without its faults.

    ``expected`` is the logarithm of what each cell should give; ``usual`` are the cells
    that the fabric's levels were learnt from.
    """

    expected: Rates
    usual: Flags
    tiers: tuple[Tier, ...]


def find_structure(logs: Rates) -> Structure:
    """Find the tiers of a matrix.

    Parameters: the cells' logarithms, ``-inf`` for dead, NaN for not measured.
    Source of the rule: a fabric's tiers concern most nodes, a fault few of them.
    """
    pairs = worse_of_both(logs)
    seen = ~np.isnan(pairs)
    natural, floor = _natural_tiers(logs, pairs, seen)
    usual = np.isfinite(logs) & (pairs >= floor)
    expected = np.zeros_like(logs)
    left = np.ones_like(seen)
    tiers = []
    fallback = math.nan
    for inside, blocks in (*natural, (left, ())):
        cells = inside & left
        left = left & ~inside
        values = logs[cells & usual]
        level = float(np.median(values)) if values.size else fallback
        expected[cells] = fallback = level
        if values.size:
            tiers.append(Tier(level, blocks))
    return Structure(expected, usual, tuple(tiers))


_Cells = tuple[Flags, tuple[tuple[int, ...], ...]]


def _natural_tiers(logs: Rates, pairs: Rates, seen: Flags) -> tuple[list[_Cells], float]:
    """Give the cells and the blocks of each natural tier, and the value below which pairs are at fault."""
    levels = find_levels(logs)
    bounds = [level.low for level in levels if math.isfinite(level.low)]
    finite = pairs[np.isfinite(pairs)]
    if np.isneginf(pairs).any() and finite.size:
        bounds.append(float(finite.min()) - 1.0)
    natural: list[_Cells] = []
    highest = np.zeros_like(seen)
    for index, bound in enumerate(bounds):
        fast = seen & (pairs >= bound)
        slow = seen & (pairs < bound)
        above = bounds[index - 1] if index else math.inf
        below = bounds[index + 1] if index + 1 < len(bounds) else -math.inf
        if few_are_to_blame(slow, seen):
            return natural, bound
        may_be_scattered = _is_minority(slow, seen) and not _is_wide(slow & (pairs >= below), seen)
        may_be_natural = many_share(fast & (pairs < above), seen)
        if not may_be_scattered and not may_be_natural:
            continue
        labels = _sets(fast, _alike(logs, bound, levels), highest, seen)
        if may_be_scattered and _are_scattered(labels):
            return natural, bound
        if may_be_natural and not (labels is None and _is_minority(fast, seen)):
            natural.append(_tier(fast, labels, pairs))
            highest |= natural[-1][0]
    return natural, -math.inf


def _alike(logs: Rates, bound: float, levels: Sequence[Level]) -> Rates:
    """Weigh for each two nodes how much it speaks for one set, above 0, or against it, below 0.

    The weights are in the proportion of the logarithms of how unlikely it is otherwise. A fast pair of two
    sets would need two readings, one a direction, that are too high alike; where one direction alone
    is fast, one reading. What is between what is fast and what is usual below is a bad pair of one set, for
    the same reason. What gives just what many others give below is a bad pair of one set by coincidence
    alone. What is slower than all that is bad anywhere, and says nothing.
    """
    pairs, best = worse_of_both(logs), best_of_both(logs)
    seen = ~np.isnan(pairs)
    alike = np.where(seen & (pairs >= bound), 1.0, 0.0)
    beside = ((level.peak, np.abs(pairs - level.peak) <= _NEAR_WIDTHS * level.width) for level in levels)
    usual = [
        (peak, near)
        for peak, near in beside
        if peak < bound and np.count_nonzero(near) > _COMMON * np.count_nonzero(seen)
    ]
    if usual:
        alike[seen & (pairs > max(peak for peak, _ in usual))] = 1.0
    for _, near in usual:
        alike[near & (pairs < bound)] = -0.5
    alike[seen & (pairs < bound) & (best >= bound)] += 0.5
    return alike


def _are_scattered(labels: Indices | None) -> bool:
    """Tell slow pairs that are many faults from a tier, where they are the minority: they part no sets.

    The pairs of a tier lie between sets that are fast inside; bad cables lie anywhere, so that all
    nodes, or nearly all, stay one set.

    Parameters: ``labels`` are the sets that the fast pairs make, if any.
    """
    if labels is None:
        return True
    lone = alone(labels)
    return np.unique(labels[~lone]).size == 1 and few_nodes(int(np.count_nonzero(lone)), len(labels))


def _is_wide(level: Flags, seen: Flags) -> bool:
    """Tell whether so many pairs are equally fast as many faults are not, each with a cause of its own."""
    return bool(np.count_nonzero(level) > _WIDE * np.count_nonzero(seen))


def _sets(fast: Flags, alike: Rates, highest: Flags, seen: Flags) -> Indices | None:
    """Find the sets that fast pairs make: unions of the sets above, or rails, which cross those.

    Of both, those that explain more of the fast pairs that the tiers above, ``highest``, do not.
    """
    wider = find_blocks(fast, seen, alike)
    if not highest.any():
        return wider
    left = ~highest
    crossing = find_blocks(fast & left, seen & left, np.where(left, alike, 0.0))
    found = [labels for labels in (wider, crossing) if labels is not None]
    return max(found, key=lambda labels: agreement(labels, np.where(left, alike, 0.0)), default=None)


def _is_minority(pairs: Flags, seen: Flags) -> bool:
    return enough_pairs(seen) and bool(2 * np.count_nonzero(pairs) < np.count_nonzero(seen))


def _tier(fast: Flags, labels: Indices | None, pairs: Rates) -> _Cells:
    """Give the cells of a tier: inside its blocks, or the fast ones where they make none; and the blocks."""
    if labels is None:
        return fast, ()
    labels = place(labels, pairs)
    return labels[:, None] == labels[None, :], _members(labels)


def _members(labels: Indices) -> tuple[tuple[int, ...], ...]:
    lone = alone(labels)
    return tuple(
        tuple(int(node) for node in np.flatnonzero(labels == label)) for label in np.unique(labels[~lone])
    )
