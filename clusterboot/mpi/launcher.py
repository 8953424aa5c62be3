"""The seam behind which each MPI stands: what a run is, and what is asked of a launcher."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network
from typing import Protocol

from clusterboot.errors import ValidationError

# No prompt can be answered during a launch, and a dead node must not cost TCP's own timeout.
SSH_AGENT = ("ssh", "-o", "BatchMode=yes", "-o", "ConnectTimeout=10")

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
# Assigning one of these ends the shell that starts the launcher: bash(1), Shell Variables.
READ_ONLY_VARIABLES = frozenset({"BASHOPTS", "BASH_VERSINFO", "EUID", "PPID", "SHELLOPTS", "UID"})


@dataclass(frozen=True)
class Mpi:
    """An MPI as non-interactive shells find it. ``launcher`` is the absolute path of ``mpirun``.

    ``kind`` is its :attr:`Launcher.kind`; ``env`` is what its launcher, compiler and ranks need in their
    environment: what its module changed, or the root of an installation that cannot tell it by itself.
    """

    kind: str
    version: str
    launcher: str
    mpicc: str | None = None
    env: Mapping[str, str] = field(default_factory=dict)


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
    ``oversubscribed`` is true where a node has fewer cores or slots than ranks. ``radix`` is
    the launch tree's where it is not the MPI's default.
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


@dataclass(frozen=True)
class TreeLogin:
    """One ssh login that a launch makes: who logs in, and where."""

    source: str
    target: str


@dataclass(frozen=True)
class Traces:
    """How an MPI is found on a node, and known from others.

    ``says`` finds its version in what ``mpirun --version`` prints. ``programs`` are the names that mpirun
    has, ``compilers`` those of mpicc, the one that can be no other MPI's first; ``folders`` are shell
    patterns of where they are when ``PATH`` does not lead there. ``look`` are lines of POSIX shell that see
    a folder, as ``$1``, before anything in it counts: they may change the ``names`` that are tried, or
    ``return``.
    """

    says: re.Pattern[str]
    programs: tuple[str, ...] = ("mpirun",)
    compilers: tuple[str, ...] = ("mpicc",)
    folders: tuple[str, ...] = ()
    look: str = ""


@dataclass(frozen=True)
class Daemons:
    """The programs that a launch needs on each node, beside ``mpirun`` in its folder.

    Where ``apart`` is not there it is found by ``PATH``, and the others are beside it.
    """

    programs: tuple[str, ...]
    apart: str | None = None


class HostLine(Protocol):
    """A node of a hostfile: what the launcher dials, and how many ranks it takes."""

    @property
    def launch_name(self) -> str:
        """An IPv4 address, or a name without colons."""

    @property
    def slots(self) -> int:
        """How many ranks."""


class Launcher(Protocol):
    """One MPI. A class with this as its base has the defaults that are given here.

    ``kind`` is what the cluster file, JSON and the folder of hostfiles call it, ``name`` what people do.
    ``libraries`` are beginnings of its library's sonames: MPIs that share one run each other's programs.
    ``rank_variables`` are those in which a rank finds its number. ``takes_prefix`` is true where it
    can be told that nodes have it in another folder, by ``RunSpec.prefix``; ``over_ipv6`` where it launches
    over IPv6 alone. ``packages`` are commands that install it, by how names of systems begin;
    ``development`` is Debian's package of its compiler.
    """

    kind: str
    name: str
    traces: Traces
    libraries: tuple[str, ...]
    rank_variables: tuple[str, ...]
    takes_prefix: bool = False
    over_ipv6: bool = True
    packages: tuple[tuple[tuple[str, ...], str], ...] = ()
    development: str = ""

    def command(self, run: RunSpec) -> Command:
        """Describe a run in its words.

        Parameters: the run, whose ``env`` is all that is exported to the ranks, and whose ``program`` is
        a rank's whole command. Each daemon on the nodes has to be known by ``run.run_id``, or it is left
        where it outlives the run: with ``clusterboot_run`` and the name as two arguments of its own, one
        after the other, by an option that the launcher hands on to it; or with ``CLUSTERBOOT_RUN``, which
        ``run.env`` has, in its environment, where the launcher gives it the ranks'.
        """

    def hostfile(self, lines: Iterable[HostLine]) -> str:
        """Write a hostfile in its dialect."""

    def daemons(self, version: str) -> Daemons:
        """Name what a launch needs on each node."""

    def logins(self, start: str, hosts: Sequence[str], radix: int | None = None) -> Iterable[tuple[str, str]]:
        """Tell who logs in to whom when it starts a run.

        Parameters: the host where it is started, in the hostfile or not; the hostfile's hosts in their
        order; the launch tree's radix where it is not the default.
        Returns: source and target of each login; nothing for a launcher that needs none. What starts on its
        own host may be left in, or named twice.
        """

    def environment(self, launcher: str) -> Mapping[str, str]:
        """Give what an installation with this ``mpirun`` needs in the environment and cannot tell itself."""
        return {}

    def interface_variables(self, run: RunSpec) -> tuple[str, ...]:
        """Name the variables by which a rank is told its node's interface, where nodes' differ in that."""
        return ()


def check(spec: RunSpec) -> RunSpec:
    """Refuse a description that no launcher could carry out faithfully.

    Returns: ``spec`` itself. Errors: ``ValidationError`` at stage ``launch``.
    """
    if not spec.program:
        raise _refused("there is no program to run")
    if not 0 < spec.ranks_per_node <= spec.ranks:
        raise _refused(f"{spec.ranks} ranks cannot run as {spec.ranks_per_node} on each node")
    for name, value in (*spec.mpi.env.items(), *spec.env.items()):
        if not _NAME.fullmatch(name) or name in READ_ONLY_VARIABLES:
            raise _refused(
                f"'{name}' cannot be exported to the ranks", "take it out of the cluster file's env"
            )
        if "\0" in value:
            raise _refused(f"the value of {name} has a zero byte", "take it out of the cluster file's env")
    # Every MPI splits its ssh command at white space, whatever quotes stand in it.
    if not spec.agent or any(not word or re.search(r"[\s\"';|&$`\\]", word) for word in spec.agent):
        raise _refused("the ssh command for the launch has a word that an MPI would split")
    return spec


def _refused(cause: str, remedy: str | None = None) -> ValidationError:
    return ValidationError(cause, stage="launch", remedy=remedy)
