"""What a slow pair leaves open, and the fewest further pairs that would settle it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..pair_matrix import Flags, Pair
from .links import SlowPair, good_cells
from .picture import Picture
from .suspects import Suspects

# Of this share of all partners a node's slow pairs can be told from the node; below so many, in
# no case.
_ENOUGH_PARTNERS = 0.5
_FEW_PARTNERS = 6


@dataclass(frozen=True, eq=False)
class Witnesses:
    """Which nodes are proven to send and to receive well, by at least one good measurement."""

    sends: Flags
    receives: Flags
    witnesses: Flags
    met: Flags

    def is_clear(self, pair: SlowPair) -> tuple[bool, bool]:
        """Tell of either end whether it is proven fine in the direction in which the pair is slow."""
        one, other = pair.ends
        if pair.direction == "both":
            fine = self.sends | self.receives
            return bool(fine[one]), bool(fine[other])
        return bool(self.sends[one]), bool(self.receives[other])

    def witness(self, node: int, taken: set[int]) -> int | None:
        """Choose a node that is proven fine, that ``node`` has not met, and that is not taken."""
        free = self.witnesses & ~self.met[node]
        free[[node, *taken]] = False
        chosen = np.flatnonzero(free)
        return int(chosen[0]) if chosen.size else None


def proof_of(picture: Picture, suspects: Suspects) -> Witnesses:
    """Gather what the good measurements prove."""
    good = good_cells(picture.residuals, picture.noise)
    sends, receives = np.asarray(good.any(axis=1)), np.asarray(good.any(axis=0))
    witnesses = (sends | receives) & ~suspects.any
    return Witnesses(sends, receives, witnesses, picture.seen)


def unsettled(links: tuple[SlowPair, ...], seen: Flags) -> Flags:
    """Choose the nodes that have met too few partners to say more than that a pair is slow.

    With several slow pairs a node may have bad links, or be slow with most; and several slow
    pairs after very few rounds may be a tier of the fabric. Other partners would tell.
    """
    nodes = seen.shape[0]
    partners = seen.sum(axis=1)
    slow = np.bincount([end for pair in links for end in pair.ends] or [0], minlength=nodes)
    several = (slow > 1) | ((partners < _FEW_PARTNERS) & (len(links) > 1))
    return np.asarray(several & (partners < _ENOUGH_PARTNERS * (nodes - 1)))


def settle_link(
    pair: SlowPair, proof: Witnesses, doubtful: Flags
) -> tuple[tuple[int, ...], tuple[Pair, ...]]:
    """Say whether a slow pair is a bad link, or may be the fault of an end.

    Parameters: ``doubtful`` are the nodes of which more must be known, whatever they proved.
    Returns: the ends that are under suspicion still, and for each the pair with a node known
    to be fine that would clear or convict it. All of them can be measured at once.
    """
    clear = proof.is_clear(pair)
    open_ = tuple(end for end, fine in zip(pair.ends, clear, strict=True) if not fine or doubtful[end])
    return open_, _with_witnesses(open_, set(pair.ends), proof)


def settle_node(node: int, picture: Picture, suspects: Suspects, proof: Witnesses) -> tuple[Pair, ...]:
    """Say what is missing until a suspect is certain.

    A suspect is certain where a partner it is slow with is proven fine by others.
    """
    partners = picture.seen[node] & ~suspects.any
    proven = (proof.sends | proof.receives) & partners
    return () if proven.any() else _with_witnesses((node,), set(), proof)


def _with_witnesses(nodes: tuple[int, ...], taken: set[int], proof: Witnesses) -> tuple[Pair, ...]:
    pairs = []
    for node in nodes:
        witness = proof.witness(node, taken)
        if witness is not None:
            taken = taken | {witness}
            pairs.append((min(node, witness), max(node, witness)))
    return tuple(pairs)


def settle_unmeasured(node: int, proof: Witnesses) -> tuple[Pair, ...]:
    """Give the pair that would tell something of a node that nothing is known of."""
    settled = _with_witnesses((node,), set(), proof)
    other = 1 if node == 0 else 0
    return settled or ((min(node, other), max(node, other)),)
