"""What the key room knows of a node, and what it wants to be there."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from clusterboot.inventory.cluster import KeyMode

FileKind = Literal["absent", "file", "unusable"]
Phase = Literal["all", "in", "switch", "out"]

KEY_FILE = "id_ed25519"
# A rotation of a thousand nodes takes minutes. Who is silent for so long was killed, or is cut off.
LONGEST_CHANGE_S = 3600


@dataclass(frozen=True)
class NodeFile:
    """A file of the user's on a node, as it was found.

    ``path`` is below the home; ``problem`` says why an ``unusable`` one is not touched, and of
    another what stands against changing it.
    """

    path: str
    kind: FileKind
    content: bytes = b""
    problem: str | None = None

    @property
    def digest(self) -> str:
        """SHA-256 of the content in hexadecimal; ``absent`` where there is no file."""
        return hashlib.sha256(self.content).hexdigest() if self.kind == "file" else "absent"


@dataclass(frozen=True)
class NodeKey:
    """A key pair on a node: its file's name, its public half without a comment, its certificate's text."""

    file: str
    public_key: str
    certificate: str | None = None


@dataclass(frozen=True)
class Survey:
    """The state of the keys on one node.

    ``public_key`` is the node's own for this cluster, as ``ssh-ed25519 AAAA…`` without a
    comment, ``None`` where it has none yet; ``host_keys`` are wire forms. ``config_fault`` is
    what ssh says of a configuration of the user's that it refuses; ``left_behind`` is true where
    there is a lock or a half-written file, of somebody at work or of somebody who was killed.
    ``key`` is the one in use, ``next_key`` its successor; ``key_files`` names all files of keys.
    ``holder`` is who changes the cluster on it just now.
    ``sshd_port`` is the port on which the node's sshd took this login, which may not be the one dialled.
    """

    public_key: str | None
    host_keys: tuple[bytes, ...]
    authorized_keys: NodeFile
    config: NodeFile
    own_config: NodeFile
    own_known_hosts: NodeFile
    key_created: bool = False
    config_fault: str | None = None
    left_behind: bool = False
    key: NodeKey | None = None
    next_key: NodeKey | None = None
    sshd_port: int | None = None
    key_files: tuple[str, ...] = ()
    holder: Holder | None = None


@dataclass(frozen=True)
class Holder:
    """Somebody who changes the cluster: with which command, as whom, from which address, since when.

    ``operator`` is the lasting name.
    """

    command: str
    who: str
    address: str
    age_s: int
    operator: str

    def __str__(self) -> str:
        """Say it in one line."""
        ago = f"{self.age_s} s" if self.age_s < 120 else f"{self.age_s // 60} min"
        return f"{self.who} from {self.address} with {self.command}, since {ago} ago"

    def is_in_the_way_of(self, operator: str) -> bool:
        """Tell whether another operator's bootstrap has to wait for it."""
        return self.command != "bootstrap" and self.operator != operator and self.age_s < LONGEST_CHANGE_S


@dataclass(frozen=True)
class Member:
    """One node as the others have to know it.

    ``address`` is where the others reach it; ``names`` are what people may call it, besides;
    ``sources`` are the addresses that its logins may come from. ``key_owner`` names the
    home that its key lives in: nodes that share a home share it. ``lacks_include`` is true
    where ssh is older than 7.3, ``lacks_restrict`` where it is older than 7.2.
    """

    name: str
    user: str
    port: int
    address: str
    names: tuple[str, ...]
    sources: tuple[str, ...]
    public_key: str
    host_keys: tuple[bytes, ...]
    key_owner: str
    prefers_cheap_exchange: bool = False
    lacks_include: bool = False
    lacks_restrict: bool = False


@dataclass(frozen=True)
class Terms:
    """On what terms nodes trust each other, and how far a change to them has come.

    ``authority`` is the public key that ``ca`` and ``shared`` mode stand on; ``identity`` the
    file of the shared key and ``private_text`` its content; ``certificates`` has the text for
    each host that needs a new one. ``phase``: ``in`` adds what is new and takes nothing away,
    ``switch`` makes the nodes use it, ``out`` takes the old away, ``all`` is all of it at once.
    With ``successors`` the nodes' next keys are meant, not those in use.
    ``away`` names members that were not reached; what lets them in now goes on doing so. ``openssh_kex``
    keeps OpenSSH's own order of key exchanges.
    """

    mode: KeyMode = "per-node"
    authority: str | None = None
    identity: str | None = None
    private_text: str = field(default="", repr=False)
    certificates: Mapping[str, str] = field(default_factory=dict)
    phase: Phase = "all"
    successors: bool = False
    away: frozenset[str] = frozenset()
    openssh_kex: bool = False


PER_NODE = Terms()


@dataclass(frozen=True)
class Edit:
    """A change to one file of a node, tied to what the file was when it was read.

    The new content is ``insert`` followed by the ``keep`` ranges (offset, length in bytes)
    of the old one. With ``remove`` the file is deleted instead, if nothing is left of it.
    """

    path: str
    old: NodeFile
    insert: str
    keep: tuple[tuple[int, int], ...]
    remove: bool = False

    @property
    def new(self) -> bytes:
        """The file's bytes after the edit."""
        kept = b"".join(self.old.content[offset : offset + length] for offset, length in self.keep)
        return self.insert.encode() + kept
