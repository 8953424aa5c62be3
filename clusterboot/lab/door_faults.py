"""Faults of a machine's port 22 that no sshd can be set to have: another program has the port."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

from ..errors import ClusterbootError
from . import login_faults, machine, process, sshd
from .enter import machine_of
from .kinds import FaultKind
from .records import Fault, Lab, LabNode, Process


def _take_door(lab: Lab, fault: Fault) -> Fault:
    node = machine_of(lab, fault.node)
    sshd.close(node)
    return replace(fault, held=(_start(node, fault.kind),))


def _give_door_back(lab: Lab, fault: Fault) -> None:
    process.kill(fault.held)
    sshd.start(machine_of(lab, fault.node))


def _crowd_door(lab: Lab, fault: Fault) -> Fault:
    login_faults.configure(lab, fault)
    return replace(fault, held=(_start(machine_of(lab, fault.node), fault.kind),))


def _clear_door(lab: Lab, fault: Fault) -> None:
    process.kill(fault.held)
    login_faults.configure(lab, fault)


def _start(node: LabNode, kind: str) -> Process:
    """Start the program at the door. Its process ends with its machine, whose namespace it is in."""
    init = sshd.init_of(node)
    # Not among the machine's files: Python's own library may be out of sight there.
    enter = [machine.tool("nsenter"), "--target", str(init.pid), "--net", "--pid", "--"]
    program = str(Path(__file__).with_name("door.py"))
    said = machine.run([*enter, sys.executable, "-I", "-S", program, kind], host=node.name).stdout
    for found, _ in process.inside(init):
        if process.inner_pid(found) == int(said):
            return found
    raise ClusterbootError("the program at its port 22 ended early", host=node.name)


DOOR_FAULTS = {
    "banner-only": FaultKind("port 22 says its banner, and no more", _take_door, _give_door_back),
    "crowded": FaultKind(
        "somebody who does not log in has its one place: MaxStartups 1:100:1", _crowd_door, _clear_door
    ),
    "dribbling": FaultKind("port 22 says a byte a second", _take_door, _give_door_back),
    "half-banner": FaultKind("port 22 says half a banner", _take_door, _give_door_back),
}
