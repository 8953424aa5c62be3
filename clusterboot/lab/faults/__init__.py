"""Faults that a lab can have: a table of kinds, each made in one way and undone in one way.

What is wrong with a lab's links is never edited: it is derived from the list of faults that
the lab has, so that any mixture of slow links can be made and taken away in any order. Other
faults record on themselves which processes undoing them has to free.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from .. import life, machine, store
from ..description import SWITCH, Fault
from ..enter import machine_of
from .homes import HOME_FAULTS
from .kinds import FaultKind, parse_fault
from .link_faults import LINK_FAULTS
from .login_faults import LOGIN_FAULTS
from .machines import DOOR_FAULTS, MACHINE_FAULTS
from .paths import IPV6_FAULTS, PATH_FAULTS, SWITCH_FAULTS
from .slurm_faults import SLURM_FAULTS


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
        made = FAULTS[wanted.kind].make(broken, wanted) or wanted
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


FAULTS: Mapping[str, FaultKind] = {
    **dict(sorted({**SWITCH_FAULTS, **MACHINE_FAULTS}.items())),
    **DOOR_FAULTS,
    **HOME_FAULTS,
    **IPV6_FAULTS,
    **LINK_FAULTS,
    **PATH_FAULTS,
    **LOGIN_FAULTS,
    **SLURM_FAULTS,
}
