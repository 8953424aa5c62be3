"""MPICH, which is launched by Hydra.

Hydra exports the launcher's whole environment unless a list is given, so one always is.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from .launcher import Command, Daemons, HostLine, Launcher, RunSpec, Traces


class Mpich(Launcher):
    """MPICH and its like.

    Source: ``mpiexec.hydra -help`` of 4.0.2 and 5.0.2; libfabric's fi_tcp(7), UCX's
    ``UCX_NET_DEVICES`` for the two network layers that MPICH is built on.
    """

    kind = "mpich"
    name = "MPICH"
    traces = Traces(
        re.compile(r"^HYDRA build details:\s*\n\s*Version:\s*([0-9]\S*)", re.MULTILINE),
        programs=("mpirun", "mpirun.mpich"),
        compilers=("mpicc.mpich", "mpicc"),
        folders=(
            "/usr/lib64/mpich/bin",
            "/usr/lib64/mpich-*/bin",
            "/usr/local/mpich*/bin",
            "/opt/mpich*/bin",
            "/opt/cray/pe/mpich/default/bin",
        ),
        # MVAPICH, which is not supported and alone has an mpiname, has MPICH's launcher.
        look='[ -x "$1/mpiname" ] && return',
    )
    libraries: tuple[str, ...] = ("libmpi.so.12", "libmpich.so")
    rank_variables: tuple[str, ...] = ("PMI_RANK",)
    # It resolves names to IPv4 addresses alone: HYDU_sock_connect in MPICH's
    # src/pm/hydra/lib/utils/sock.c asks gethostbyname(3).
    over_ipv6 = False
    development = "libmpich-dev"

    def command(self, run: RunSpec) -> Command:
        # MPICH 4.1 and later sleep for a moment where others call sched_yield(2), which a fair scheduler
        # may answer with the same process again: 8.4 ms and 2.6 ms for an allreduce of 1 KiB over 8 nodes
        # on 2 cores. An older one takes no notice.
        waiting = {"MPIR_CVAR_ENABLE_HEAVY_YIELD": "1"} if run.oversubscribed else {}
        env = waiting | _tcp_layers(run) | tcp_interface(run) | dict(run.env)
        argv = [run.mpi.launcher, "-f", run.hostfile, "-n", str(run.ranks)]
        argv += ["-ppn", str(run.ranks_per_node), "-launcher", "ssh"]
        if run.agent[0] != "ssh":
            argv += ["-launcher-exec", run.agent[0]]
        # The nodes call the launcher back: by an address where one is known, since its host
        # name need not resolve on them.
        if run.launch_address:
            argv += ["-localhost", run.launch_address]
        elif run.interface:
            argv += ["-iface", run.interface]
        argv += ["-bind-to", "none", "-genvlist", ",".join(sorted(env)), *run.extra_args, *run.program]
        return Command(tuple(argv), env | agent_args("HYDRA_LAUNCHER_EXTRA_ARGS", run))

    def hostfile(self, lines: Iterable[HostLine]) -> str:
        """Write ``10.1.0.4:8`` a line.

        Source: HYDU_process_mfile_token in MPICH's src/pm/hydra/lib/utils.
        """
        return "".join(f"{line.launch_name}:{line.slots}\n" for line in lines)

    def daemons(self, version: str) -> Daemons:
        """Name Hydra's proxy: ``bstrap`` in its sources."""
        return Daemons(("hydra_pmi_proxy",))

    def logins(self, start: str, hosts: Sequence[str], radix: int | None = None) -> Iterable[tuple[str, str]]:
        return ((start, host) for host in hosts)

    def interface_variables(self, run: RunSpec) -> tuple[str, ...]:
        return ("FI_TCP_IFACE", "UCX_NET_DEVICES") if run.tcp_only else ("FI_TCP_IFACE",)


def tcp_interface(run: RunSpec) -> dict[str, str]:
    """Tell libfabric the interface where it has one name on all nodes."""
    return {"FI_TCP_IFACE": run.interface} if run.interface else {}


def _tcp_layers(run: RunSpec) -> dict[str, str]:
    if not run.tcp_only:
        return {}
    devices = {"UCX_NET_DEVICES": ",".join(run.interfaces)} if run.interfaces else {}
    return {"FI_PROVIDER": "tcp", "UCX_TLS": "self,sm,tcp"} | devices


def agent_args(variable: str, run: RunSpec) -> dict[str, str]:
    """Tell Hydra the arguments of the ssh command by a variable."""
    return {variable: " ".join(run.agent[1:])} if len(run.agent) > 1 else {}
