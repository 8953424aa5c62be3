"""Open MPI: 4.x with its own run-time, and 5 with PRRTE.

Output is not tagged: a tag can land in the middle of a row that a benchmark prints in
pieces, and the programs that run here print results on rank 0 alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from ipaddress import ip_address

from .launcher import Command, Daemons, HostLine, Launcher, RunSpec, Traces

# Both run-times hand unknown parameters on to their daemons' command lines, where a daemon
# that outlives its run can be told by it.
_DAEMON_MARK = "clusterboot_run"
_RADIX = 64


@dataclass(frozen=True)
class _Runtime:
    """What differs between the two run-times that start Open MPI's ranks, in the words of each.

    ``option`` precedes a parameter of the run-time; the other words are parameters. ``shared_memory`` is
    the BTL within a node.
    """

    daemons: Daemons
    option: str
    agent: str
    radix: str
    libraries: str
    interfaces: str
    shared_memory: str


# Open MPI 4: ``ompi_info --param all all``, plm_rsh_module.c.
_ORTE = _Runtime(
    Daemons(("orted",)),
    "--mca",
    "plm_rsh_agent",
    "routed_radix",
    "plm_rsh_pass_libpath",
    "oob_tcp_if_include",
    "vader",
)
# Open MPI 5: ``prte_info --all`` of 5.0.7 and 5.0.11, plm_ssh_component.c, ompi/tools/mpirun/main.c.
# mpirun becomes prterun. Open MPI may be built with a PRRTE of a folder of its own, as Spack does.
_PRRTE = _Runtime(
    Daemons(("prted", "prterun"), apart="prterun"),
    "--prtemca",
    "plm_ssh_agent",
    "rml_base_radix",
    "plm_ssh_pass_libpath",
    "prte_if_include",
    "sm",
)


def _runtime(version: str) -> _Runtime:
    """Give the run-time of an Open MPI; 4's where the version cannot be read."""
    head = version.partition(".")[0]
    return _PRRTE if head.isdigit() and int(head) >= 5 else _ORTE


class OpenMpi(Launcher):
    """Open MPI of whatever version the node has.

    Source: mpirun(1) of 4.1.4; ``ompi_info --param all all``; prterun of 5.0.11.
    """

    kind = "openmpi"
    name = "Open MPI"
    traces = Traces(
        re.compile(r"^mpi(?:run|exec)\S* \((?:Open MPI|OpenRTE)\) ([0-9]\S*)", re.MULTILINE),
        programs=("mpirun", "mpirun.openmpi"),
        compilers=("mpicc.openmpi", "mpicc"),
        folders=(
            "/usr/lib64/openmpi/bin",
            "/usr/lib64/openmpi5/bin",
            "/usr/local/mpi/bin",
            "/usr/local/openmpi*/bin",
            "/opt/openmpi*/bin",
            "/opt/openmpi/*/bin",
            "/opt/amazon/openmpi/bin",
            "/opt/amazon/openmpi5/bin",
            "/opt/hpcx*/ompi/bin",
            "/opt/nvidia/hpc_sdk/Linux_*/*/comm_libs/mpi/bin",
        ),
    )
    libraries = ("libmpi.so.40", "libmpi.so.20")
    rank_variables = ("OMPI_COMM_WORLD_RANK", "PMIX_RANK")
    takes_prefix = True
    packages = (
        (("Debian", "Ubuntu"), "apt-get install openmpi-bin libopenmpi-dev"),
        (
            ("Red Hat", "Rocky", "AlmaLinux", "CentOS", "Oracle Linux", "Fedora", "Amazon Linux"),
            "dnf install openmpi openmpi-devel",
        ),
        (("SLES", "SUSE", "openSUSE"), "zypper install openmpi4 openmpi4-devel"),
    )
    development = "libopenmpi-dev"

    def command(self, run: RunSpec) -> Command:
        by = _runtime(run.mpi.version)
        argv = [run.mpi.launcher]
        if run.as_root:
            argv.append("--allow-run-as-root")
        if run.prefix:
            argv += ["--prefix", run.prefix]
        mapping = f"ppr:{run.ranks_per_node}:node" + ":oversubscribe" * run.oversubscribed
        argv += ["--hostfile", run.hostfile, "-np", str(run.ranks), "--map-by", mapping]
        argv += ["--bind-to", "none", *_started(run, by), *_transport(run, by)]
        for name in sorted(run.env):
            argv += ["-x", name]
        return Command((*argv, *run.extra_args, *run.program), run.env)

    def hostfile(self, lines: Iterable[HostLine]) -> str:
        """Write ``10.1.0.4 slots=8`` a line. Source: prte-map(1), mpirun(1), "Host selection"."""
        return "".join(f"{line.launch_name} slots={line.slots}\n" for line in lines)

    def daemons(self, version: str) -> Daemons:
        return _runtime(version).daemons

    def logins(self, start: str, hosts: Sequence[str], radix: int | None = None) -> Iterator[tuple[str, str]]:
        """Give each daemon its parent: the launcher is daemon 0, level d holds radix^d of them.

        Source: ``orte/mca/routed/radix`` and ``orte/mca/plm/rsh``, and PRRTE's ``src/rml``, which build the
        same tree.
        """
        daemons = [start, *(host for host in hosts if host != start)]
        radix = radix or _RADIX
        width, first = 1, 0
        for number in range(1, len(daemons)):
            if number == first + width:
                first, width = number, width * radix
            parents = width // radix
            yield daemons[first - parents + (number - first) % parents], daemons[number]


def _started(run: RunSpec, by: _Runtime) -> list[str]:
    """Say how the daemons on the other nodes are started, and over what they talk."""
    given = [(_DAEMON_MARK, run.run_id), (by.agent, " ".join(run.agent))]
    if run.radix:
        given.append((by.radix, str(run.radix)))
    chosen = _chosen(run) if by is _ORTE else _chosen_by_prrte(run)
    if chosen and not _outside(run):
        given.append((by.interfaces, chosen))
    # A module's libraries: daemons start before any rank's environment is there.
    if path := run.mpi.env.get("LD_LIBRARY_PATH"):
        given.append((by.libraries, path))
    return [word for name, value in given for word in (by.option, name, value)]


def _chosen_by_prrte(run: RunSpec) -> str | None:
    # 5.0.11 ignores a subnet here with a warning, crashes on a list whose first interface a node
    # lacks and on a list of names to leave out; one name that all nodes have works.
    return (not run.apart and run.interface) or (str(run.network) if run.network else None)


def _chosen(run: RunSpec) -> str | None:
    """Say what TCP connections are made over: the subnet, which nodes may have on interfaces of any name.

    Only of IPv4: what an IPv6 subnet is, no release knows (``split_and_resolve()`` in
    btl_tcp_component.c and oob_tcp_component.c), and then none of a node's addresses is taken.
    """
    if run.network is None or run.network.version == 4:
        return str(run.network) if run.network else None
    return ",".join(run.interfaces) or None


def _outside(run: RunSpec) -> bool:
    """Tell whether the launcher has no address in the ranks' subnet: its daemons find it by any other."""
    return bool(
        run.apart and run.network and run.launch_address and ip_address(run.launch_address) not in run.network
    )


def _transport(run: RunSpec, by: _Runtime) -> list[str]:
    args: list[str] = []
    if run.tcp_only:
        args += ["--mca", "pml", "ob1", "--mca", "btl", f"self,{by.shared_memory},tcp"]
        # Two ranks that send to each other over one socket take turns: at 1 Gbit/s each way
        # an exchange of 16 MiB ran at 51 % of the rate with one link, at 95 % with two.
        args += ["--mca", "btl_tcp_links", str(run.tcp_links)]
    if chosen := _chosen(run):
        args += ["--mca", "btl_tcp_if_include", chosen]
    if run.oversubscribed:
        args += ["--mca", "mpi_yield_when_idle", "1"]
    return args
