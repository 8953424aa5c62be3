"""What each pair of a fabric should give: the tiers that it is built of."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from clusterboot.diagnose.matrix.blocks import alone, enough_pairs, find_blocks, place
from clusterboot.diagnose.matrix.cover import few_are_to_blame, few_nodes, many_share
from clusterboot.diagnose.matrix.levels import best_of_both, find_levels
from clusterboot.diagnose.matrix.records import Flags, Indices, Rates

# A level with more of all pairs than this is a tier of the fabric.
_WIDE = 1 / 3


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
    pairs = best_of_both(logs)
    seen = ~np.isnan(pairs)
    natural, floor = _natural_boundaries(logs, pairs, seen)
    classes, sets = _classes(pairs, seen, natural)
    usual = np.isfinite(logs) & (pairs >= floor)
    expected = np.zeros_like(logs)
    tiers = []
    fallback = math.nan
    for index in range(len(natural) + 1):
        cells = classes == index
        values = logs[cells & usual]
        level = float(np.median(values)) if values.size else fallback
        expected[cells] = fallback = level
        if values.size:
            tiers.append(Tier(level, sets[index] if index < len(sets) else ()))
    return Structure(expected, usual, tuple(tiers))


def _natural_boundaries(logs: Rates, pairs: Rates, seen: Flags) -> tuple[list[float], float]:
    """Give the boundaries between natural tiers, and the value below which pairs are at fault."""
    levels = find_levels(logs)
    bounds = [level.low for level in levels if math.isfinite(level.low)]
    finite = pairs[np.isfinite(pairs)]
    if np.isneginf(pairs).any() and finite.size:
        bounds.append(float(finite.min()) - 1.0)
    natural: list[float] = []
    highest = np.zeros_like(seen)
    for index, bound in enumerate(bounds):
        slow = seen & (pairs < bound)
        above = bounds[index - 1] if index else math.inf
        below = bounds[index + 1] if index + 1 < len(bounds) else -math.inf
        next_level = slow & (pairs >= below)
        if few_are_to_blame(slow, seen) or (
            not _is_wide(next_level, seen) and _are_scattered(slow, highest, seen)
        ):
            return natural, bound
        level = seen & (pairs >= bound) & (pairs < above)
        fast = seen & (pairs >= bound)
        if many_share(level, seen) and not _lie_high(fast, highest, seen):
            natural.append(bound)
            highest |= _tier(fast, highest, seen, pairs)[0]
    return natural, -math.inf


def _are_scattered(slow: Flags, highest: Flags, seen: Flags) -> bool:
    """Tell slow pairs that are many faults from a tier: they are the minority, and part no sets.

    The pairs of a tier lie between sets that are fast inside; bad cables lie anywhere, so that all
    nodes, or nearly all, stay one set.

    Parameters: ``highest`` are the cells of the tiers above.
    """
    if not _is_minority(slow, seen):
        return False
    labels = _sets(seen & ~slow, highest, seen)
    if labels is None:
        return True
    lone = alone(labels)
    return np.unique(labels[~lone]).size == 1 and few_nodes(int(np.count_nonzero(lone)), len(labels))


def _is_wide(level: Flags, seen: Flags) -> bool:
    """Tell whether so many pairs are equally fast as many faults are not, each with a cause of its own."""
    return bool(np.count_nonzero(level) > _WIDE * np.count_nonzero(seen))


def _lie_high(fast: Flags, highest: Flags, seen: Flags) -> bool:
    """Tell fast pairs that were measured too high from a tier: they are the minority, and make no sets."""
    return _is_minority(fast, seen) and _sets(fast, highest, seen) is None


def _sets(fast: Flags, highest: Flags, seen: Flags) -> Indices | None:
    """Find the sets that fast pairs make; rails cross the nodes, and show once those are left out."""
    labels = find_blocks(fast, seen)
    return find_blocks(fast & ~highest, seen & ~highest) if labels is None else labels


def _is_minority(pairs: Flags, seen: Flags) -> bool:
    return enough_pairs(seen) and bool(2 * np.count_nonzero(pairs) < np.count_nonzero(seen))


def _classes(
    pairs: Rates, seen: Flags, natural: list[float]
) -> tuple[NDArray[np.intp], list[tuple[tuple[int, ...], ...]]]:
    """Number each cell's tier, the fastest 0, and list each tier's blocks."""
    classes = np.full(pairs.shape, len(natural), dtype=np.intp)
    open_ = np.ones(pairs.shape, dtype=bool)
    sets: list[tuple[tuple[int, ...], ...]] = []
    for index, bound in enumerate(natural):
        same, blocks = _tier(seen & (pairs >= bound), ~open_, seen, pairs)
        sets.append(blocks)
        classes[same & open_] = index
        open_ &= ~same
    return classes, sets


def _tier(
    fast: Flags, highest: Flags, seen: Flags, pairs: Rates
) -> tuple[Flags, tuple[tuple[int, ...], ...]]:
    """Give the cells of a tier: inside its blocks, or the fast ones where they make none; and the blocks."""
    labels = _sets(fast, highest, seen)
    if labels is None:
        return fast, ()
    labels = place(labels, pairs)
    return labels[:, None] == labels[None, :], _members(labels)


def _members(labels: Indices) -> tuple[tuple[int, ...], ...]:
    lone = alone(labels)
    return tuple(
        tuple(int(node) for node in np.flatnonzero(labels == label)) for label in np.unique(labels[~lone])
    )
