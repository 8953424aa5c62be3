"""Faults inside the lab's switch: shared uplinks, firewalls, detours, and an interconnect of IPv6 alone.

A shared uplink is a cable from the switch to itself. What a group's nodes send elsewhere goes in
at one end of it, comes out at the other and is routed on from there; what others send them
comes the other way. So each direction passes one shaped device, and the group's nodes reach
each other without it. Each fault has rules, a table and a cable of its own, and is undone alone.
Source: ip-rule(8), veth(4).
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from ipaddress import IPv6Network

from .. import machine_files, sshd, wiring
from ..description import SWITCH, Fault, Lab, LabNode
from ..enter import in_network, init_of, ip, machine_of, switch_of
from ..wiring import SLOW, TCP, mac, port_name, tbf
from .kinds import FaultKind, in_switch

# The order in which rules are asked, before those of the main table at 32766 (ip-rule(8)).
_FIREWALL, _DETOUR, _INSIDE, _WHOLE, _OUTSIDE = 50, 60, 100, 110, 120
# A gateway that is nowhere: the cable has one other end. Source: RFC 5737, 192.0.2.0/24.
_FAR_END = "192.0.2.1"
_TABLE, _DETOUR_TABLES = 1000, 10_000


def _ends(lab: Lab, fault: Fault) -> tuple[LabNode, ...]:
    """List the machines that a fault is on: one, the two of a pair, or a group."""
    return tuple(machine_of(lab, name) for name in fault.nodes)


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
            for node in _ends(lab, fault)
        ]
    return [*lines, *(f"rule add {rule}" for rule in _uplink_rules(lab, fault))]


def without_uplink(lab: Lab, fault: Fault) -> list[str]:
    """Take the uplink away again; its shape goes with the cable, and so do the routes through it."""
    number, near, _ = _cable(lab, fault)
    rules = [f"rule del {rule}" for rule in _uplink_rules(lab, fault)]
    return [*rules, f"route flush table {_TABLE + 2 * number}", f"link del {near}"]


def _share(lab: Lab, fault: Fault) -> None:
    ip(switch_of(lab), uplink_lines(lab, fault))
    rate_bps = lab.rate_bps // SLOW if fault.kind == "slow-group" else lab.rate_bps
    shape = [f"qdisc add dev {end} root {tbf(rate_bps)}" for end in _cable(lab, fault)[1:]]
    in_network(switch_of(lab), ["tc", "-batch", "-"], shape)


def _unshare(lab: Lab, fault: Fault) -> None:
    ip(switch_of(lab), without_uplink(lab, fault))


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
    members = _ends(lab, fault)
    return [
        *(f"pref {_INSIDE} iif {port_name(node)} lookup {inside}" for node in members),
        f"pref {_INSIDE} iif {near} lookup {inside}",
        *(f"pref {_OUTSIDE} to {node.address}/32 lookup {outside}" for node in members),
    ]


def _cable(lab: Lab, fault: Fault) -> tuple[int, str, str]:
    """Number a fault's cable, and name its ends: a node is in one group at most."""
    number = 0 if fault.node == SWITCH else lab.machines.index(machine_of(lab, fault.node))
    return number, f"up{number}", f"up{number}-far"


def _firewall(lab: Lab, fault: Fault, verb: str) -> list[str]:
    """Have the switch lose what one node sends to the other (``dead-to``), or both: nobody is told."""
    one, two = _ends(lab, fault)
    ways = [(one, two)] if fault.kind == "dead-to" else [(one, two), (two, one)]
    return [f"rule {verb} pref {_FIREWALL} from {a.address} to {b.address} blackhole" for a, b in ways]


def _high_ports(lab: Lab, fault: Fault, verb: str) -> list[str]:
    """Have the switch drop TCP of the fault's node where both ends' ports are above 32767, or let it through.

    A login, whose one end is port 22, goes on.
    """
    address = machine_of(lab, fault.node).address
    ports = f"{TCP} sport 32768-60999 dport 32768-60999"
    return [f"rule {verb} pref {_FIREWALL} {way} {address}/32 {ports} blackhole" for way in ("from", "to")]


def _silence(lab: Lab, fault: Fault, verb: str) -> list[str]:
    node, other = _ends(lab, fault)
    to = f"iif {port_name(node)} to {other.address}/32 {TCP} dport 22"
    return [f"rule {verb} pref {_DETOUR} {to} blackhole"]


def _cut_pair(verb: str, lab: Lab, fault: Fault) -> None:
    one, two = _ends(lab, fault)
    for node, other in ((one, two), (two, one)):
        ip(init_of(node), [f"route {verb} unreachable {other.address}/32"])


def _address(lab: Lab, holders: Mapping[LabNode, LabNode]) -> None:
    """Give machines the addresses that others of them are known by, on their side and the switch's."""
    for node, as_whom in holders.items():
        ip(init_of(node), ["address flush dev eth0", *wiring.node_lines(lab, node, as_whom.address)])
        ip(switch_of(lab), wiring.port_lines(lab, node, as_whom.address))


def _swap(lab: Lab, fault: Fault) -> None:
    one, two = _ends(lab, fault)
    _address(lab, {one: two, two: one})


def _swap_back(lab: Lab, fault: Fault) -> None:
    _address(lab, {node: node for node in _ends(lab, fault)})


def _detour(lab: Lab, node: LabNode, verb: str) -> tuple[int, list[str]]:
    """Number the table that what dials a node's port 22 is routed by, and give the rules that lead there."""
    table = _DETOUR_TABLES + lab.machines.index(node)
    return table, [
        # Who comes from the head is not misled: what the operator sees of the node stays right.
        f"rule {verb} pref {_DETOUR} from {lab.head.address}/32 to {node.address}/32 lookup main",
        f"rule {verb} pref {_DETOUR + 1} to {node.address}/32 {TCP} dport 22 lookup {table}",
    ]


def _intercept(lab: Lab, fault: Fault) -> None:
    node, other = _ends(lab, fault)
    table, rules = _detour(lab, node, "add")
    route, neighbour = wiring.port_lines(lab, other, node.address)
    ip(init_of(other), [f"address replace {node.address}/32 dev lo"])
    ip(switch_of(lab), [f"{route} table {table}", neighbour, *rules])


def _release(lab: Lab, fault: Fault) -> None:
    node, other = _ends(lab, fault)
    table, rules = _detour(lab, node, "del")
    away = [f"neighbour del {node.address} dev {port_name(other)}", f"route flush table {table}"]
    ip(switch_of(lab), [*rules, *away])
    ip(init_of(other), [f"address del {node.address}/32 dev lo"])


def _subnet6(lab: Lab) -> IPv6Network:
    # RFC 4193: addresses that are nobody's.
    return IPv6Network(((0xFD63_6C75_7374 << 80) | (lab.index << 64), 64))


def address6(lab: Lab, node: LabNode) -> str:
    """Give a machine's IPv6 address: the head's is the subnet's first, and then the nodes' in order."""
    return str(_subnet6(lab)[lab.machines.index(node) + 1])


def _speak6(lab: Lab, _fault: Fault) -> None:
    """Give the machines IPv6 addresses, and take their others away.

    The switch stays the router that it is, with permanent neighbours, so that no address has to be asked
    for. Source: ip-address(8), ``nodad``.
    """
    subnet, addresses = _subnet6(lab), {node.name: address6(lab, node) for node in lab.machines}
    lines = [f"address replace {subnet[-2]}/128 dev lo nodad"]
    for number, (node, own) in enumerate(zip(lab.machines, addresses.values(), strict=True)):
        lines += [
            f"route replace {own}/128 dev {port_name(node)}",
            f"neighbour replace {own} lladdr {mac(1, number)} dev {port_name(node)} nud permanent",
        ]
    in_network(switch_of(lab), ["sh", "-c", "echo 1 >/proc/sys/net/ipv6/conf/all/forwarding"])
    ip(switch_of(lab), lines)
    hosts = machine_files.hosts_text(addresses)
    for number, (node, own) in enumerate(zip(lab.machines, addresses.values(), strict=True)):
        lines = [
            "address flush dev eth0",
            f"address replace {own}/64 dev eth0 nodad noprefixroute",
            f"neighbour replace {subnet[-2]} lladdr {mac(0, number)} dev eth0 nud permanent",
            f"route replace {subnet} via {subnet[-2]} dev eth0 onlink src {own}",
        ]
        ip(init_of(node), lines)
        sshd.checked(node, ["tee", "/etc/hosts"], hosts)


def _speak6_no_more(lab: Lab, _fault: Fault) -> None:
    hosts = machine_files.hosts_text({node.name: node.address for node in lab.machines})
    for node in lab.machines:
        ip(init_of(node), ["address flush dev eth0", *wiring.node_lines(lab, node)])
        sshd.checked(node, ["tee", "/etc/hosts"], hosts)


SWITCH_FAULTS = {
    "dead-pair": FaultKind(
        "no route between the two, either way",
        *(partial(_cut_pair, "replace"), partial(_cut_pair, "del")),
        paired=True,
    ),
    "dead-to": FaultKind("what it sends to the other is lost", *in_switch(_firewall), paired=True),
    "dropped-pair": FaultKind("a firewall drops all between the two", *in_switch(_firewall), paired=True),
    "high-ports-dropped": FaultKind(
        "a firewall drops TCP from and to its ports above 32767, between other such ports",
        *in_switch(_high_ports),
    ),
    "shared-switch": FaultKind("all nodes together have the rate of one", _share, _unshare, on_switch=True),
    "shared-uplink": FaultKind("a group's uplink has the rate of one node", _share, _unshare, grouped=True),
    "slow-group": FaultKind("a group's uplink has a tenth of a node's rate", _share, _unshare, grouped=True),
    "swapped": FaultKind("the two have each other's address", _swap, _swap_back, paired=True),
}
IPV6_FAULTS = {
    "ipv6-only": FaultKind(
        "all machines have IPv6 addresses and no others, the head's to the operator apart",
        *(_speak6, _speak6_no_more),
        on_switch=True,
    )
}
PATH_FAULTS = {
    "intercepted": FaultKind(
        "other nodes that dial its port 22 get OTHER; the head gets it", _intercept, _release, paired=True
    ),
    "one-way": FaultKind(
        "its logins to OTHER hear nothing; OTHER's to it work", *in_switch(_silence), paired=True
    ),
}
