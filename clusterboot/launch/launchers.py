"""Each MPI's launcher, by kind."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from clusterboot.config.cluster import MpiKind
from clusterboot.launch.hydra import intelmpi, mpich, mvapich
from clusterboot.launch.openmpi import openmpi
from clusterboot.launch.spec import Command, RunSpec

Launcher = Callable[[RunSpec], Command]

LAUNCHERS: Mapping[MpiKind, Launcher] = {
    "openmpi": openmpi,
    "mpich": mpich,
    "mvapich": mvapich,
    "intelmpi": intelmpi,
}


def command(spec: RunSpec) -> Command:
    """Describe a run in the words of the MPI that is to start it.

    Returns: the launcher's command line and environment.
    Errors: ``UsageError`` for a description that cannot be carried out.
    """
    return LAUNCHERS[spec.mpi.kind](spec)
