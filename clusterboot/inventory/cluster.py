"""The records that a cluster file becomes: what later rooms know of hosts and options."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Literal

KeyMode = Literal["per-node", "ca", "shared"]
VerifyMode = Literal["launch", "full", "none"]
KexOrder = Literal["curve25519", "openssh"]
ResultsAccess = Literal["owner", "group", "all"]


@dataclass(frozen=True)
class Asked:
    """What is said of a machine before OpenSSH's configuration is: its name there, what overrides that.

    ``user``, ``port`` and ``identity_file`` are ``None`` where the configuration has the word.
    """

    name: str
    user: str | None = None
    port: int | None = None
    identity_file: Path | None = None


@dataclass(frozen=True)
class Login:
    """How one machine is dialled and logged in to: a node, or a gateway on the way.

    ``hostname`` is what is dialled; ``hostkey_name`` the name its host key is pinned under
    (``HostKeyAlias``, else the hostname). ``identity_files`` are tried in order; with
    ``identities_only`` nothing else is, neither agent nor OpenSSH's default keys.
    ``known_hosts_files`` stand for OpenSSH's default ones where they are named;
    ``identity_agent`` is a socket's path or ``none``, ``None`` for ``$SSH_AUTH_SOCK``.
    ``asked`` is what ``ssh`` itself is told of it, ``None`` for all of the above.
    Equal logins are one machine, dialled once.
    """

    hostname: str
    user: str
    port: int = 22
    identity_files: tuple[Path, ...] = ()
    identities_only: bool = False
    hostkey_alias: str | None = None
    known_hosts_files: tuple[Path, ...] = ()
    certificate_files: tuple[Path, ...] = ()
    identity_agent: str | None = None
    asked: Asked | None = field(default=None, compare=False)

    @property
    def place(self) -> str:
        """What messages call it: its hostname, with the port where that is not 22."""
        if self.port == 22:
            return self.hostname
        return f"[{self.hostname}]:{self.port}" if ":" in self.hostname else f"{self.hostname}:{self.port}"

    @property
    def hostkey_name(self) -> str:
        """The name under which known_hosts files have this machine's key."""
        name = self.hostkey_alias or self.hostname
        return name if self.port == 22 or self.hostkey_alias else f"[{name}]:{self.port}"


@dataclass(frozen=True)
class Host:
    """A compute node: its name in every output, its login, and the gateways before it.

    ``name`` is no other host's of the cluster; ``hostname`` is what the cluster file has, which
    several may share that differ in their ports, and which ssh_config may dial elsewhere.
    """

    name: str
    login: Login
    via: tuple[Login, ...] = ()
    internal_ip: str | None = None
    hostname: str = ""


@dataclass(frozen=True)
class MpiOptions:
    """Which MPI of the nodes is meant and what it is given besides: from ``clusterboot.mpi``.

    ``kind`` chooses where nodes have several; ``module`` may be several names with spaces between.
    """

    kind: str | None = None
    prefix: str | None = None
    module: str | None = None
    args: tuple[str, ...] = ()


@dataclass(frozen=True)
class NcclOptions:
    """Where NCCL's tests are, and which HCAs it is told to use: from ``clusterboot.nccl``.

    ``lib_dirs`` are folders on the nodes with ``libnccl.so.2`` or ``libcudart.so``, looked in first.
    """

    tests_dir: str | None = None
    ib_hca: str | None = None
    lib_dirs: tuple[str, ...] = ()


@dataclass(frozen=True)
class TrustOptions:
    """Host keys beyond the operator's own files: from ``clusterboot.trust``.

    ``known_hosts`` are files in OpenSSH's format; ``pins`` maps the name that a login's
    host key is kept under (:attr:`Login.hostkey_name`) to public keys as ``ssh-ed25519 AAAA…``.
    """

    known_hosts: tuple[Path, ...] = ()
    pins: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True)
class Options:
    """The ``clusterboot`` block: what a dstack fleet file has no word for.

    ``kex_algorithms`` is the key exchange that nodes ask each other for first: curve25519, where
    OpenSSH's own default is a dear one, or always in OpenSSH's own order. ``keys`` is ``None``
    where the file leaves the mode open; ``certificate_hours`` is how long certificates live;
    ``results_access`` says who may read results: the operator, his group, or everybody.
    """

    keys: KeyMode | None = None
    certificate_hours: int = 24
    verify: VerifyMode = "launch"
    slots: int | None = None
    launch_from: str | None = None
    fanout: int = 32
    trust: TrustOptions = field(default_factory=TrustOptions)
    mpi: MpiOptions = field(default_factory=MpiOptions)
    nccl: NcclOptions = field(default_factory=NcclOptions)
    kex_algorithms: KexOrder = "curve25519"
    results_access: ResultsAccess = "group"
    expected_busbw_gb_s: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Cluster:
    """A whole, checked cluster file.

    ``hosts`` is in the file's order, folded names expanded; ``network`` the interconnect's
    subnet where the file names one; ``env`` goes to every rank; ``warnings`` are lines for
    standard error; ``all_names`` names the file's hosts in order, also those left out on request.
    """

    name: str
    path: Path
    hosts: tuple[Host, ...]
    network: IPv4Network | IPv6Network | None = None
    env: Mapping[str, str] = field(default_factory=dict)
    options: Options = field(default_factory=Options)
    warnings: tuple[str, ...] = ()
    all_names: tuple[str, ...] = ()

    @property
    def gateways(self) -> tuple[Login, ...]:
        """Each distinct gateway once, in the order in which hosts name them."""
        return tuple(dict.fromkeys(hop for host in self.hosts for hop in host.via))
