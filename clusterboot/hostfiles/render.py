"""Hostfiles in each MPI's dialect."""

from __future__ import annotations

from collections.abc import Sequence

from clusterboot.config.cluster import Options
from clusterboot.errors import PartialError
from clusterboot.facts.records import NodeFacts
from clusterboot.hostfiles.records import Excluded, Slot


def slots(facts: NodeFacts, options: Options) -> int:
    """Say how many ranks a node takes: the cluster file's word, else its GPUs, else one.

    Without it Open MPI would count cores, which fits no benchmark of the interconnect.
    """
    return options.slots or len(facts.gpu.gpus) or 1


def render_openmpi(lines: Sequence[Slot]) -> str:
    """Write Open MPI's hostfile: ``10.1.0.4 slots=8`` a line. It takes IPv6 addresses as they are.

    Source: prte-map(1), Open MPI's mpirun(1), "Host selection".
    """
    return "".join(f"{line.ip} slots={line.slots}\n" for line in lines)


def render_mpich(lines: Sequence[Slot]) -> str:
    """Write Hydra's hostfile: ``10.1.0.4:8`` a line.

    Hydra cuts a line at its first colon and knows no brackets, so an IPv6 address cannot be
    written; such a host stands under its name in the cluster file, by which the nodes'
    ssh configuration knows its address.
    Errors: ``PartialError`` for a host whose name has a colon too.
    Source: HYDU_process_mfile_token in MPICH's src/pm/hydra/lib/utils.
    """
    return "".join(f"{_hydra_host(line)}:{line.slots}\n" for line in lines)


def render_intelmpi(lines: Sequence[Slot]) -> str:
    """Write Intel MPI's hostfile, which is Hydra's: see :func:`render_mpich`."""
    return render_mpich(lines)


def _hydra_host(line: Slot) -> str:
    if ":" not in line.ip:
        return line.ip
    if ":" in line.host:
        raise PartialError(
            f"the IPv6 address {line.ip} cannot be written in a Hydra hostfile",
            host=line.host,
            stage="hostfile",
            remedy="give the host a name without colons in the cluster file",
        )
    return line.host


def render_excluded(hosts: Sequence[Excluded]) -> str:
    """Write one line for each host that stands in no hostfile: ``gpu007: the reason``."""
    return "".join(f"{host.host}: {' '.join(host.reason.split())}\n" for host in hosts)
