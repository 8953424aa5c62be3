"""Open MPI's command line: 4.x with its own run-time, and 5 with PRRTE.

Output is not tagged: a tag can land in the middle of a row that a benchmark prints in
pieces, and the programs that run here print results on rank 0 alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import ip_address

from .environment import rank_env, ranked_program
from .spec import Command, RunSpec, check

# Both run-times hand unknown parameters on to their daemons' command lines, where a daemon
# that outlives its run can be told by it.
_DAEMON_MARK = "clusterboot_run"


@dataclass(frozen=True)
class Runtime:
    """What differs between the two run-times that start Open MPI's ranks, in the words of each.

    ``programs`` stand beside ``mpirun`` on each node: the one that it starts on other nodes, and with
    PRRTE the one that it becomes itself; ``option`` precedes a parameter of the run-time; the other
    words are parameters. ``shared_memory`` is the BTL within a node.
    """

    programs: tuple[str, ...]
    option: str
    agent: str
    radix: str
    no_tree_spawn: str
    libraries: str
    interfaces: str
    shared_memory: str


# Open MPI 4: ``ompi_info --param all all``, plm_rsh_module.c.
ORTE = Runtime(
    ("orted",),
    "--mca",
    "plm_rsh_agent",
    "routed_radix",
    "plm_rsh_no_tree_spawn",
    "plm_rsh_pass_libpath",
    "oob_tcp_if_include",
    "vader",
)
# Open MPI may be built with a PRRTE of a folder of its own, as Spack does; mpirun then finds it by PATH.
MAY_BE_APART = "prterun"
# Open MPI 5: ``prte_info --all`` of 5.0.7 and 5.0.11, plm_ssh_component.c, ompi/tools/mpirun/main.c.
PRRTE = Runtime(
    ("prted", MAY_BE_APART),
    "--prtemca",
    "plm_ssh_agent",
    "rml_base_radix",
    "plm_ssh_no_tree_spawn",
    "plm_ssh_pass_libpath",
    "prte_if_include",
    "sm",
)


def runtime(version: str) -> Runtime:
    """Give the run-time of an Open MPI; 4's where the version cannot be read."""
    head = version.partition(".")[0]
    return PRRTE if head.isdigit() and int(head) >= 5 else ORTE


def openmpi(spec: RunSpec) -> Command:
    """Describe a run for Open MPI of whatever version the node has.

    Errors: ``UsageError`` for a description that cannot be carried out.
    Source: mpirun(1) of 4.1.4; ``ompi_info --param all all``; prterun of 5.0.11.
    """
    check(spec)
    env = rank_env(spec)
    by = runtime(spec.mpi.version)
    argv = [spec.mpi.launcher]
    if spec.as_root:
        argv.append("--allow-run-as-root")
    if spec.prefix:
        argv += ["--prefix", spec.prefix]
    argv += ["--hostfile", spec.hostfile, "-np", str(spec.ranks), "--map-by", _mapping(spec)]
    argv += ["--bind-to", "none", *_started(spec, by), *_transport(spec, by)]
    for name in sorted(env):
        argv += ["-x", name]
    return Command((*argv, *spec.extra_args, *ranked_program(spec)), env)


def _mapping(spec: RunSpec) -> str:
    mapping = f"ppr:{spec.ranks_per_node}:node"
    return f"{mapping}:oversubscribe" if spec.oversubscribed else mapping


def _started(spec: RunSpec, by: Runtime) -> list[str]:
    """Say how the daemons on the other nodes are started, and over what they talk."""
    given = [(_DAEMON_MARK, spec.run_id), (by.agent, " ".join(spec.agent))]
    if spec.radix:
        given.append((by.radix, str(spec.radix)))
    if not spec.tree_spawn:
        given.append((by.no_tree_spawn, "1"))
    chosen = _chosen(spec) if by is ORTE else _chosen_by_prrte(spec)
    if chosen and not _outside(spec):
        given.append((by.interfaces, chosen))
    # A module's libraries: daemons start before any rank's environment is there.
    if path := spec.mpi.env.get("LD_LIBRARY_PATH"):
        given.append((by.libraries, path))
    return [word for name, value in given for word in (by.option, name, value)]


def _chosen_by_prrte(spec: RunSpec) -> str | None:
    # 5.0.11 ignores a subnet here with a warning, crashes on a list whose first interface a node
    # lacks and on a list of names to leave out; one name that all nodes have works.
    return (not spec.apart and spec.interface) or (str(spec.network) if spec.network else None)


def _chosen(spec: RunSpec) -> str | None:
    """Say what TCP connections are made over: the subnet, which nodes may have on interfaces of any name.

    Only of IPv4: what an IPv6 subnet is, no release knows (``split_and_resolve()`` in
    btl_tcp_component.c and oob_tcp_component.c), and then none of a node's addresses is taken.
    """
    if spec.network is None or spec.network.version == 4:
        return str(spec.network) if spec.network else None
    return ",".join(spec.interfaces) or None


def _outside(spec: RunSpec) -> bool:
    """Tell whether the launcher has no address in the ranks' subnet: its daemons find it by any other."""
    return bool(
        spec.apart
        and spec.network
        and spec.launch_address
        and ip_address(spec.launch_address) not in spec.network
    )


def _transport(spec: RunSpec, by: Runtime) -> list[str]:
    args: list[str] = []
    if spec.tcp_only:
        args += ["--mca", "pml", "ob1", "--mca", "btl", f"self,{by.shared_memory},tcp"]
        # Two ranks that send to each other over one socket take turns: at 1 Gbit/s each way
        # an exchange of 16 MiB ran at 51 % of the rate with one link, at 95 % with two.
        args += ["--mca", "btl_tcp_links", str(spec.tcp_links)]
    if chosen := _chosen(spec):
        args += ["--mca", "btl_tcp_if_include", chosen]
    if spec.oversubscribed:
        args += ["--mca", "mpi_yield_when_idle", "1"]
    return args
