"""Faults of the way between two machines, made in the router between them: one way only, intercepted."""

from __future__ import annotations

from collections.abc import Sequence

from clusterboot.errors import ClusterbootError

from . import wiring
from .description import Fault, Lab, LabNode
from .enter import in_network, machine_of
from .kinds import FaultKind
from .sshd import init_of

# After a firewall's rules, and before those of uplinks and of the router's own table: ip-rule(8).
_FIRST, _THEN = 60, 61
_TABLES = 10_000


def _ends(lab: Lab, fault: Fault) -> tuple[LabNode, LabNode]:
    return machine_of(lab, fault.node), machine_of(lab, fault.other or "")


def _route(lab: Lab, lines: Sequence[str]) -> None:
    if lab.switch is None:
        raise ClusterbootError("the lab has no switch")
    in_network(lab.switch, ["ip", "-batch", "-"], lines)


def _silence_rule(lab: Lab, fault: Fault, verb: str) -> str:
    node, other = _ends(lab, fault)
    port = wiring.port_name(node)
    return f"rule {verb} pref {_FIRST} iif {port} to {other.address}/32 {wiring.TCP} dport 22 blackhole"


def _silence(lab: Lab, fault: Fault) -> Fault:
    _route(lab, [_silence_rule(lab, fault, "add")])
    return fault


def _unsilence(lab: Lab, fault: Fault) -> None:
    _route(lab, [_silence_rule(lab, fault, "del")])


def _detour_rules(lab: Lab, fault: Fault, verb: str) -> list[str]:
    node, _ = _ends(lab, fault)
    table = _TABLES + lab.machines.index(node)
    return [
        # Who comes from the head is not misled: what the operator sees of the node stays right.
        f"rule {verb} pref {_FIRST} from {lab.head.address}/32 to {node.address}/32 lookup main",
        f"rule {verb} pref {_THEN} to {node.address}/32 {wiring.TCP} dport 22 lookup {table}",
    ]


def _intercept(lab: Lab, fault: Fault) -> Fault:
    node, other = _ends(lab, fault)
    table = _TABLES + lab.machines.index(node)
    route, neighbour = wiring.port_lines(lab, other, node.address)
    in_network(init_of(other), ["ip", "-batch", "-"], [f"address replace {node.address}/32 dev lo"])
    _route(lab, [f"{route} table {table}", neighbour, *_detour_rules(lab, fault, "add")])
    return fault


def _release(lab: Lab, fault: Fault) -> None:
    node, other = _ends(lab, fault)
    port, table = wiring.port_name(other), _TABLES + lab.machines.index(node)
    away = [f"neighbour del {node.address} dev {port}", f"route flush table {table}"]
    _route(lab, [*_detour_rules(lab, fault, "del"), *away])
    in_network(init_of(other), ["ip", "-batch", "-"], [f"address del {node.address}/32 dev lo"])


PATH_FAULTS = {
    "intercepted": FaultKind(
        "other nodes that dial its port 22 get OTHER; the head gets it", _intercept, _release, paired=True
    ),
    "one-way": FaultKind(
        "its logins to OTHER hear nothing; OTHER's to it work", _silence, _unsilence, paired=True
    ),
}
