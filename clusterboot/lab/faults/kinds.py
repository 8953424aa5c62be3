"""What a fault of a lab is: how it is made, how it is undone, and how a user asks for it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from clusterboot.errors import UsageError

from ..description import HEAD, MAX_NODES, SWITCH, Fault, Lab, LabNode
from ..enter import ip, machine_of, switch_of

# Making gives the fault with what undoing needs, where that is more than the fault as it was asked for.
Step: TypeAlias = Callable[[Lab, Fault], "Fault | None"]


@dataclass(frozen=True)
class Amount:
    """A number that follows a fault's name, from ``least`` to ``most``; ``default`` where it may be left out.

    ``name`` is its unit, as the help has it.
    """

    name: str
    least: float
    most: float
    default: float | None = None


@dataclass(frozen=True)
class FaultKind:
    """One kind of fault.

    ``make`` is given the lab with the fault already in its list; ``undo`` is given the lab with the
    fault no longer in it. With ``paired`` the fault is between two nodes, and written ``kind:OTHER``;
    with ``grouped`` it is of several, and written ``kind:OTHERS``; with ``on_switch`` it is of the
    ``switch``, and of no machine; with ``amount`` it has a size, and is written ``kind:NUMBER``;
    with ``slurm`` only a lab with Slurm has it; ``on_head`` says that it is of the head, or of the nodes, alone.
    """

    summary: str
    make: Step
    undo: Step
    paired: bool = False
    grouped: bool = False
    on_switch: bool = False
    amount: Amount | None = None
    slurm: bool = False
    on_head: bool | None = None

    @property
    def form(self) -> str:
        """What follows the kind's name: nothing, or a colon and whom it is with, or how much."""
        if self.amount:
            return f":{self.amount.name}" if self.amount.default is None else f"[:{self.amount.name}]"
        return ":OTHER" if self.paired else ":OTHERS" if self.grouped else ""


def on_machine(make: Callable[[LabNode], None], undo: Callable[[LabNode], None]) -> tuple[Step, Step]:
    """Make a fault of what is done to its machine, and undone."""
    return (
        lambda lab, fault: make(machine_of(lab, fault.node)),
        lambda lab, fault: undo(machine_of(lab, fault.node)),
    )


def in_switch(lines: Callable[[Lab, Fault, str], Sequence[str]]) -> tuple[Step, Step]:
    """Make a fault of lines for the switch's ``ip`` with ``add``, and undo it by the same with ``del``."""
    return (
        lambda lab, fault: ip(switch_of(lab), lines(lab, fault, "add")),
        lambda lab, fault: ip(switch_of(lab), lines(lab, fault, "del")),
    )


def parse_fault(faults: Mapping[str, FaultKind], lab: Lab, node: str, text: str) -> Fault:
    """Read a fault as ``break_node`` takes it, and refuse what cannot be made.

    Parameters: the kinds that there are; the lab; the node; the words.
    Errors: ``UsageError`` that says how it is written.
    """
    kind, colon, other = text.partition(":")
    if kind not in faults:
        raise UsageError(f"there is no fault '{kind}'", remedy=f"use one of {', '.join(sorted(faults))}")
    known = faults[kind]
    optional = known.amount is not None and known.amount.default is not None
    if bool(known.form) != bool(colon) and not optional:
        raise UsageError(f"'{text}' is not how this fault is written", remedy=f"write {kind}{known.form}")
    if known.on_switch != (node == SWITCH):
        whose = f"use {SWITCH}" if known.on_switch else "name a node"
        raise UsageError(f"the fault '{kind}' is not one of {node}", host=node, remedy=whose)
    if known.slurm and not lab.slurm:
        remedy = "take this one down and start one with: invoke lab.up --slurm"
        raise UsageError(f"the fault '{kind}' is one of a lab with Slurm", remedy=remedy)
    if known.on_head not in (None, node == HEAD):
        whose = f"use {HEAD}" if known.on_head else "name a compute node"
        raise UsageError(f"the fault '{kind}' is not one of {node}", host=node, remedy=whose)
    amount = _amount(known.amount, other) if known.amount and colon else None
    others = _expanded(other) if known.grouped else (other,) if known.paired else ()
    nodes = (node, *others)
    if not known.on_switch:
        for name in nodes:
            machine_of(lab, name)
    if len(set(nodes)) < len(nodes):
        what = "a group is of nodes that differ" if known.grouped else "a pair is two nodes"
        raise UsageError(what, host=node, remedy="name other nodes after the colon")
    wanted = Fault(node, kind, ",".join(others) or None, amount=amount)
    _refuse_twice(faults, lab, wanted)
    return wanted


def _amount(known: Amount, text: str) -> float:
    value = float(text) if re.fullmatch(r"[0-9]{1,4}(\.[0-9]{1,4})?", text) else -1.0
    if not known.least <= value <= known.most:
        remedy = f"use a number from {known.least:g} to {known.most:g}"
        raise UsageError(f"'{text}' is not a {known.name}", remedy=remedy)
    return value


def _refuse_twice(faults: Mapping[str, FaultKind], lab: Lab, wanted: Fault) -> None:
    for fault in lab.faults:
        behind = faults[fault.kind].grouped and faults[wanted.kind].grouped
        if behind and (common := set(fault.nodes) & set(wanted.nodes)):
            cause = f"it is behind an uplink already: {fault.node} {fault.text}"
            raise UsageError(cause, host=min(common), remedy=f"lab.mend {fault.node} undoes it")
        one_way = fault.nodes != wanted.nodes and wanted.kind in ("dead-to", "one-way", "slow-to")
        if fault.kind == wanted.kind and set(fault.nodes) == set(wanted.nodes) and not one_way:
            cause, remedy = f"it has the fault '{wanted.text}' already", f"lab.mend {wanted.node} undoes it"
            raise UsageError(cause, host=wanted.node, remedy=remedy)


def _expanded(text: str) -> tuple[str, ...]:
    """Read ``n2,n3`` and ``n[2-4,7]``; what is neither is left as it is, and no node's name."""
    folded = re.fullmatch(r"n\[([\d,-]+)\]", text)
    if not folded:
        return tuple(text.split(","))
    names: list[str] = []
    for part in folded[1].split(","):
        first, _, last = part.partition("-")
        if not first.isdigit() or not (last or first).isdigit() or int(last or first) > MAX_NODES:
            return (text,)
        names += [f"n{number}" for number in range(int(first), int(last or first) + 1)]
    return tuple(names)
