"""Sets of nodes that are fast among themselves: racks, rails, the GPUs of one node."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..pair_matrix import Flags, Indices, Rates, row_middles

# Two nodes of one block have at least this share of their fast partners in common. Where a few pairs
# that were measured too high join two blocks, more of it parts them again.
_IN_COMMON = (0.5, 0.6, 0.75)
# Moves of nodes from set to set end by themselves, since each gains; most end at once.
_SWEEPS = 8
# How much the usual size of a set counts, in the weights of pairs: as much as one that speaks against it.
_BY_SIZE = 0.5
# A partition is believed when pairs inside are fast, and pairs across are not.
_FAST_INSIDE = 0.65
# Two blocks that are joined by mistake are larger than the usual one, and half of their pairs are slow.
_FAST_INSIDE_LARGE = 0.6
_FAST_ACROSS = 0.15
# Below this share of measured pairs, two nodes have met too few others to be compared.
_ENOUGH_PAIRS = 0.4
# A slow node of a block gains as much by being with it as the block's others do, within this
# much (logarithm); less than the smallest gap between two tiers.
_SAME_GAIN = 0.2
_LEAST_GAIN = 0.2


def find_blocks(fast: Flags, seen: Flags, alike: Rates) -> Indices | None:
    """Part the nodes into sets whose pairs are fast inside and not across.

    Parameters: symmetric matrices of the pairs that are fast, and of those that were measured; for
    each pair a weight above 0 where it speaks for one set, below 0 where it speaks against it.
    Returns: a label a node, or ``None`` where the fast pairs make no such sets, or too few
    pairs were measured to tell. A node that is fast with nobody has a label of its own.
    Of several partitions the one with which the pairs agree most, and of those the finest.
    Source: correlation clustering (Bansal, Blum, Chawla), improved by moves of single nodes.
    """
    if not enough_pairs(seen):
        return None
    likeness = _likeness(fast, seen)
    parts = {
        labels.tobytes(): labels
        for labels in (components((fast | ~seen) & (likeness >= share)) for share in _IN_COMMON)
    }
    moved = [_moved(labels, alike) for labels in parts.values()]
    found = [labels for labels in moved if _is_partition(labels, fast, seen)]
    return max(found, key=lambda labels: (agreement(labels, alike), np.unique(labels).size), default=None)


def agreement(labels: Indices, alike: Rates) -> float:
    """Give how much the pairs inside the sets speak for them."""
    return float(alike[labels[:, None] == labels[None, :]].sum())


def _moved(labels: Indices, alike: Rates) -> Indices:
    """Move each node to the set that its pairs speak for most, until none moves; alone where none does.

    Sets are built alike. So it counts for a set that it is no larger than is usual with a node, and
    against it that it is.
    """
    labels = labels.copy()
    places = np.arange(labels.size)
    alike = np.where(np.eye(labels.size, dtype=bool), 0.0, alike).astype(np.float32)
    members = (labels[:, None] == np.arange(labels.max() + 1)).astype(np.float32)
    weights, witnesses = np.zeros((2, *alike.shape), dtype=np.float32)
    weights[:, : members.shape[1]] = alike @ members
    witnesses[:, : members.shape[1]] = np.maximum(alike, 0) @ members
    sizes = np.bincount(labels, minlength=labels.size)

    def best_of(nodes: Indices) -> Indices:
        """Give each node's best set, its own where that is as good, and an empty one where none is good."""
        own = labels[nodes]
        is_own = places == own[:, None]
        is_usual = sizes + ~is_own <= usual_size
        gains = np.where(witnesses[nodes] > 0, weights[nodes] + np.where(is_usual, _BY_SIZE, -_BY_SIZE), 0)
        best, at = gains.max(axis=1), gains.argmax(axis=1)
        apart = np.where(sizes[own] == 1, own, np.argmin(sizes))
        at = np.where(best > gains[is_own], at, own)
        return np.asarray(np.where(best <= 0, apart, at))

    for _ in range(_SWEEPS):
        of_nodes = sizes[labels]
        usual_size = float(np.median(of_nodes[of_nodes > 1])) if (of_nodes > 1).any() else 1.0
        restless = np.flatnonzero(best_of(places) != labels)
        for node in restless:
            (best,) = best_of(np.array([node]))
            for at, times in ((labels[node], -1), (best, 1)):
                weights[:, at] += times * alike[:, node]
                witnesses[:, at] += times * np.maximum(alike[:, node], 0)
                sizes[at] += times
            labels[node] = best
        if not restless.size:
            break
    return labels


def _is_partition(labels: Indices, fast: Flags, seen: Flags) -> bool:
    """Tell whether pairs are fast inside the sets, and not across."""
    own = labels[:, None] == labels[None, :]
    lone = alone(labels)
    inside = seen & own
    across = seen & ~own & ~lone[:, None] & ~lone[None, :]
    if not inside.any() or np.count_nonzero(fast & inside) < _FAST_INSIDE * np.count_nonzero(inside):
        return False
    if np.count_nonzero(fast & across) > _FAST_ACROSS * np.count_nonzero(across):
        return False
    met, fine = (np.bincount(labels, weights=cells.sum(axis=1)) for cells in (inside, fast & inside))
    sizes = np.bincount(labels)
    large = sizes > np.median(sizes[sizes > 1])
    if np.any(fine[large] <= _FAST_INSIDE_LARGE * met[large]):
        return False
    # One fast pair alone, or a few among many nodes, are no structure.
    return 2 * int(np.count_nonzero(~lone)) >= len(labels)


def enough_pairs(seen: Flags) -> bool:
    """Tell whether so many pairs were measured that nodes can be compared by their partners."""
    nodes = seen.shape[0]
    return bool(np.count_nonzero(seen) >= _ENOUGH_PAIRS * nodes * (nodes - 1))


def alone(labels: Indices) -> Flags:
    """Tell of each node whether it is a block by itself."""
    return np.asarray(np.bincount(labels)[labels] == 1)


def place(labels: Indices, pairs: Rates) -> Indices:
    """Put each lone node into the block that it gains as much by as the block's own nodes do.

    A slow node is in its rack still, though no pair of it is as fast as a rack's.

    Parameters: ``pairs`` are the logarithms of the pairs' bandwidth.
    """
    placed = labels.copy()
    homes = [np.flatnonzero(labels == home) for home in np.unique(labels[~alone(labels)])]
    lone = np.flatnonzero(alone(labels))
    if len(homes) < 2 or not lone.size:
        return labels
    # The lower of two middles, since one reading that is too high places nobody.
    speeds = np.stack([-row_middles(-pairs[:, home]) for home in homes], axis=1)
    for node in lone:
        best = int(np.argmax(np.nan_to_num(speeds[node], nan=-np.inf)))
        gain = _gain(speeds[node], best)
        usual = float(np.median([_gain(speeds[other], best) for other in homes[best]]))
        if gain > _LEAST_GAIN and abs(gain - usual) < _SAME_GAIN:
            placed[node] = labels[homes[best][0]]
    return placed


def _gain(speeds: Rates, at: int) -> float:
    """Give how much faster a node is with one block than with the others; 0 where it is not known."""
    others = np.delete(speeds, at)
    others = others[np.isfinite(others)]
    return float(speeds[at] - np.median(others)) if others.size and np.isfinite(speeds[at]) else 0.0


def _likeness(fast: Flags, seen: Flags) -> NDArray[np.float32]:
    """Give, for each two nodes, the share of fast partners in common among those both have met."""
    nodes = seen.shape[0]
    own = np.eye(nodes, dtype=bool)
    partners = (fast | own).astype(np.float32)
    met = (seen | own).astype(np.float32)
    common = partners @ partners.T
    either = partners @ met.T
    return np.asarray(common / np.maximum(either + either.T - common, 1.0), dtype=np.float32)


def components(joined: Flags) -> Indices:
    """Label the connected sets of a symmetric graph, in the order of their first node."""
    nodes = joined.shape[0]
    labels = np.full(nodes, -1, dtype=np.intp)
    label = 0
    for first in range(nodes):
        if labels[first] >= 0:
            continue
        reached = np.zeros(nodes, dtype=bool)
        border = reached.copy()
        border[first] = True
        while border.any():
            reached |= border
            border = joined[border].any(axis=0) & ~reached
        labels[reached] = label
        label += 1
    return labels
