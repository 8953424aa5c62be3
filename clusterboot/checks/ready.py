"""A cluster that can be launched on."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

from clusterboot.facts.node import NodeFacts
from clusterboot.hostfiles.slots import AddressPlan, Slot
from clusterboot.mpi.launcher import Mpi
from clusterboot.mpi.launchers import LAUNCHERS
from clusterboot.programs.program import Allocation
from clusterboot.session.visit import Visit
from clusterboot.trust.launching_host import Head


@dataclass(frozen=True)
class Ready:
    """Its facts and addresses, the MPI, and the machine to start from.

    ``head`` is that machine where it is no node. ``out`` has the facts of nodes that are out since.
    """

    facts: Mapping[str, NodeFacts]
    addresses: AddressPlan
    mpi: Mpi
    start: str
    head: Head | None = None
    out: Mapping[str, NodeFacts] = field(default_factory=dict)

    def of(self, hosts: Collection[str]) -> Ready:
        """Give the same cluster with ``hosts`` alone still in."""
        facts = {name: node for name, node in self.facts.items() if name in hosts}
        out = {name: node for name, node in self.facts.items() if name not in hosts}
        return replace(self, facts=facts, out={**self.out, **out})

    @property
    def ip(self) -> dict[str, str]:
        """The address of each host on the interconnect, and of the head that launches."""
        own = {self.start: self.head.address} if self.head else {}
        return {**self.addresses.ip, **own}

    @property
    def machines(self) -> dict[str, NodeFacts]:
        """What is known of the nodes, and of the head that launches."""
        return {**self.facts, **({self.start: self.head.facts} if self.head else {})}

    def allocation(self, slots: Sequence[Slot], *, share_gpu: bool) -> Allocation:
        """Give what a benchmark runs on that has these slots."""
        facts = {slot.host: self.facts[slot.host] for slot in slots}
        return Allocation(facts, {slot.host: slot.slots for slot in slots}, share_gpu)

    def node(self, visit: Visit) -> str:
        """Name the node that stands for all: the launching one, else the first that is good."""
        return visit.good[0].name if self.head and visit.good else self.start

    @property
    def launching_facts(self) -> NodeFacts:
        """What is known of the launching machine, also where it is out."""
        return {**self.out, **self.machines}[self.start]

    @property
    def carrier(self) -> str:
        """The MPI and its network for people: ``Open MPI 4.1.4 over 10.1.0.0/16``."""
        return self.mpi_name + (f" over {self.addresses.network}" if self.addresses.network else "")

    @property
    def mpi_name(self) -> str:
        """The MPI for people: ``Open MPI 4.1.4``."""
        return f"{LAUNCHERS[self.mpi.kind].name} {self.mpi.version}"
