"""Suspect nodes put together: which of them are one group behind something slow, which are alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ..pair_matrix import Direction, Pair, Rates
from .noise import Noise
from .suspects import Suspects, find_suspects, middle

# Nodes behind one slow thing lose alike: their drops differ by no more than this share.
_ALIKE = 0.25
# Fast inside: the cells between two members lose less than this share of the group's drop.
_INSIDE = 0.3
# A group's slow member gains at least this share of the group's drop by being with the group.
_GAIN = 0.5
# In a smaller group no node is bad with most of the others.
_LEAST_GROUP = 3


@dataclass(frozen=True)
class Unit:
    """A node, or a set of nodes that are fine with each other and slow with the rest.

    ``drop`` is the logarithm of what is measured over what is expected; ``unmet`` the pairs
    with other units that would tell whether they are one.
    """

    members: tuple[int, ...]
    direction: Direction
    drop: float
    unmet: tuple[Pair, ...] = ()


@dataclass(frozen=True, eq=False)
class _Ground:
    """What suspects are compared by; ``drops`` has each suspect's own."""

    residuals: Rates
    suspects: Suspects
    drops: Mapping[int, float]
    noise: Noise

    def are_alike(self, one: int, other: int) -> bool:
        """Tell whether two suspects are slow in the same directions and as much."""
        if self.suspects.direction(one) != self.suspects.direction(other):
            return False
        apart = abs(self.drops[one] - self.drops[other])
        return apart <= _ALIKE * max(abs(self.drops[one]), abs(self.drops[other])) + 2 * self.noise.spread

    def between(self, some: Sequence[int], others: Sequence[int]) -> float:
        """Give the middle of the cells between two sets, both ways."""
        there, back = self.residuals[np.ix_(some, others)], self.residuals[np.ix_(others, some)]
        return middle(np.concatenate([there.ravel(), back.ravel()]))


def find_units(residuals: Rates, suspects: Suspects, noise: Noise) -> tuple[Unit, ...]:
    """Put suspects together that are slow alike, in the same directions, and fast with each other."""
    drops = {int(node): _drop(suspects, int(node)) for node in np.flatnonzero(suspects.any)}
    ground = _Ground(residuals, suspects, drops, noise)
    joined = _merged(_joined(ground), ground)
    units = [_with_leaning(unit, joined, ground) for unit in joined]
    inside = {node for unit in units if len(unit) > 1 for node in unit}
    found = [unit for unit in units if len(unit) > 1 or unit[0] not in inside]
    return tuple(
        Unit(
            tuple(sorted(unit)),
            suspects.direction(unit[0]),
            float(np.median([drops[node] for node in unit])),
            _unmet(unit, found, ground),
        )
        for unit in found
    )


def hidden_units(unit: Unit, residuals: Rates, noise: Noise) -> tuple[Unit, ...]:
    """Find the nodes of a group that are slow with the group's other nodes too."""
    if len(unit.members) < _LEAST_GROUP:
        return ()
    inside = find_suspects(residuals[np.ix_(unit.members, unit.members)], noise.node_drop)
    if 2 * np.count_nonzero(inside.any) >= len(unit.members):
        return ()
    return tuple(
        Unit((unit.members[node],), inside.direction(node), _drop(inside, node))
        for node in np.flatnonzero(inside.any).tolist()
    )


def _drop(suspects: Suspects, node: int) -> float:
    drops = [
        float(drop[node])
        for slow, drop in ((suspects.out, suspects.out_drop), (suspects.in_, suspects.in_drop))
        if slow[node]
    ]
    return sum(drops) / len(drops)


def _joined(ground: _Ground) -> list[tuple[int, ...]]:
    """Join nodes to sets in which each is fast with most of those that it has met.

    The least slow come first: a group's own slow node finds the group complete.
    """
    sets: list[list[int]] = []
    drops = ground.drops
    for node in sorted(drops, key=lambda each: (-drops[each], each)):
        alike = [members for members in sets if all(ground.are_alike(node, other) for other in members)]
        speeds = [(ground.between([node], members), members) for members in alike]
        fast = [(speed, members) for speed, members in speeds if speed > _INSIDE * drops[node]]
        if fast:
            max(fast, key=lambda pair: pair[0])[1].append(node)
        else:
            sets.append([node])
    return [tuple(members) for members in sets]


def _merged(sets: list[tuple[int, ...]], ground: _Ground) -> list[tuple[int, ...]]:
    """Merge sets that are alike and fast with each other: their first nodes had not met."""
    merged: list[tuple[int, ...]] = []
    for members in sets:
        for at, other in enumerate(merged):
            is_fast = ground.between(members, other) > _INSIDE * ground.drops[other[0]]
            if is_fast and ground.are_alike(members[0], other[0]):
                merged[at] = other + members
                break
        else:
            merged.append(members)
    return merged


def _with_leaning(unit: tuple[int, ...], units: list[tuple[int, ...]], ground: _Ground) -> tuple[int, ...]:
    """Add to a group the slow nodes of its own: far faster with it than with the rest."""
    if len(unit) == 1:
        return unit
    rest = np.flatnonzero(~ground.suspects.any).tolist()
    direction = ground.suspects.direction(unit[0])
    lone = [each[0] for each in units if len(each) == 1]
    gained = [
        node
        for node in lone
        if ground.suspects.direction(node) == direction
        and ground.between([node], unit) - ground.between([node], rest) > _GAIN * abs(ground.drops[unit[0]])
    ]
    return (*unit, *gained)


def _unmet(unit: tuple[int, ...], units: list[tuple[int, ...]], ground: _Ground) -> tuple[Pair, ...]:
    """Give one pair with the next unit that is slow alike and that no member has met."""
    at = units.index(unit)
    for other in (*units[at + 1 :], *units[:at]):
        if np.isnan(ground.between(unit, other)) and ground.are_alike(unit[0], other[0]):
            return ((min(unit[0], other[0]), max(unit[0], other[0])),)
    return ()
