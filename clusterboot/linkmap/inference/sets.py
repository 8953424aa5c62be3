"""Slow pairs put together: a set that is slow inside, or two sets that are slow across."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np

from ..pair_matrix import Direction, Flags, Where
from .blocks import components
from .links import SlowPair
from .noise import Noise

# So much of what was measured inside a set, or across two, must be slow.
_DENSE = 0.8
# Of fewer of its pairs nothing can be said of a set.
_MEASURED = 0.5
# What has one cause loses alike: no drop is farther from the middle than this share of it, and chance.
_ALIKE = 0.1
_CHANCE_SPREADS = 4
_LEAST_INSIDE = 3
_LEAST_SIDE = 2


@dataclass(frozen=True)
class SlowSet:
    """A set of nodes with its slow pairs: among themselves, or with the ``others``."""

    members: tuple[int, ...]
    others: tuple[int, ...]
    where: Where
    direction: Direction
    drop: float
    pairs: tuple[SlowPair, ...]


def find_sets(links: tuple[SlowPair, ...], seen: Flags, noise: Noise) -> tuple[SlowSet, ...]:
    """Find the sets that explain many slow pairs at once, which then are as slow as each other.

    Parameters: the slow pairs that no node explains; the pairs that were measured.
    """
    parts = _connected(links, seen.shape[0])
    found = (_set_of(pairs, seen) for pairs in parts if _are_alike(pairs, noise))
    return tuple(each for each in found if each is not None)


def _are_alike(pairs: list[SlowPair], noise: Noise) -> bool:
    drops = np.array([pair.drop for pair in pairs])
    middle = float(np.median(drops))
    return bool(np.all(np.abs(drops - middle) <= _ALIKE * abs(middle) + _CHANCE_SPREADS * noise.spread))


def _connected(links: tuple[SlowPair, ...], nodes: int) -> list[list[SlowPair]]:
    """Part slow pairs into those that hang together."""
    joined = np.zeros((nodes, nodes), dtype=bool)
    for link in links:
        joined[link.ends] = joined[link.ends[::-1]] = True
    labels = components(joined)
    parts: dict[int, list[SlowPair]] = {}
    for link in links:
        parts.setdefault(int(labels[link.ends[0]]), []).append(link)
    return list(parts.values())


def _set_of(pairs: list[SlowPair], seen: Flags) -> SlowSet | None:
    nodes = sorted({end for pair in pairs for end in pair.ends})
    drop = float(np.median([pair.drop for pair in pairs]))
    times = Counter(end for pair in pairs for end in pair.ends)
    each_with_half = all(2 * times[node] >= len(nodes) for node in nodes)
    if len(nodes) >= _LEAST_INSIDE and each_with_half and _is_dense(len(pairs), nodes, nodes, seen):
        return SlowSet(tuple(nodes), (), "inside", "both", drop, tuple(pairs))
    sides = _two_sides(pairs)
    if sides is None:
        return None
    small, large = sorted(sides, key=lambda side: (len(side), side))
    if len(small) < _LEAST_SIDE or not _is_dense(len(pairs), small, large, seen):
        return None
    return SlowSet(tuple(small), tuple(large), "across", _seen_from(small, pairs), drop, tuple(pairs))


def _is_dense(slow: int, one: list[int], other: list[int], seen: Flags) -> bool:
    """Tell whether most pairs between two lists, or inside one, were measured and are slow."""
    met = int(np.count_nonzero(seen[np.ix_(one, other)]))
    possible = len(one) * (len(other) - (one is other))
    counted = 2 * slow if one is other else slow
    return counted >= _DENSE * met and met >= _MEASURED * possible


def _two_sides(pairs: list[SlowPair]) -> tuple[list[int], list[int]] | None:
    """Part the nodes of connected pairs into two sides with no pair inside either."""
    partners: dict[int, set[int]] = {}
    for pair in pairs:
        partners.setdefault(pair.ends[0], set()).add(pair.ends[1])
        partners.setdefault(pair.ends[1], set()).add(pair.ends[0])
    side = {pairs[0].ends[0]: 0}
    border = list(side)
    while border:
        node = border.pop()
        for partner in partners[node]:
            if partner not in side:
                side[partner] = 1 - side[node]
                border.append(partner)
            elif side[partner] == side[node]:
                return None
    return [node for node in sorted(side) if not side[node]], [node for node in sorted(side) if side[node]]


def _seen_from(members: list[int], pairs: list[SlowPair]) -> Direction:
    senders = {pair.ends[0] in members for pair in pairs if pair.direction == "out"}
    if any(pair.direction == "both" for pair in pairs) or len(senders) != 1:
        return "both"
    return "out" if senders == {True} else "in"
