"""Every MPI's launcher, one line each, and what all of them have in common."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from importlib import resources
from shlex import quote

from . import intelmpi, mpich, openmpi
from .launcher import Command, Launcher, RunSpec, TreeLogin, check
from .script_names import ends_file

# The first is supposed where nodes have none yet.
LAUNCHERS: dict[str, Launcher] = {
    each.kind: each
    for each in (
        openmpi.OpenMpi(),
        mpich.Mpich(),
        intelmpi.IntelMpi(),
    )
}

# Found again in /proc/PID/environ when the run's processes have to be ended.
RUN_MARK = "CLUSTERBOOT_RUN"


def command(spec: RunSpec) -> Command:
    """Describe a run in the words of the MPI that is to start it.

    Returns: the launcher's command line and environment.
    Errors: ``ValidationError`` for a description that cannot be carried out.
    """
    check(spec)
    ranked = replace(spec, env=rank_env(spec), program=ranked_program(spec))
    return LAUNCHERS[spec.mpi.kind].command(ranked)


def launch_logins(
    kind: str | None, start: str, hosts: Sequence[str], radix: int | None = None
) -> tuple[TreeLogin, ...]:
    """Tell the logins of an MPI's launch before it makes them.

    Parameters: the MPI, ``None`` where it is not known; others as for :meth:`Launcher.logins`.
    Returns: each login once, the launcher's own first.
    Errors: ``ValueError`` for a radix below 2.
    """
    if radix is not None and radix < 2:
        raise ValueError(f"a launch tree of radix {radix} does not exist")
    pairs = LAUNCHERS[kind or next(iter(LAUNCHERS))].logins(start, hosts, radix)
    # A launcher or daemon starts what is on its own node without a login.
    return tuple(TreeLogin(source, target) for source, target in dict.fromkeys(pairs) if source != target)


def rank_variables() -> tuple[str, ...]:
    """Name the variables in which a rank of any MPI finds its number."""
    return tuple(dict.fromkeys(name for each in LAUNCHERS.values() for name in each.rank_variables))


def rank_env(spec: RunSpec) -> dict[str, str]:
    """Give the variables that are exported to every rank, whatever the MPI.

    The cluster file's ``env`` is there as it stands and wins over what is derived; what the MPI
    itself needs, as its module's paths, comes before both. NCCL is
    told the interconnect's interfaces by exact name: without that it takes the first one
    that matches, and ``docker0`` or a VPN often does.
    Source: NCCL's "Environment Variables", NCCL_SOCKET_IFNAME (a leading ``=`` is an exact
    match) and NCCL_IB_HCA.
    """
    derived: dict[str, str] = {}
    if spec.gpu and spec.interfaces:
        derived["NCCL_SOCKET_IFNAME"] = "=" + ",".join(spec.interfaces)
    if spec.gpu and spec.ib_hca:
        derived["NCCL_IB_HCA"] = spec.ib_hca
    return dict(spec.mpi.env) | derived | dict(spec.env) | {RUN_MARK: spec.run_id}


def ranked_program(spec: RunSpec) -> tuple[str, ...]:
    """Give the command of a rank: the program, behind a shell that waits for it.

    That shell leaves a line on the rank's own node where the program does not end well: a launcher's
    and other ranks' words on that could be anybody's. Where each node needs settings of its own it
    makes them: one environment goes to all ranks, and a list of all names would let a node take an
    interface that is the interconnect's only elsewhere. What the user sets stays.
    """
    mark = "" if spec.prints_mark else mark_line(spec.run_id)
    ends = ends_file(spec.cluster, spec.run_id)
    rank = "-"
    for name in reversed(rank_variables()):
        rank = f"${{{name}:-{rank}}}"
    text = resources.files("clusterboot.mpi").joinpath("rank.sh").read_text("utf-8")
    # As one line, which every launcher passes on as it stands.
    waiting = " ".join(line for line in text.splitlines() if not line.startswith("#"))
    script = f"cb_mark={quote(mark)}; cb_ends={quote(ends)}; cb_rank={rank}; {_own_settings(spec)}{waiting}"
    return ("/bin/sh", "-c", script, *spec.program)


def mark_line(run_id: str) -> str:
    """Give the line that stands before and after what a run prints: output of another run has another."""
    return f"# clusterboot run {run_id}"


def _own_settings(spec: RunSpec) -> str:
    if len(set(spec.interface_of.values())) < 2:
        return ""
    names = dict.fromkeys(LAUNCHERS[spec.mpi.kind].interface_variables(spec), "$i")
    if spec.gpu:
        names["NCCL_SOCKET_IFNAME"] = "=$i"
    chosen = [f'{name}="{value}"; export {name}' for name, value in names.items() if name not in spec.env]
    if not chosen:
        return ""
    hosts: dict[str, list[str]] = {}
    for host, interface in spec.interface_of.items():
        hosts.setdefault(interface, []).append(host)
    cases = [f"{'|'.join(map(quote, having))}) i={quote(name)};;" for name, having in hosts.items()]
    return f'case $(uname -n) in {" ".join(cases)} *) i=;; esac; [ -z "$i" ] || {{ {"; ".join(chosen)}; }}; '
