"""Open MPI's command line: 4.x with its own run-time, and 5 with PRRTE.

Output is not tagged: a tag can land in the middle of a row that a benchmark prints in
pieces, and the programs that run here print results on rank 0 alone.
"""

from __future__ import annotations

from ipaddress import ip_address

from clusterboot.launch.environment import rank_env, ranked_program
from clusterboot.launch.spec import Command, RunSpec, check

# Both run-times hand unknown parameters on to their daemons' command lines, where a daemon
# that outlives its run can be told by it.
_DAEMON_MARK = "clusterboot_run"


def major(version: str) -> int:
    """Give the first number of a version; 4 where it cannot be read."""
    head = version.split(".", 1)[0]
    return int(head) if head.isdigit() else 4


def openmpi(spec: RunSpec) -> Command:
    """Describe a run for Open MPI of whatever version the node has.

    Errors: ``UsageError`` for a description that cannot be carried out.
    Source: mpirun(1) of 4.1.4; ``ompi_info --param all all``; prterun of 5.0.11.
    """
    check(spec)
    env = rank_env(spec)
    runtime = _prrte(spec) if major(spec.mpi.version) >= 5 else _orte(spec)
    argv = [spec.mpi.launcher]
    if spec.as_root:
        argv.append("--allow-run-as-root")
    if spec.prefix:
        argv += ["--prefix", spec.prefix]
    argv += ["--hostfile", spec.hostfile, "-np", str(spec.ranks), "--map-by", _mapping(spec)]
    argv += ["--bind-to", spec.bind, *runtime, *_transport(spec)]
    for name in sorted(env):
        argv += ["-x", name]
    return Command((*argv, *spec.extra_args, *ranked_program(spec)), env)


def _mapping(spec: RunSpec) -> str:
    mapping = f"ppr:{spec.ranks_per_node}:node"
    return f"{mapping}:oversubscribe" if spec.oversubscribed else mapping


def _orte(spec: RunSpec) -> list[str]:
    args = ["--mca", _DAEMON_MARK, spec.run_id, "--mca", "plm_rsh_agent", " ".join(spec.agent)]
    if spec.radix:
        args += ["--mca", "routed_radix", str(spec.radix)]
    if not spec.tree_spawn:
        args += ["--mca", "plm_rsh_no_tree_spawn", "1"]
    if (chosen := _chosen(spec)) and not _outside(spec):
        args += ["--mca", "oob_tcp_if_include", chosen]
    return [*args, *_libraries(spec, "--mca", "plm_rsh_pass_libpath")]


def _prrte(spec: RunSpec) -> list[str]:
    args = ["--prtemca", _DAEMON_MARK, spec.run_id, "--prtemca", "plm_ssh_agent", " ".join(spec.agent)]
    if spec.radix:
        args += ["--prtemca", "rml_base_radix", str(spec.radix)]
    if not spec.tree_spawn:
        args += ["--prtemca", "plm_ssh_no_tree_spawn", "1"]
    # 5.0.11 ignores a subnet here with a warning, crashes on a list whose first interface a node
    # lacks and on a list of names to leave out; one name that all nodes have works.
    chosen = (not spec.apart and spec.interface) or (str(spec.network) if spec.network else None)
    if chosen and not _outside(spec):
        args += ["--prtemca", "prte_if_include", chosen]
    return [*args, *_libraries(spec, "--prtemca", "plm_ssh_pass_libpath")]


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


def _libraries(spec: RunSpec, option: str, name: str) -> list[str]:
    """Tell the daemons where a module's libraries are: they start before any rank's environment is there."""
    path = spec.mpi.env.get("LD_LIBRARY_PATH")
    return [option, name, path] if path else []


def _transport(spec: RunSpec) -> list[str]:
    args: list[str] = []
    if spec.tcp_only:
        shared_memory = "sm" if major(spec.mpi.version) >= 5 else "vader"
        args += ["--mca", "pml", "ob1", "--mca", "btl", f"self,{shared_memory},tcp"]
        # Two ranks that send to each other over one socket take turns: at 1 Gbit/s each way
        # an exchange of 16 MiB ran at 51 % of the rate with one link, at 95 % with two.
        args += ["--mca", "btl_tcp_links", str(spec.tcp_links)]
    if chosen := _chosen(spec):
        args += ["--mca", "btl_tcp_if_include", chosen]
    if spec.oversubscribed:
        args += ["--mca", "mpi_yield_when_idle", "1"]
    return args
