"""Faults of a machine's port 22 that no sshd can be set to have: another program has the port."""

from __future__ import annotations

from . import background, login_faults, sshd
from .description import Fault, Lab
from .enter import machine_of
from .kinds import FaultKind


def _take_door(lab: Lab, fault: Fault) -> Fault:
    node = machine_of(lab, fault.node)
    sshd.close(node)
    background.start(sshd.init_of(node), "door", [fault.kind], fault.node)
    return fault


def _give_door_back(lab: Lab, fault: Fault) -> None:
    node = machine_of(lab, fault.node)
    background.stop(sshd.init_of(node), "door", fault.kind)
    sshd.start(node)


def _crowd_door(lab: Lab, fault: Fault) -> Fault:
    login_faults.configure(lab, fault)
    background.start(sshd.init_of(machine_of(lab, fault.node)), "door", [fault.kind], fault.node)
    return fault


def _clear_door(lab: Lab, fault: Fault) -> None:
    background.stop(sshd.init_of(machine_of(lab, fault.node)), "door", fault.kind)
    login_faults.configure(lab, fault)


DOOR_FAULTS = {
    "banner-only": FaultKind("port 22 says its banner, and no more", _take_door, _give_door_back),
    "crowded": FaultKind(
        "somebody who does not log in has its one place: MaxStartups 1:100:1", _crowd_door, _clear_door
    ),
    "dribbling": FaultKind("port 22 says a byte a second", _take_door, _give_door_back),
    "half-banner": FaultKind("port 22 says half a banner", _take_door, _give_door_back),
}
