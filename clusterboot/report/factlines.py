"""What nodes are in few lines: each fact once, with the hosts that differ in it folded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from clusterboot.facts.differences import described, differences
from clusterboot.facts.node import NodeFacts
from clusterboot.folding import by_value, fold


@dataclass(frozen=True)
class OddHosts:
    """Hosts, folded, that have another value than most."""

    hosts: str
    value: str


@dataclass(frozen=True)
class FactLine:
    """One fact of all nodes: what most have, and who differs; ``clear`` as in a difference."""

    fact: str
    usual: str
    odd: tuple[OddHosts, ...] = ()
    clear: bool = True


def fact_lines(facts: Mapping[str, NodeFacts]) -> tuple[FactLine, ...]:
    """Tell facts by host as lines, in the facts' fixed order; empty where there are no hosts."""
    if not facts:
        return ()
    found = {difference.fact: difference for difference in differences(facts)}
    lines = []
    for fact, values in described(facts).items():
        difference = found.get(fact)
        if difference is None:
            lines.append(FactLine(fact, next(iter(values.values()))))
            continue
        odd = by_value({host.host: host.value for host in difference.odd})
        others = tuple(OddHosts(fold(names), value) for value, names in odd)
        lines.append(FactLine(fact, difference.usual, others, difference.clear))
    return tuple(lines)
