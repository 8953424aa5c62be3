"""Faults that a lab can have: a table of kinds, each made in one way and undone in one way.

What is wrong with a lab's links is never edited: it is derived from the list of faults that
the lab has, so that any mixture of slow links can be made and taken away in any order. Other
faults record on themselves which processes undoing them has to free.
"""

from __future__ import annotations

import signal
from collections.abc import Mapping
from dataclasses import replace

from clusterboot.errors import ClusterbootError

from . import background, life, machine, process, sshd, store, uplinks, wiring
from .description import HEAD, SWITCH, Fault, Lab, LabNode, Process
from .door_faults import DOOR_FAULTS
from .enter import in_network, machine_of
from .home_faults import HOME_FAULTS
from .ipv6 import IPV6_FAULTS
from .kinds import FaultKind
from .link_faults import LINK_FAULTS
from .login_faults import LOGIN_FAULTS
from .path_faults import PATH_FAULTS
from .sshd import init_of
from .wanted import parse_fault


def break_node(name: str, node: str, fault: str) -> Fault:
    """Make a fault in a running lab.

    Parameters: the lab; the node, ``head`` or ``switch``; a kind of ``FAULTS``, for a pair
    ``kind:OTHER``, for a group ``kind:n2,n3`` or ``kind:n[2-3]``.
    Returns: the fault as recorded. Errors: ``UsageError`` for a lab, node or fault that there is not,
    or a fault that the node has already; ``ClusterbootError`` where it could not be made.
    """
    machine.require()
    with machine.lock():
        lab = life.find(name)
        wanted = parse_fault(FAULTS, lab, node, fault)
        # Recorded before it is made: where making is cut off, mending still knows of it.
        broken = replace(lab, faults=(*lab.faults, wanted))
        store.save(broken)
        made = FAULTS[wanted.kind].make(broken, wanted)
        store.save(replace(broken, faults=(*lab.faults, made)))
        return made


def mend(name: str, node: str) -> tuple[Fault, ...]:
    """Undo every fault of a node, those of its pairs included; the last one made goes first.

    Returns: the faults that were undone; none where the node had none.
    Errors: as :func:`break_node`.
    """
    machine.require()
    with machine.lock():
        lab = life.find(name)
        if node != SWITCH:
            machine_of(lab, node)
        ours = tuple(fault for fault in reversed(lab.faults) if node in fault.nodes)
        for fault in ours:
            mended = replace(lab, faults=tuple(f for f in lab.faults if f != fault))
            FAULTS[fault.kind].undo(mended, fault)
            store.save(mended)
            lab = mended
        return ours


def _ends(lab: Lab, fault: Fault) -> tuple[LabNode, ...]:
    """List the machines that a fault is on: one, or the two of a pair."""
    return tuple(machine_of(lab, name) for name in fault.nodes)


def _switch(lab: Lab) -> Process:
    if lab.switch is None:
        raise ClusterbootError(f"the lab '{lab.name}' has no switch")
    return lab.switch


def _share(lab: Lab, fault: Fault) -> Fault:
    in_network(_switch(lab), ["ip", "-batch", "-"], uplinks.uplink_lines(lab, fault))
    in_network(_switch(lab), ["tc", "-batch", "-"], uplinks.uplink_shape(lab, fault))
    return fault


def _unshare(lab: Lab, fault: Fault) -> None:
    in_network(_switch(lab), ["ip", "-batch", "-"], uplinks.without_uplink(lab, fault))


def _drop(lab: Lab, fault: Fault) -> Fault:
    in_network(_switch(lab), ["ip", "-batch", "-"], uplinks.firewall_lines(lab, fault, "add"))
    return fault


def _let_through(lab: Lab, fault: Fault) -> None:
    in_network(_switch(lab), ["ip", "-batch", "-"], uplinks.firewall_lines(lab, fault, "del"))


def _drop_high(lab: Lab, fault: Fault) -> Fault:
    in_network(_switch(lab), ["ip", "-batch", "-"], uplinks.high_port_lines(lab, fault, "add"))
    return fault


def _let_high_through(lab: Lab, fault: Fault) -> None:
    in_network(_switch(lab), ["ip", "-batch", "-"], uplinks.high_port_lines(lab, fault, "del"))


def _cut_pair(lab: Lab, fault: Fault) -> Fault:
    _route_pair(lab, fault, "replace")
    return fault


def _join_pair(lab: Lab, fault: Fault) -> None:
    _route_pair(lab, fault, "del")


def _route_pair(lab: Lab, fault: Fault, verb: str) -> None:
    one, two = _ends(lab, fault)
    for node, other in ((one, two), (two, one)):
        in_network(init_of(node), ["ip", "-batch", "-"], [f"route {verb} unreachable {other.address}/32"])


def _swap(lab: Lab, fault: Fault) -> Fault:
    one, two = _ends(lab, fault)
    _address(lab, {one: two, two: one})
    return fault


def _swap_back(lab: Lab, fault: Fault) -> None:
    one, two = _ends(lab, fault)
    _address(lab, {one: one, two: two})


def _address(lab: Lab, holders: Mapping[LabNode, LabNode]) -> None:
    """Give machines the addresses that others of them are known by, on their side and the switch's."""
    for node, as_whom in holders.items():
        lines = wiring.node_lines(lab, node, as_whom.address)
        in_network(init_of(node), ["ip", "-batch", "-"], ["address flush dev eth0", *lines])
        if lab.switch:
            in_network(lab.switch, ["ip", "-batch", "-"], wiring.port_lines(lab, node, as_whom.address))


def _filter_port(lab: Lab, fault: Fault) -> Fault:
    _filter_rule(lab, fault, "add")
    return fault


def _unfilter_port(lab: Lab, fault: Fault) -> None:
    _filter_rule(lab, fault, "del")


def _filter_rule(lab: Lab, fault: Fault, verb: str) -> None:
    # sshd's answers find no route, so that its clients hear nothing: a firewall that drops, without one.
    rule = f"rule {verb} pref 100 {wiring.TCP} sport 22 blackhole"
    in_network(init_of(machine_of(lab, fault.node)), ["ip", "-batch", "-"], [rule])


def _stop_sshd(lab: Lab, fault: Fault) -> Fault:
    process.kill(sshd.processes(machine_of(lab, fault.node)))
    return fault


def _close_port(lab: Lab, fault: Fault) -> Fault:
    sshd.close(machine_of(lab, fault.node))
    return fault


def _start_sshd(lab: Lab, fault: Fault) -> None:
    sshd.start(machine_of(lab, fault.node))


def _freeze(lab: Lab, fault: Fault) -> Fault:
    held = tuple(sshd.processes(machine_of(lab, fault.node)))
    for found in held:
        process.send(found, signal.SIGSTOP)
    return replace(fault, held=held)


def _thaw(_lab: Lab, fault: Fault) -> None:
    for found in fault.held:
        process.send(found, signal.SIGCONT)


def _starve(lab: Lab, fault: Fault) -> Fault:
    init = init_of(machine_of(lab, fault.node))
    background.start(init, "starve", [f"/proc/{init.pid}/root/proc"], fault.node)
    return fault


def _feed(lab: Lab, fault: Fault) -> None:
    init = init_of(machine_of(lab, fault.node))
    background.stop(init, "starve")
    for found, command in process.inside(init):
        if command not in sshd.COMMANDS:
            process.send(found, signal.SIGCONT)


def _power_off(lab: Lab, fault: Fault) -> Fault:
    # The link first: nobody is told that the connections ended.
    node = machine_of(lab, fault.node)
    in_network(init_of(node), ["ip", "-batch", "-"], [f"link set {name} down" for name in _interfaces(node)])
    process.kill(found for found, _ in process.inside(init_of(node)))
    return fault


def _power_on(lab: Lab, fault: Fault) -> None:
    node = machine_of(lab, fault.node)
    lines = wiring.node_lines(lab, node)
    if node.name == HEAD:
        lines += wiring.head_outside_lines(lab)
    in_network(init_of(node), ["ip", "-batch", "-"], lines)
    if node.name == HEAD:
        # Else who dialled it meanwhile hears for some seconds more that it is not there: arp(7).
        machine.run([machine.tool("ip"), "neighbour", "flush", "dev", lab.link])
    _start_sshd(lab, fault)


def _interfaces(node: LabNode) -> tuple[str, ...]:
    return ("eth0", "ext0") if node.name == HEAD else ("eth0",)


FAULTS: Mapping[str, FaultKind] = {
    "dead-pair": FaultKind("no route between the two, either way", _cut_pair, _join_pair, paired=True),
    "dead-to": FaultKind("what it sends to the other is lost", _drop, _let_through, paired=True),
    "dropped-pair": FaultKind("a firewall drops all between the two", _drop, _let_through, paired=True),
    "frozen": FaultKind("sshd accepts and stays silent: all of it is stopped", _freeze, _thaw),
    "high-ports-dropped": FaultKind(
        "a firewall drops TCP from and to its ports above 32767, between other such ports",
        _drop_high,
        _let_high_through,
    ),
    "port-closed": FaultKind("port 22 refuses; sessions go on", _close_port, _start_sshd),
    "port-filtered": FaultKind("port 22 is silent; sessions too", _filter_port, _unfilter_port),
    "powered-off": FaultKind("no process, no link", _power_off, _power_on),
    "shared-switch": FaultKind("all nodes together have the rate of one", _share, _unshare, on_switch=True),
    "shared-uplink": FaultKind("a group's uplink has the rate of one node", _share, _unshare, grouped=True),
    "slow-group": FaultKind("a group's uplink has a tenth of a node's rate", _share, _unshare, grouped=True),
    "sshd-stopped": FaultKind("sshd and its sessions are gone", _stop_sshd, _start_sshd),
    "starved": FaultKind("its processes, but sshd, get a tenth of the time", _starve, _feed),
    "swapped": FaultKind("the two have each other's address", _swap, _swap_back, paired=True),
    **DOOR_FAULTS,
    **HOME_FAULTS,
    **IPV6_FAULTS,
    **LINK_FAULTS,
    **PATH_FAULTS,
    **LOGIN_FAULTS,
}
