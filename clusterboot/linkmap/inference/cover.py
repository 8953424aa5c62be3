"""Whether slow pairs are the fault of a few nodes, or the way a fabric is built."""

from __future__ import annotations

import numpy as np

from ..pair_matrix import Flags

# Up to this share of all nodes a set behind a slow uplink is a fault; above it, racks of
# unequal size look the same.
_GROUP_SHARE = 1 / 3
# A node that sees no more slow partners than this has a good reference in the others.
_MINORITY = 1 / 3
# In few rounds a slow pair has few witnesses, and only few such pairs can be faults: this share
# of the nodes for each round.
_SHARE_A_ROUND = 1 / 8


def few_are_to_blame(slow: Flags, seen: Flags) -> bool:
    """Decide whether slow pairs can be put down to a minority of nodes or pairs.

    Parameters: symmetric matrices of the pairs that are slow, and of those that were measured.
    Returns: false where so many nodes have a part in them that they must be a tier of the
    fabric, or nobody can know which half is right.
    """
    nodes = int(slow.shape[0])
    partners = seen.sum(axis=1)
    slow_partners = slow.sum(axis=1)
    if np.all(slow_partners <= partners * _MINORITY):
        return True
    few_rounds = float(partners.mean()) * _SHARE_A_ROUND
    # In few rounds the limit itself still counts as few.
    limit = nodes * _GROUP_SHARE if few_rounds > _GROUP_SHARE else nodes * few_rounds + 0.5
    cover = smallest_cover(slow, nodes // 2 + 1)
    size = len(cover)
    if size < limit or size == 1:
        return size * 2 < nodes
    return size * 2 < nodes and _slow_among_themselves(cover, slow, seen)


def few_nodes(count: int, nodes: int) -> bool:
    """Tell whether so many nodes are few enough for their slow pairs to be a fault."""
    return count < nodes * _GROUP_SHARE


def many_share(level: Flags, seen: Flags) -> bool:
    """Tell whether a level of speed belongs to the fabric: to many nodes, or most pairs.

    Parameters: symmetric matrices of the pairs of the level, and of those that were measured.
    """
    if 2 * np.count_nonzero(level) > np.count_nonzero(seen):
        return True
    nodes = level.shape[0]
    touched = int(np.count_nonzero(level.any(axis=1)))
    cover = len(smallest_cover(level, nodes // 2 + 1))
    if cover >= nodes * _GROUP_SHARE:
        return True
    # Half of the nodes are fast with each other: nobody can know which half is right.
    return 2 * touched >= nodes and 2 * cover >= touched


def smallest_cover(slow: Flags, most: int) -> tuple[int, ...]:
    """Choose few nodes so that each slow pair has one of them, the node with most pairs first.

    Parameters: ``most`` is how many are chosen at most.
    """
    left = slow.copy()
    chosen: list[int] = []
    degrees = left.sum(axis=1)
    while len(chosen) < most:
        node = int(np.argmax(degrees))
        if degrees[node] == 0:
            break
        chosen.append(node)
        degrees = degrees - left[:, node]
        degrees[node] = 0
        left[node, :] = False
        left[:, node] = False
    return tuple(chosen)


def _slow_among_themselves(nodes: tuple[int, ...], slow: Flags, seen: Flags) -> bool:
    """Tell slow nodes, which are slow with each other too, from a rack, which is fast inside."""
    inside = np.ix_(nodes, nodes)
    return bool(2 * np.count_nonzero(slow[inside]) > np.count_nonzero(seen[inside]))
