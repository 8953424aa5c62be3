"""The lab's network, as the lines that ``ip`` and ``tc`` take with ``-batch``.

The switch is a router in a network namespace of its own, with one port a node and no bridge:
a node's only neighbour is the switch, and that entry is permanent. On a bridge each pair of
nodes that talk costs two ARP entries of a table that all namespaces of a machine share, and
which overflows at 1,024 (net.ipv4.neigh.default.gc_thresh3, arp(7)): 33 nodes in an all-to-all.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from ipaddress import IPv4Network

from .description import Fault, Lab, LabNode, cluster_network, outside_network

# A slow link has this fraction of its rate, and a flapping one this while it is down.
SLOW = 10
FLAP = 15
# How long a bursty link that has rested goes at its rate before it falls to a slow one's.
_BUCKET_S = 0.2

# The handles of what is stacked over a link's shape.
_FLAPPING, _BURSTY = "f0:", "b0:"

# TCP in ip's rules: by its number, since its name needs /etc/protocols, which a small machine lacks.
TCP = "ipproto 6"

_INDEXES = range(64)


def free_index(taken: Iterable[int], routes: Sequence[IPv4Network]) -> int | None:
    """Choose the number of a new lab, and so its subnets.

    Parameters: the numbers of other labs; the destinations of this machine's routes but the default.
    Returns: the first number whose two subnets no route overlaps; where a wide private route (a
    VPN's 10.0.0.0/8) covers all, one whose link to the head is free, since the interconnect is not
    visible outside the lab; ``None`` where there is none.
    """
    busy = set(taken)
    free = [i for i in _INDEXES if i not in busy and not any(outside_network(i).overlaps(r) for r in routes)]
    clear = (i for i in free if not any(cluster_network(i).overlaps(r) for r in routes))
    return next(clear, free[0] if free else None)


def claim_lines(lab: Lab) -> list[str]:
    """Make the link to the head on this machine, not yet up."""
    return [
        f"link add {lab.link} type veth peer name {lab.link}p",
        f"address add {lab.operator_address}/{lab.outside.prefixlen} dev {lab.link}",
    ]


def hand_over_lines(lab: Lab) -> list[str]:
    """Move the far end of that link into the head, under a name that says where it leads; this end up."""
    pid = lab.head.init.pid if lab.head.init else 0
    return [f"link set {lab.link}p netns {pid} name ext0", f"link set {lab.link} up"]


def head_outside_lines(lab: Lab) -> list[str]:
    """Bring the head's end of the link to the operator up."""
    return [f"address replace {lab.head_address}/{lab.outside.prefixlen} dev ext0", "link set ext0 up"]


def switch_lines(lab: Lab) -> list[str]:
    """Make the switch's ports, each with its machine's ``eth0`` at the other end."""
    gateway = lab.network[-2]
    lines = ["link set lo up", f"address add {gateway}/32 dev lo"]
    for number, machine in enumerate(lab.machines):
        port, pid = port_name(machine), machine.init.pid if machine.init else 0
        lines += [
            f"link add {port} up address {mac(0, number)}"
            f" type veth peer name eth0 address {mac(1, number)} netns {pid}",
            f"route add {machine.address}/32 dev {port}",
            f"neighbour add {machine.address} lladdr {mac(1, number)} dev {port} nud permanent",
        ]
    return lines


def port_lines(lab: Lab, node: LabNode, address: str) -> list[str]:
    """Have the switch reach ``address`` through the port of ``node``."""
    port, own = port_name(node), mac(1, lab.machines.index(node))
    return [
        f"route replace {address}/32 dev {port}",
        f"neighbour replace {address} lladdr {own} dev {port} nud permanent",
    ]


def node_lines(lab: Lab, node: LabNode, address: str | None = None) -> list[str]:
    """Bring a machine's own interfaces up, with its own address or another; also after its link was down."""
    gateway, address = lab.network[-2], address or node.address
    return [
        "link set lo up",
        "link set eth0 up",
        f"address replace {address}/{lab.network.prefixlen} dev eth0 noprefixroute",
        f"neighbour replace {gateway} lladdr {mac(0, lab.machines.index(node))} dev eth0 nud permanent",
        f"route replace {lab.network} via {gateway} dev eth0 onlink src {address}",
    ]


def port_name(node: LabNode) -> str:
    """Name the switch's port that leads to ``node``."""
    return f"to-{node.name}"


def out_shape(lab: Lab, node: LabNode) -> list[str]:
    """Shape what a machine without any shape sends, with the faults that ``lab`` has."""
    rate_bps = _rate(lab.rate_bps, lab.faults, node.name, ("slow-nic", "slow-out"))
    slow_to = [lab_node for lab_node in lab.machines if _is_slow(lab.faults, node.name, lab_node.name)]
    over, parent = _stack(lab, node, "eth0")
    if not slow_to:
        return [*over, f"qdisc add dev eth0 {parent} {tbf(rate_bps)}"]
    lines = [
        *over,
        f"qdisc add dev eth0 {parent} handle 1: htb default 1",
        f"class add dev eth0 parent 1: classid 1:1 {_htb(rate_bps)}",
    ]
    for number, other in enumerate(slow_to, 2):
        lines += [
            f"class add dev eth0 parent 1: classid 1:{number:x} {_htb(rate_bps // SLOW)}",
            "filter add dev eth0 parent 1: protocol ip u32"
            f" match ip dst {other.address}/32 flowid 1:{number:x}",
        ]
    return lines


def in_shape(lab: Lab, node: LabNode) -> list[str]:
    """Shape what a machine receives, at the switch's port without any shape."""
    rate_bps = _rate(lab.rate_bps, lab.faults, node.name, ("slow-nic", "slow-in"))
    over, parent = _stack(lab, node, port_name(node))
    return [*over, f"qdisc add dev {port_name(node)} {parent} {tbf(rate_bps)}"]


def flap_lines(lab: Lab, device: str) -> tuple[str, str]:
    """Give what takes a flapping link's device down to a fraction of its rate, and up to it again.

    The burst stays as it is: what is queued already is not segmented any more, and a large segment
    (up to 64 KiB) that exceeds the burst would hold up the link until it is up again.
    Source: tc-tbf(8), and ``tbf_enqueue`` and ``tbf_dequeue`` of Linux's net/sched/sch_tbf.c.
    """
    burst_bytes = _burst_bytes(lab.rate_bps)
    down, up = (
        f"qdisc change dev {device} root handle {_FLAPPING} {tbf(rate_bps, burst_bytes)}"
        for rate_bps in (lab.rate_bps // FLAP, lab.rate_bps)
    )
    return down, up


def _stack(lab: Lab, node: LabNode, device: str) -> tuple[list[str], str]:
    """Put further shapers over a device's own, each inside the one before, and say where its own comes.

    A packet passes all of them, so that the slowest counts. What flaps is the outermost one, which can
    be changed whatever is below it.
    """
    kinds = {fault.kind for fault in lab.faults if fault.node == node.name}
    lines, parent = [], "root"
    for kind, handle, words in (
        ("flapping", _FLAPPING, tbf(lab.rate_bps)),
        ("bursty", _BURSTY, _bucket(lab.rate_bps)),
    ):
        if kind in kinds:
            lines.append(f"qdisc add dev {device} {parent} handle {handle} {words}")
            parent = f"parent {handle}1"
    return lines, parent


def _bucket(rate_bps: int) -> str:
    """Shape as a token bucket does that its owner has had to share: fast after a rest, and then slow.

    Source: tc-tbf(8), ``peakrate`` and ``mtu`` (which is the bucket that the peak rate has of its own).
    """
    bucket_bytes = round(rate_bps / 8 * _BUCKET_S)
    limit_bytes = _burst_bytes(rate_bps) + _queue_bytes(rate_bps)
    return (
        f"tbf rate {rate_bps // SLOW}bit burst {bucket_bytes}b limit {limit_bytes}b"
        f" peakrate {rate_bps}bit mtu {_burst_bytes(rate_bps)}b"
    )


def _rate(rate_bps: int, faults: Iterable[Fault], node: str, slowing: tuple[str, ...]) -> int:
    slow = any(fault.node == node and fault.kind in slowing for fault in faults)
    return rate_bps // SLOW if slow else rate_bps


def _is_slow(faults: Iterable[Fault], sender: str, receiver: str) -> bool:
    """Tell whether what one machine sends to another is slowed on its way."""
    return any(
        (fault.kind == "slow-pair" and {fault.node, fault.other} == {sender, receiver})
        or (fault.kind == "slow-to" and (fault.node, fault.other) == (sender, receiver))
        for fault in faults
    )


def _burst_bytes(rate_bps: int) -> int:
    # What the link may be late by on a busy machine without losing rate: 2 ms (measured on two shared
    # cores: 94 to 96 % of the rate for TCP; 80 to 92 % with 0.5 ms). Not more, since after a pause
    # this much passes unshaped and flatters a short message.
    return max(32_000, rate_bps // 8 // 500)


def tbf(rate_bps: int, burst_bytes: int | None = None) -> str:
    """Give the words that shape a link to a rate; the burst follows from it where none is given."""
    burst_bytes = burst_bytes or _burst_bytes(rate_bps)
    return f"tbf rate {rate_bps}bit burst {burst_bytes}b limit {burst_bytes + _queue_bytes(rate_bps)}b"


def _queue_bytes(rate_bps: int) -> int:
    # 20 ms: deep enough for TCP to fill the link, short enough that it is not all latency.
    return max(150_000, rate_bps // 400)


def _htb(rate_bps: int) -> str:
    burst_bytes = _burst_bytes(rate_bps)
    return (
        f"htb rate {rate_bps}bit ceil {rate_bps}bit burst {burst_bytes}b cburst {burst_bytes}b quantum 15000"
    )


def mac(side: int, number: int) -> str:
    """Give a port's hardware address.

    Parameters: ``side`` is 0 for the switch's end, 1 for the machine's, 2 and 3 for an uplink's.
    """
    # 02: is locally administered, unicast.
    return f"02:cb:00:{side:02x}:{number >> 8:02x}:{number & 255:02x}"
