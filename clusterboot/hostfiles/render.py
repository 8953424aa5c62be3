"""Hostfiles in each MPI's dialect."""

from __future__ import annotations

from collections.abc import Sequence

from clusterboot.facts.node import NodeFacts
from clusterboot.inventory.cluster import Options

from .slots import Excluded, Slot


def slots(facts: NodeFacts, options: Options) -> int:
    """Say how many ranks a node takes: the cluster file's word, else its GPUs, else one.

    Without it Open MPI would count cores, which fits no benchmark of the interconnect.
    """
    return options.slots or len(facts.gpu.gpus) or 1


def render_openmpi(lines: Sequence[Slot]) -> str:
    """Write Open MPI's hostfile: ``10.1.0.4 slots=8`` a line; see :attr:`Slot.launch_name` for IPv6.

    Source: prte-map(1), Open MPI's mpirun(1), "Host selection".
    """
    return "".join(f"{line.launch_name} slots={line.slots}\n" for line in lines)


def render_mpich(lines: Sequence[Slot]) -> str:
    """Write Hydra's hostfile: ``10.1.0.4:8`` a line; see :attr:`Slot.launch_name` for IPv6.

    Source: HYDU_process_mfile_token in MPICH's src/pm/hydra/lib/utils.
    """
    return "".join(f"{line.launch_name}:{line.slots}\n" for line in lines)


def render_intelmpi(lines: Sequence[Slot]) -> str:
    """Write Intel MPI's hostfile, which is Hydra's: see :func:`render_mpich`."""
    return render_mpich(lines)


def render_excluded(hosts: Sequence[Excluded]) -> str:
    """Write one line for each host that stands in no hostfile: ``gpu007: the reason``."""
    return "".join(f"{host.host}: {' '.join(host.reason.split())}\n" for host in hosts)
