"""Nodes whose RDMA ports lose packets, as the adapters count them: of the node as a whole, not of pairs."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from clusterboot.run.counters import Counters
from clusterboot.units import percent

from .inference.losses import most_by_chance
from .pair_matrix import Direction, Finding

# What tells of loss: packets that a receiver asked for again are lost on the way from who sent them, those
# that came out of order on the way to who received them. With what they are a share of, and in words.
# Source: mlx5's hw_counters.
_TELLING: dict[Direction, tuple[str, str, str]] = {
    "out": ("packet_seq_err", "port_xmit_packets", "sent was asked for again"),
    "in": ("out_of_sequence", "port_rcv_packets", "received came after one that was lost"),
}
# Of fewer nodes, and of fewer packets, nothing is usual.
_ENOUGH_NODES = 4
_ENOUGH_PACKETS = 1000


def find_port_losses(grown: Mapping[str, Counters]) -> tuple[Finding, ...]:
    """Find the nodes whose ports lose far more than the fleet's.

    Parameters: what every host's counters grew by in the run. Who sends to a node that loses packets sees a
    part of that, too, as one of its partners: beyond chance is what is beyond theirs.
    """
    lost = {way: _beyond_chance(grown, *figures[:2]) for way, figures in _TELLING.items()}
    found = []
    for host in grown:
        ways = [way for way in _TELLING if host in lost[way]]
        if not ways:
            continue
        told = ", ".join(f"{percent(lost[way][host])} of what its ports {_TELLING[way][2]}" for way in ways)
        direction: Direction = "both" if len(ways) > 1 else ways[0]
        found.append(Finding("node", (host,), direction, 1.0, f"{host}: {told}; far more than the others'"))
    return tuple(found)


def _beyond_chance(grown: Mapping[str, Counters], part: str, whole: str) -> dict[str, float]:
    shares = {}
    for host, counters in grown.items():
        parts, wholes = (sum(port.get(name, 0) for port in counters.ports.values()) for name in (part, whole))
        if wholes >= _ENOUGH_PACKETS:
            shares[host] = parts / wholes
    if len(shares) < _ENOUGH_NODES:
        return {}
    most = most_by_chance(np.array(list(shares.values())))
    return {host: share for host, share in shares.items() if share > most}
