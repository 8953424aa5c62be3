"""Faults inside the lab's switch: uplinks that nodes share, and firewalls between them.

A shared uplink is a cable from the switch to itself. What a group's nodes send elsewhere goes in
at one end of it, comes out at the other and is routed on from there; what others send them
comes the other way. So each direction passes one shaped device, and the group's nodes reach
each other without it. Each fault has rules, a table and a cable of its own, and is undone alone.
Source: ip-rule(8), veth(4).
"""

from __future__ import annotations

from .description import SWITCH, Fault, Lab
from .enter import machine_of
from .wiring import SLOW, TCP, mac, port_name, tbf

# The order in which rules are asked, before those of the main table at 32766 (ip-rule(8)).
_FIREWALL, _INSIDE, _WHOLE, _OUTSIDE = 50, 100, 110, 120
# A gateway that is nowhere: the cable has one other end. Source: RFC 5737, 192.0.2.0/24.
_FAR_END = "192.0.2.1"
_TABLE = 1000


def uplink_lines(lab: Lab, fault: Fault) -> list[str]:
    """Put a group behind an uplink that it shares, or all nodes behind one switch, as ``ip`` takes it."""
    number, near, far = _cable(lab, fault)
    lines = [
        f"link add {near} up address {mac(2, number)} type veth peer name {far} address {mac(3, number)}",
        f"link set {far} up",
        f"neighbour add {_FAR_END} lladdr {mac(3, number)} dev {near} nud permanent",
        f"neighbour add {_FAR_END} lladdr {mac(2, number)} dev {far} nud permanent",
        f"route add default via {_FAR_END} dev {near} onlink table {_TABLE + 2 * number}",
        f"route add default via {_FAR_END} dev {far} onlink table {_TABLE + 2 * number + 1}",
    ]
    if fault.node != SWITCH:
        lines += [
            f"route add {node.address}/32 dev {port_name(node)} table {_TABLE + 2 * number}"
            for node in (machine_of(lab, name) for name in fault.nodes)
        ]
    return [*lines, *(f"rule add {rule}" for rule in _uplink_rules(lab, fault))]


def uplink_shape(lab: Lab, fault: Fault) -> list[str]:
    """Shape both directions of the uplink, as ``tc`` takes it."""
    rate_bps = lab.rate_bps // SLOW if fault.kind == "slow-group" else lab.rate_bps
    return [f"qdisc add dev {end} root {tbf(rate_bps)}" for end in _cable(lab, fault)[1:]]


def without_uplink(lab: Lab, fault: Fault) -> list[str]:
    """Take the uplink away again; its shape goes with the cable, and so do the routes through it."""
    number, near, _ = _cable(lab, fault)
    rules = [f"rule del {rule}" for rule in _uplink_rules(lab, fault)]
    return [*rules, f"route flush table {_TABLE + 2 * number}", f"link del {near}"]


def firewall_lines(lab: Lab, fault: Fault, verb: str) -> list[str]:
    """Have the switch lose what one node sends to the other (``dead-to``), or both: nobody is told."""
    one, two = (machine_of(lab, name) for name in fault.nodes)
    ways = [(one, two)] if fault.kind == "dead-to" else [(one, two), (two, one)]
    return [
        f"rule {verb} pref {_FIREWALL} from {sender.address} to {receiver.address} blackhole"
        for sender, receiver in ways
    ]


def _uplink_rules(lab: Lab, fault: Fault) -> list[str]:
    number, near, far = _cable(lab, fault)
    inside, outside = _TABLE + 2 * number, _TABLE + 2 * number + 1
    if fault.node == SWITCH:
        # Logins from the head are not slowed: the fault is the interconnect's.
        return [
            f"pref {_WHOLE - 1} iif {port_name(lab.head)} lookup main",
            f"pref {_WHOLE - 1} to {lab.head.address}/32 lookup main",
            f"pref {_WHOLE} not iif {far} lookup {inside}",
        ]
    members = [machine_of(lab, name) for name in fault.nodes]
    return [
        *(f"pref {_INSIDE} iif {port_name(node)} lookup {inside}" for node in members),
        f"pref {_INSIDE} iif {near} lookup {inside}",
        *(f"pref {_OUTSIDE} to {node.address}/32 lookup {outside}" for node in members),
    ]


def _cable(lab: Lab, fault: Fault) -> tuple[int, str, str]:
    """Number a fault's cable, and name its ends: a node is in one group at most."""
    number = 0 if fault.node == SWITCH else lab.machines.index(machine_of(lab, fault.node))
    return number, f"up{number}", f"up{number}-far"


def high_port_lines(lab: Lab, fault: Fault, verb: str) -> list[str]:
    """Have the switch drop TCP of the fault's node where both ends' ports are above 32767, or let it through.

    A login, whose one end is port 22, goes on.
    """
    address = machine_of(lab, fault.node).address
    ports = f"{TCP} sport 32768-60999 dport 32768-60999"
    return [f"rule {verb} pref {_FIREWALL} {way} {address}/32 {ports} blackhole" for way in ("from", "to")]
