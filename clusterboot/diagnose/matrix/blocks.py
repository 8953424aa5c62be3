"""Sets of nodes that are fast among themselves: racks, rails, the GPUs of one node."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from clusterboot.diagnose.matrix.records import Flags, Indices, Rates, row_middles

# Two nodes of one block have at least this share of their fast partners in common. Where a few pairs
# that were measured too high join two blocks, more of it parts them again.
_IN_COMMON = (0.5, 0.6, 0.75)
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


def find_blocks(fast: Flags, seen: Flags) -> Indices | None:
    """Part the nodes into sets whose pairs are fast inside and not across.

    Parameters: symmetric matrices of the pairs that are fast, and of those that were measured.
    Returns: a label a node, or ``None`` where the fast pairs make no such sets, or too few
    pairs were measured to tell. A node that is fast with nobody has a label of its own.
    """
    if not enough_pairs(seen):
        return None
    likeness = _likeness(fast, seen)
    parts = (components((fast | ~seen) & (likeness >= share)) for share in _IN_COMMON)
    return next((labels for labels in parts if _is_partition(labels, fast, seen)), None)


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
    speeds = np.stack([row_middles(pairs[:, home]) for home in homes], axis=1)
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
