"""Hydra's command line, in the dialects of MPICH and Intel MPI.

Hydra exports the launcher's whole environment unless a list is given, so one always is.
"""

from __future__ import annotations

from collections.abc import Mapping

from clusterboot.inventory.cluster import MpiKind

from .environment import rank_env, ranked_program
from .spec import Command, RunSpec, check

# What the launcher starts on other nodes: ``bstrap`` in Hydra's sources.
PROXIES: Mapping[MpiKind, tuple[str, ...]] = {
    "mpich": ("hydra_pmi_proxy",),
    "intelmpi": ("hydra_bstrap_proxy", "hydra_pmi_proxy"),
}


def mpich(spec: RunSpec) -> Command:
    """Describe a run for MPICH.

    Errors: ``UsageError`` for a description that cannot be carried out.
    Source: ``mpiexec.hydra -help`` of 4.0.2 and 5.0.2; libfabric's fi_tcp(7), UCX's
    ``UCX_NET_DEVICES`` for the two network layers that MPICH is built on.
    """
    check(spec)
    # MPICH 4.1 and later sleep for a moment where others call sched_yield(2), which a fair scheduler
    # may answer with the same process again: 8.4 ms and 2.6 ms for an allreduce of 1 KiB over 8 nodes
    # on 2 cores. An older one takes no notice.
    waiting = {"MPIR_CVAR_ENABLE_HEAVY_YIELD": "1"} if spec.oversubscribed else {}
    env = waiting | _tcp_layers(spec) | _tcp_interface(spec) | rank_env(spec)
    argv = [spec.mpi.launcher, "-f", spec.hostfile, "-n", str(spec.ranks)]
    argv += ["-ppn", str(spec.ranks_per_node), "-launcher", "ssh"]
    if spec.agent[0] != "ssh":
        argv += ["-launcher-exec", spec.agent[0]]
    # The nodes call the launcher back: by an address where one is known, since its host
    # name need not resolve on them.
    if spec.launch_address:
        argv += ["-localhost", spec.launch_address]
    elif spec.interface:
        argv += ["-iface", spec.interface]
    argv += [
        "-bind-to",
        "none",
        "-genvlist",
        ",".join(sorted(env)),
        *spec.extra_args,
        *ranked_program(spec),
    ]
    return Command(tuple(argv), env | _agent_args("HYDRA_LAUNCHER_EXTRA_ARGS", spec))


def intelmpi(spec: RunSpec) -> Command:
    """Describe a run for Intel MPI.

    Errors: ``UsageError`` for a description that cannot be carried out.
    Source: Intel MPI Library Developer Reference for Linux, "Global Hydra Options" and
    "Environment Variable Reference".
    """
    check(spec)
    fabric = {"FI_PROVIDER": "tcp"} if spec.tcp_only else {}
    # Waiting ranks sleep; the default is to spin. An allreduce of 1 KiB over 8 nodes on 2 cores took
    # 22.7 ms with the default, 4.4 ms with I_MPI_THREAD_YIELD=2 and 0.6 ms with this.
    waiting = {"I_MPI_WAIT_MODE": "1"} if spec.oversubscribed else {}
    env = fabric | {"I_MPI_PIN": "off"} | waiting | _tcp_interface(spec) | rank_env(spec)
    argv = [spec.mpi.launcher, "-machinefile", spec.hostfile, "-n", str(spec.ranks)]
    argv += ["-ppn", str(spec.ranks_per_node), "-bootstrap", "ssh"]
    over_ipv6 = spec.launch_address is not None and ":" in spec.launch_address
    if over_ipv6:
        argv.append("-v6")
    if spec.agent[0] != "ssh":
        argv += ["-bootstrap-exec", spec.agent[0]]
    if not spec.tree_spawn:
        argv += ["-branch-count", "0"]
    elif spec.radix:
        argv += ["-branch-count", str(spec.radix)]
    # It looks there for an IPv4 address, and for nothing else.
    if spec.interface and not over_ipv6 and not spec.apart:
        argv += ["-iface", spec.interface]
    argv += ["-genvlist", ",".join(sorted(env)), *spec.extra_args, *ranked_program(spec)]
    return Command(tuple(argv), env | _agent_args("I_MPI_HYDRA_BOOTSTRAP_EXEC_EXTRA_ARGS", spec))


def _tcp_interface(spec: RunSpec) -> dict[str, str]:
    return {"FI_TCP_IFACE": spec.interface} if spec.interface else {}


def _tcp_layers(spec: RunSpec) -> dict[str, str]:
    if not spec.tcp_only:
        return {}
    devices = {"UCX_NET_DEVICES": ",".join(spec.interfaces)} if spec.interfaces else {}
    return {"FI_PROVIDER": "tcp", "UCX_TLS": "self,sm,tcp"} | devices


def _agent_args(variable: str, spec: RunSpec) -> dict[str, str]:
    return {variable: " ".join(spec.agent[1:])} if len(spec.agent) > 1 else {}
