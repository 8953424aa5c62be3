"""Each MPI's launcher, by kind."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from clusterboot.facts.node import Mpi
from clusterboot.inventory.cluster import MpiKind

from .hydra import PROXIES, intelmpi, mpich
from .openmpi import openmpi, runtime
from .spec import Command, RunSpec

Launcher = Callable[[RunSpec], Command]

LAUNCHERS: Mapping[MpiKind, Launcher] = {
    "openmpi": openmpi,
    "mpich": mpich,
    "intelmpi": intelmpi,
}


def launch_programs(mpi: Mpi) -> tuple[str, ...]:
    """Name the programs that a launch needs on each node, beside ``mpirun`` in its folder."""
    return runtime(mpi.version).programs if mpi.kind == "openmpi" else PROXIES[mpi.kind]


def command(spec: RunSpec) -> Command:
    """Describe a run in the words of the MPI that is to start it.

    Returns: the launcher's command line and environment.
    Errors: ``UsageError`` for a description that cannot be carried out.
    """
    return LAUNCHERS[spec.mpi.kind](spec)
