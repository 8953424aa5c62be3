"""Intel MPI, whose launcher is a Hydra with a tree and words of its own."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence

from .launcher import Command, Daemons, RunSpec, Traces
from .mpich import Mpich, agent_args, tcp_interface

_TREE_WIDTH = 16


class IntelMpi(Mpich):
    """Intel MPI, of whose hostfile, libraries and variables MPICH's are the same.

    They share the MPICH ABI Compatibility Initiative's sonames.
    Source: Intel MPI Library Developer Reference for Linux, "Global Hydra Options" and
    "Environment Variable Reference".
    """

    kind = "intelmpi"
    name = "Intel MPI"
    traces = Traces(
        re.compile(r"^Intel\(R\) MPI Library for Linux\S* OS, Version ([0-9].*?) Build", re.MULTILINE),
        folders=(
            "/opt/intel/oneapi/mpi/latest/bin",
            "/opt/intel/oneapi/mpi/*/bin",
            "/opt/intel/compilers_and_libraries/linux/mpi/intel64/bin",
        ),
        # Its mpirun finds its mpiexec.hydra by PATH, which can be another MPI's, unless a script beside
        # it says where it is installed; a package index's wheel has no such script.
        look="""[ -x "$1/hydra_bstrap_proxy" ] && ! [ -f "$1/mpivars.sh" ] && ! [ -f "$1/../env/vars.sh" ] &&
    ! [ -f "$1/../setvars.sh" ] && names=mpiexec.hydra""",
    )
    over_ipv6 = True
    development = ""

    def command(self, run: RunSpec) -> Command:
        fabric = {"FI_PROVIDER": "tcp"} if run.tcp_only else {}
        # Waiting ranks sleep; the default is to spin. An allreduce of 1 KiB over 8 nodes on 2 cores took
        # 22.7 ms with the default, 4.4 ms with I_MPI_THREAD_YIELD=2 and 0.6 ms with this.
        waiting = {"I_MPI_WAIT_MODE": "1"} if run.oversubscribed else {}
        env = fabric | {"I_MPI_PIN": "off"} | waiting | tcp_interface(run) | dict(run.env)
        argv = [run.mpi.launcher, "-machinefile", run.hostfile, "-n", str(run.ranks)]
        argv += ["-ppn", str(run.ranks_per_node), "-bootstrap", "ssh"]
        over_ipv6 = run.launch_address is not None and ":" in run.launch_address
        if over_ipv6:
            argv.append("-v6")
        if run.agent[0] != "ssh":
            argv += ["-bootstrap-exec", run.agent[0]]
        if run.radix:
            argv += ["-branch-count", str(run.radix)]
        # It looks there for an IPv4 address, and for nothing else.
        if run.interface and not over_ipv6 and not run.apart:
            argv += ["-iface", run.interface]
        argv += ["-genvlist", ",".join(sorted(env)), *run.extra_args, *run.program]
        return Command(tuple(argv), env | agent_args("I_MPI_HYDRA_BOOTSTRAP_EXEC_EXTRA_ARGS", run))

    def daemons(self, version: str) -> Daemons:
        return Daemons(("hydra_bstrap_proxy", "hydra_pmi_proxy"))

    def logins(self, start: str, hosts: Sequence[str], radix: int | None = None) -> Iterable[tuple[str, str]]:
        """Tell its tree, as its 2021 releases make it: ``hydra_bstrap_proxy`` is given a ``--tree-width``."""
        return _split(start, hosts, radix or _TREE_WIDTH)

    def environment(self, launcher: str) -> Mapping[str, str]:
        """Give the root that its mpirun would have found out, where mpirun cannot be called."""
        folder, _, name = launcher.rpartition("/")
        return {"I_MPI_ROOT": folder.rpartition("/")[0]} if name == "mpiexec.hydra" else {}


def _split(source: str, hosts: Sequence[str], width: int) -> Iterator[tuple[str, str]]:
    """Deal hosts out in at most ``width`` runs of even length; the head of each starts its rest."""
    share, longer = divmod(len(hosts), width)
    blocks, at = [], 0
    for block in range(min(width, len(hosts))):
        size = share + (block < longer)
        blocks.append(hosts[at : at + size])
        at += size
    for heads in blocks:
        yield source, heads[0]
    for heads in blocks:
        yield from _split(heads[0], heads[1:], width)
