"""What each pair of a fabric should give: the tiers that it is built of."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from clusterboot.diagnose.matrix.blocks import alone, find_blocks, place
from clusterboot.diagnose.matrix.cover import few_are_to_blame, many_share
from clusterboot.diagnose.matrix.levels import best_of_both, find_levels
from clusterboot.diagnose.matrix.records import Flags, Indices, Rates


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
    for index, bound in enumerate(bounds):
        if few_are_to_blame(seen & (pairs < bound), seen):
            return natural, bound
        above = bounds[index - 1] if index else math.inf
        if many_share(seen & (pairs >= bound) & (pairs < above), seen):
            natural.append(bound)
    return natural, -math.inf


def _classes(
    pairs: Rates, seen: Flags, natural: list[float]
) -> tuple[NDArray[np.intp], list[tuple[tuple[int, ...], ...]]]:
    """Number each cell's tier, the fastest 0, and list each tier's blocks."""
    classes = np.full(pairs.shape, len(natural), dtype=np.intp)
    open_ = np.ones(pairs.shape, dtype=bool)
    sets: list[tuple[tuple[int, ...], ...]] = []
    for index, bound in enumerate(natural):
        fast = seen & (pairs >= bound)
        labels = find_blocks(fast, seen)
        if labels is None:
            # Rails cross the nodes: their sets show once the faster pairs are left out.
            labels = find_blocks(fast & open_, seen & open_)
        if labels is None:
            same = fast
            sets.append(())
        else:
            labels = place(labels, pairs)
            same = labels[:, None] == labels[None, :]
            sets.append(_members(labels))
        classes[same & open_] = index
        open_ &= ~same
    return classes, sets


def _members(labels: Indices) -> tuple[tuple[int, ...], ...]:
    lone = alone(labels)
    return tuple(
        tuple(int(node) for node in np.flatnonzero(labels == label)) for label in np.unique(labels[~lone])
    )
