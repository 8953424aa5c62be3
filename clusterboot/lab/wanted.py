"""What fault a user asks for, and why some cannot be."""

from __future__ import annotations

import re
from collections.abc import Mapping

from clusterboot.errors import UsageError

from .description import MAX_NODES, SWITCH, Fault, Lab
from .enter import machine_of
from .kinds import Amount, FaultKind


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
        raise UsageError(
            f"'{text}' is not a {known.name}",
            remedy=f"use a number from {known.least:g} to {known.most:g}",
        )
    return value


def _refuse_twice(faults: Mapping[str, FaultKind], lab: Lab, wanted: Fault) -> None:
    for fault in lab.faults:
        behind = faults[fault.kind].grouped and faults[wanted.kind].grouped
        if behind and (common := set(fault.nodes) & set(wanted.nodes)):
            raise UsageError(
                f"it is behind an uplink already: {fault.node} {fault.text}",
                host=min(common),
                remedy=f"lab.mend {fault.node} undoes it",
            )
        one_way = fault.nodes != wanted.nodes and wanted.kind in ("dead-to", "one-way", "slow-to")
        if fault.kind == wanted.kind and set(fault.nodes) == set(wanted.nodes) and not one_way:
            raise UsageError(
                f"it has the fault '{wanted.text}' already",
                host=wanted.node,
                remedy=f"lab.mend {wanted.node} undoes it",
            )


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
