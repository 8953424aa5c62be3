"""What the nodes are, and nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from clusterboot.errors import ExitCode, HostResult
from clusterboot.facts.node import NodeFacts
from clusterboot.session.context import Context
from clusterboot.session.visit import exit_code
from clusterboot.trust.survey import survey


@dataclass(frozen=True)
class Inventory:
    """The facts of every node that answered."""

    hosts: tuple[HostResult, ...]
    exit_code: ExitCode
    facts: Mapping[str, NodeFacts] = field(default_factory=dict)


def inventory(context: Context) -> Inventory:
    """Collect every node's facts; nothing is changed anywhere."""
    with context.visit() as visit:
        surveyed = survey(visit, make_key=False)
        rows = visit.ledger.rows
    return Inventory(rows, exit_code(rows), {name: answer.facts for name, answer in surveyed.items()})
