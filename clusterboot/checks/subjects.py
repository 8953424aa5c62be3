"""What checks look at: what nodes said that they are, and what is to be launched on them."""

from __future__ import annotations

import random
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace

from clusterboot.hostfiles.slots import Slot
from clusterboot.trust.survey import Surveyed

from .ready import Ready

# Inside Linux's range for local ports, from which listeners that ask for any port get one.
PORTS = (32768, 60999)


@dataclass(frozen=True)
class SurveyedNodes:
    """The answers to a survey, by host, of the cluster of a name, and the operator's clock, in seconds."""

    cluster: str
    surveyed: Mapping[str, Surveyed]
    now_s: float

    def of(self, hosts: Collection[str]) -> SurveyedNodes:
        """Give the answers of ``hosts`` alone."""
        return replace(self, surveyed={name: said for name, said in self.surveyed.items() if name in hosts})


@dataclass(frozen=True)
class Planned:
    """A launch on nodes that are ready: its slots, its programs and what the ranks have in their environment.

    ``gpus`` is true where each rank needs a GPU of its own; programs are absolute, or seen from the
    home; ``port`` is one that the nodes will try on each other.
    """

    ready: Ready
    slots: tuple[Slot, ...] = ()
    gpus: bool = False
    programs: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    port: int = field(default_factory=lambda: random.randint(*PORTS))  # noqa: S311  # any port will do

    def of(self, hosts: Collection[str]) -> Planned:
        """Give the same launch with the facts and slots of ``hosts`` alone."""
        slots = tuple(slot for slot in self.slots if slot.host in hosts)
        return replace(self, ready=self.ready.of(hosts), slots=slots)
