"""Faults of a machine's processes, and of its port 22: stopped, starved, or another program has the port."""

from __future__ import annotations

import signal
from dataclasses import replace
from functools import partial

from .. import machine, process, slurm_daemons, sshd, wiring
from ..description import HEAD, Fault, Lab, LabNode
from ..enter import init_of, ip, machine_of
from . import background, login_faults
from .kinds import FaultKind, on_machine


def _filter(verb: str, node: LabNode) -> None:
    # sshd's answers find no route, so that its clients hear nothing: a firewall that drops, without one.
    ip(init_of(node), [f"rule {verb} pref 100 {wiring.TCP} sport 22 blackhole"])


def _stop(node: LabNode) -> None:
    process.kill(sshd.processes(node))


def _freeze(lab: Lab, fault: Fault) -> Fault:
    held = tuple(sshd.processes(machine_of(lab, fault.node)))
    for found in held:
        process.send(found, signal.SIGSTOP)
    return replace(fault, held=held)


def _thaw(_lab: Lab, fault: Fault) -> None:
    for found in fault.held:
        process.send(found, signal.SIGCONT)


def _starve(node: LabNode) -> None:
    init = init_of(node)
    background.start(init, "starve", [f"/proc/{init.pid}/root/proc"], node.name)


def _feed(node: LabNode) -> None:
    background.stop(init_of(node), "starve")
    for found, command in process.inside(init_of(node)):
        if command not in sshd.COMMANDS:
            process.send(found, signal.SIGCONT)


def _power_off(lab: Lab, fault: Fault) -> None:
    # The link first: nobody is told that the connections ended.
    node = machine_of(lab, fault.node)
    links = ("eth0", "ext0") if node.name == HEAD else ("eth0",)
    ip(init_of(node), [f"link set {name} down" for name in links])
    process.kill(found for found, _ in process.inside(init_of(node)))


def _power_on(lab: Lab, fault: Fault) -> None:
    node = machine_of(lab, fault.node)
    lines = wiring.node_lines(lab, node)
    if node.name == HEAD:
        lines += wiring.head_outside_lines(lab)
    ip(init_of(node), lines)
    if node.name == HEAD:
        # Else who dialled it meanwhile hears for some seconds more that it is not there: arp(7).
        machine.run([machine.tool("ip"), "neighbour", "flush", "dev", lab.link])
    sshd.start(node)
    if lab.slurm:
        slurm_daemons.start_on(lab, node)


def _take_door(lab: Lab, fault: Fault) -> None:
    """Put another program at the port, or before it where sshd is to stay."""
    node = machine_of(lab, fault.node)
    if fault.kind == "crowded":
        login_faults.configure(lab, fault)
    else:
        sshd.close(node)
    background.start(init_of(node), "door", [fault.kind], fault.node)


def _give_door_back(lab: Lab, fault: Fault) -> None:
    node = machine_of(lab, fault.node)
    background.stop(init_of(node), "door", fault.kind)
    if fault.kind == "crowded":
        login_faults.configure(lab, fault)
    else:
        sshd.start(node)


MACHINE_FAULTS = {
    "frozen": FaultKind("sshd accepts and stays silent: all of it is stopped", _freeze, _thaw),
    "port-closed": FaultKind("port 22 refuses; sessions go on", *on_machine(sshd.close, sshd.start)),
    "port-filtered": FaultKind(
        "port 22 is silent; sessions too", *on_machine(partial(_filter, "add"), partial(_filter, "del"))
    ),
    "powered-off": FaultKind("no process, no link", _power_off, _power_on),
    "sshd-stopped": FaultKind("sshd and its sessions are gone", *on_machine(_stop, sshd.start)),
    "starved": FaultKind("its processes, but sshd, get a tenth of the time", *on_machine(_starve, _feed)),
}
DOOR_FAULTS = {
    kind: FaultKind(summary, _take_door, _give_door_back)
    for kind, summary in {
        "banner-only": "port 22 says its banner, and no more",
        "crowded": "somebody who does not log in has its one place: MaxStartups 1:100:1",
        "dribbling": "port 22 says a byte a second",
        "half-banner": "port 22 says half a banner",
    }.items()
}
