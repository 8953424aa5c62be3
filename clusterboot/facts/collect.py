"""All facts of a node: the question that asks for them, and the record that the reply becomes."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from clusterboot.inventory.cluster import Options
from clusterboot.nodes.question import Question, Reply
from clusterboot.nodes.script import Section

from . import clock, gpu, home, mpi, network, rdma, software, system
from .fact import Fact
from .node import NodeFacts

#: In the order in which they are asked for.
FACTS: tuple[Fact, ...] = (
    system.FACT,
    network.FACT,
    rdma.FACT,
    home.FACT,
    mpi.FACT,
    software.FACT,
    gpu.FACT,
)
_FIELDS = frozenset(field.name for field in fields(NodeFacts))


def question(options: Options) -> Question[NodeFacts]:
    """Ask a node for every fact; all sections' names begin with ``facts.``.

    The clock's sections stand first and last, so that what runs between them does not blur it.
    Parameters: what the cluster file says of where to look. Errors: its ``parse`` raises
    :class:`clusterboot.errors.PartialError` at stage ``facts`` where the reply is not a Linux node's.
    """
    asked = (Section(f"facts.{fact.name}", fact.body(options)) for fact in FACTS)
    stamps = Section("facts.clock", clock.SCRIPT), Section("facts.clock-end", clock.SCRIPT)
    return Question((stamps[0], *asked, stamps[1]), _parse, "facts")


def _parse(reply: Reply) -> NodeFacts:
    found: dict[str, Any] = {}
    for fact in FACTS:
        found |= fact.read(reply.text(f"facts.{fact.name}"))
    found |= clock.parse(reply.text("facts.clock"), reply.text("facts.clock-end"), reply.clock)
    more = {name: found.pop(name) for name in sorted(found.keys() - _FIELDS)}
    return NodeFacts(**found, more=more)
