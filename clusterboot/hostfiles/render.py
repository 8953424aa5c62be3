"""Hostfiles in each MPI's dialect."""

from __future__ import annotations

from collections.abc import Sequence

from clusterboot.facts.node import NodeFacts
from clusterboot.inventory.cluster import Options
from clusterboot.mpi.launchers import LAUNCHERS

from .slots import Excluded, Slot


def slots(facts: NodeFacts, options: Options) -> int:
    """Say how many ranks a node takes: the cluster file's word, else its GPUs, else one.

    Without it Open MPI would count cores, which fits no benchmark of the interconnect.
    """
    return options.slots or len(facts.gpu.gpus) or 1


def render_all(lines: Sequence[Slot]) -> dict[str, str]:
    """Write the hostfile of each MPI, by its kind."""
    return {kind: launcher.hostfile(lines) for kind, launcher in LAUNCHERS.items()}


def render_excluded(hosts: Sequence[Excluded]) -> str:
    """Write one line for each host that stands in no hostfile: ``gpu007: the reason``."""
    return "".join(f"{host.host}: {' '.join(host.reason.split())}\n" for host in hosts)
