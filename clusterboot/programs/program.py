"""The seam behind which each benchmark stands: what it may run on, and what is asked of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from clusterboot.facts.node import NodeFacts

from .bench_options import BenchOptions
from .records import BenchTest, ParsedLog, Row

# A rank's command for each launch.
Commands = tuple[tuple[str, ...], ...]
# Takes a run's lines as they come; gives each row with its collective as soon as it is whole.
LiveRows = Callable[[str], "tuple[str, Row] | None"]


@dataclass(frozen=True)
class Allocation:
    """What a benchmark may run on: the facts of each node by host, and the ranks that it is to have.

    ``share_gpu`` lets several ranks use one GPU.
    """

    facts: Mapping[str, NodeFacts]
    ranks: Mapping[str, int]
    share_gpu: bool = False


@dataclass(frozen=True)
class Obstacle:
    """Why a benchmark cannot run, and what to do about it."""

    cause: str
    remedy: str


class Program(Protocol):
    """One benchmark over one library. A class with this as its base has the defaults that are given here.

    ``name`` is what ``--backend`` and JSON call it, ``title`` what people call the software that every node
    must have. ``on_gpu`` says whether GPU memory is measured, ``shares_gpus`` whether ranks may share one.
    ``is_own`` is true for a program of the project, which is built from source, given to the nodes, and
    prints the run's mark itself.
    """

    name: str
    title: str
    on_gpu: bool
    shares_gpus: bool = False
    is_own: bool = False

    def lacks(self, options: BenchOptions) -> Obstacle | None:
        """Say what of the options it can run nowhere; ``None`` for nothing."""
        return None

    def available(self, on: Allocation, collectives: Sequence[str]) -> Obstacle | None:
        """Say what keeps it from running these collectives there; ``None`` for nothing."""

    def version(self, node: NodeFacts) -> str | None:
        """Give the version that all nodes must have alike; ``None`` for one not known, or of no matter."""
        return None

    def described(self, on: Allocation) -> str:
        """Say what runs and what is measured, in a few words."""

    def commands(self, on: Allocation, options: BenchOptions, path: str | None) -> Commands:
        """Write each launch's command of a rank.

        Parameters: where it runs; what it is to do, which it does not lack; the path of a program of the
        project on the nodes.
        """

    def live(self, options: BenchOptions) -> LiveRows:
        """Give a reader of what it prints for while it runs."""
        return lambda _: None

    def parse(self, log: bytes) -> ParsedLog:
        """Read all that it printed: one test for each series of rows, and what went wrong."""

    def complete(self, series: BenchTest, options: BenchOptions | None) -> str | None:
        """Say what a series lacks of what the options promise, or where there are none it itself does.

        Returns: ``None`` where it is complete.
        """
