"""What a run is, and what a launcher makes of it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network

from clusterboot.errors import UsageError
from clusterboot.facts.node import Mpi

# No prompt can be answered during a launch, and a dead node must not cost TCP's own timeout.
SSH_AGENT = ("ssh", "-o", "BatchMode=yes", "-o", "ConnectTimeout=10")

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
# Assigning one of these ends the shell that starts the launcher.
_READ_ONLY = frozenset({"BASHOPTS", "BASH_VERSINFO", "EUID", "PPID", "SHELLOPTS", "UID"})


@dataclass(frozen=True)
class RunSpec:
    """One run of one program on all hosts of a hostfile, in no MPI's dialect.

    ``run_id`` marks every process of the run, see :func:`clusterboot.mpi.script_names.new_run_id`;
    ``prints_mark`` is true where the program itself prints it around its output. ``cluster`` is the
    cluster's name.
    ``hostfile`` is a path on the launching node, in the dialect of ``mpi``. ``env`` is exported
    to every rank. ``network`` is the interconnect's subnet, ``interfaces`` the names that its
    interfaces have on the nodes, each once; ``interface_of`` each node's by the node's own host name,
    where they differ; ``launch_address`` is the launching node's own address in it.
    ``tcp_only`` keeps host-memory traffic on TCP where there is no RDMA, over ``tcp_links``
    connections between two ranks where the MPI lets that be chosen.
    ``oversubscribed`` is true where a node has fewer cores or slots than ranks. ``radix`` and
    ``tree_spawn`` shape the launch tree as in :func:`clusterboot.mpi.tree.launch_logins`.
    ``apart`` is true where the launching machine has none of ``interfaces``: a head that is no node.
    ``agent`` is the ssh command, ``prefix`` the MPI's folder on the nodes where the launcher's
    own does not say it, ``extra_args`` goes to the launcher as it stands.
    """

    mpi: Mpi
    run_id: str
    hostfile: str
    ranks: int
    ranks_per_node: int
    program: tuple[str, ...]
    cluster: str
    prints_mark: bool = False
    env: Mapping[str, str] = field(default_factory=dict)
    network: IPv4Network | IPv6Network | None = None
    interfaces: tuple[str, ...] = ()
    interface_of: Mapping[str, str] = field(default_factory=dict)
    launch_address: str | None = None
    gpu: bool = False
    ib_hca: str | None = None
    tcp_only: bool = False
    tcp_links: int = 2
    oversubscribed: bool = False
    as_root: bool = False
    radix: int | None = None
    tree_spawn: bool = True
    apart: bool = False
    agent: tuple[str, ...] = SSH_AGENT
    prefix: str | None = None
    extra_args: tuple[str, ...] = ()

    @property
    def interface(self) -> str | None:
        """The interconnect's interface where it has one name on all nodes."""
        return self.interfaces[0] if len(self.interfaces) == 1 else None


@dataclass(frozen=True)
class Command:
    """A launcher's command line and the environment it is started with.

    ``argv`` can be read by everybody on the launching node, so it carries the names of
    exported variables and never a value; the values are in ``env``.
    """

    argv: tuple[str, ...]
    env: Mapping[str, str]


def check(spec: RunSpec) -> RunSpec:
    """Refuse a description that no launcher could carry out faithfully.

    Returns: ``spec`` itself. Errors: ``UsageError`` at stage ``launch``.
    """
    if not spec.program:
        raise _usage("there is no program to run")
    if not 0 < spec.ranks_per_node <= spec.ranks:
        raise _usage(f"{spec.ranks} ranks cannot run as {spec.ranks_per_node} on each node")
    for name, value in (*spec.mpi.env.items(), *spec.env.items()):
        if not _NAME.fullmatch(name) or name in _READ_ONLY:
            raise _usage(f"'{name}' cannot be exported to the ranks", "take it out of the cluster file's env")
        if "\0" in value:
            raise _usage(f"the value of {name} has a zero byte", "take it out of the cluster file's env")
    # Every MPI splits its ssh command at white space, whatever quotes stand in it.
    if not spec.agent or any(not word or re.search(r"[\s\"';|&$`\\]", word) for word in spec.agent):
        raise _usage("the ssh command for the launch has a word that an MPI would split")
    return spec


def _usage(cause: str, remedy: str | None = None) -> UsageError:
    return UsageError(cause, stage="launch", remedy=remedy)
