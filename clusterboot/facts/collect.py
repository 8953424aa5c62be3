"""All facts of a node: the sections that ask for them, and the record they become."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from clusterboot.errors import PartialError
from clusterboot.nodes.question import Clock
from clusterboot.nodes.script import Section, SectionOutput

from . import clock as clocks
from . import gpu, home, mpi, network, rdma, software, system
from .node import NodeFacts


def sections(
    tests_dir: str | None = None,
    mpi_prefix: str | None = None,
    mpi_module: str | None = None,
    lib_dirs: Sequence[str] = (),
) -> tuple[Section, ...]:
    """Describe what a node is asked; every name begins with ``facts.``.

    Parameters: the cluster file's directory of nccl-tests and prefix of MPI, as absolute
    paths on the nodes, the module that brings MPI, and folders of NCCL's libraries.
    Returns: sections in the order in which they are to run; the clock's stand first and
    last, so that what runs between them does not blur it.
    Errors: ``UsageError`` for a path that is not absolute or has unprintable characters.
    """
    return (
        Section("facts.clock", clocks.SNIPPET),
        Section("facts.system", system.SNIPPET),
        Section("facts.network", network.SNIPPET),
        Section("facts.rdma", rdma.SNIPPET),
        Section("facts.home", home.SNIPPET),
        Section("facts.mpi", mpi.snippet(mpi_prefix, mpi_module)),
        Section("facts.software", software.snippet(tests_dir, lib_dirs)),
        Section("facts.gpu", gpu.SNIPPET),
        Section("facts.clock-end", clocks.SNIPPET),
    )


def parse(outputs: Mapping[str, SectionOutput], clock: Clock | None) -> NodeFacts:
    """Make a node's record of its answer.

    Parameters: the sections of the answer by name, others' among them; the operator's clock
    around the channel, ``None`` where it was not sampled.
    Returns: the facts; what is missing or cannot be read is ``None`` or empty.
    Errors: ``PartialError`` at stage ``facts`` where hostname, kernel, architecture, CPUs or
    memory are missing: such an answer is not a Linux node's; also where a file is none.
    """

    def said(name: str) -> str:
        output = outputs.get(f"facts.{name}")
        return output.text if output else ""

    machine = system.parse(said("system"))
    if machine.odd:
        raise PartialError(
            f"{machine.odd} is no regular file: a FIFO, a device or a socket",
            stage="facts",
            remedy="remove it, or put the file back that belongs there",
        )
    essential = {
        "hostname": machine.hostname,
        "kernel": machine.kernel,
        "architecture": machine.arch,
        "CPUs": machine.cpus,
        "memory": machine.memory_mib,
    }
    missing = [name for name, value in essential.items() if not value]
    if missing:
        raise PartialError(
            f"the node did not say its {', '.join(missing)}",
            stage="facts",
            remedy="check that it runs Linux with /proc mounted and that its shell ends cleanly",
        )
    skew = clocks.parse(said("clock"), said("clock-end"), clock)
    return NodeFacts(
        hostname=machine.hostname or "",
        machine_id=machine.machine_id,
        os=machine.os,
        kernel=machine.kernel or "",
        arch=machine.arch or "",
        user=machine.user,
        cpus=machine.cpus,
        cpu_model=machine.cpu_model,
        sockets=machine.sockets,
        memory_mib=machine.memory_mib,
        numa_nodes=machine.numa_nodes,
        interfaces=network.parse(said("network")),
        rdma_ports=rdma.parse(said("rdma")),
        gpu=gpu.parse(said("gpu")),
        mpi=mpi.parse(said("mpi")),
        mpi_problem=mpi.problem(said("mpi")),
        software=software.parse(said("software")),
        limits=machine.limits,
        home=home.parse(said("home")),
        clock_skew_s=skew.skew_s if skew else None,
        clock_error_s=skew.error_s if skew else None,
        boot_id=home.boot_id(said("home")),
    )
