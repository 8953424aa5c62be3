"""What a link map maps: nodes, or the GPUs of all nodes, each with a rank of its own."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal

from clusterboot.hostfiles.slots import Slot

By = Literal["node", "gpu"]

_MARK = ":gpu"


def places_of(slots: Iterable[Slot], by: By) -> tuple[Slot, ...]:
    """List the places that are mapped, one rank each.

    Parameters: the nodes with their ranks; with ``by`` ``gpu`` each rank of a node is a place,
    ``n3:gpu5``, and the ranks of one node stand together: the program's n-th rank at an address
    takes that machine's n-th GPU.
    """
    if by == "node":
        return tuple(Slot(slot.host, slot.ip, 1) for slot in slots)
    return tuple(
        Slot(f"{slot.host}{_MARK}{number}", slot.ip, 1) for slot in slots for number in range(slot.slots)
    )


def host_of(place: str) -> str:
    """Give the node of a place."""
    host, mark, number = place.rpartition(_MARK)
    return host if mark and number.isdecimal() else place


def launched_on(places: Sequence[Slot]) -> tuple[Slot, ...]:
    """Join places into the nodes that a hostfile lists, with a rank for each place."""
    ranks: dict[tuple[str, str], int] = {}
    for place in places:
        at = (host_of(place.host), place.ip)
        ranks[at] = ranks.get(at, 0) + place.slots
    return tuple(Slot(host, ip, count) for (host, ip), count in ranks.items())
