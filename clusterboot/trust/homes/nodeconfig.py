"""The cluster's own ssh configuration and known_hosts on a node."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from clusterboot.mpi.script_names import cluster_folder
from clusterboot.ssh.knownhosts import render_line

from .known import KEY_FILE, Member

# For ssh the first value counts. So a "Host *" of the user's own, meant for the world outside, does
# not send logins between nodes through a bastion, keep a master process that mpirun would wait for,
# take ports twice, or ask for a password that nobody is there to type.
_WHATEVER_THE_USER_SETS = (
    "  ProxyCommand none",
    "  AddressFamily any",
    "  PubkeyAuthentication yes",
    "  PreferredAuthentications publickey",
    "  ControlMaster no",
    "  ControlPath none",
    "  ClearAllForwardings yes",
    "  ForwardAgent no",
    "  ForwardX11 no",
    "  PermitLocalCommand no",
)
_LINE_CHARS = 900
_OPENING = "# Written by clusterboot; changes are overwritten by the next bootstrap."


def config_path(cluster: str) -> str:
    """Give the path of a node's configuration, seen from its home; the head's ssh is told it as it is."""
    return f"{cluster_folder(cluster)}/config"


def render_config(
    cluster: str,
    members: Sequence[Member],
    *,
    cheap_exchange: bool,
    identity: str = KEY_FILE,
) -> str:
    """Write the cluster's ``ssh`` configuration for a node: every other node by name and address.

    Parameters: the members; with ``cheap_exchange`` curve25519 is preferred, which costs
    OpenSSH 8.9 to 9.8 a twelfth of their default, else OpenSSH's own order stands; ``identity`` is
    the key's file.
    Source: ssh_config(5). Lines stay under 1,000 characters for old readers.
    """
    text = [_OPENING, *(_entry(member) for member in members)]
    settings = _settings(cluster, cheap_exchange=cheap_exchange, identity=identity)
    text += [f"Host {line}\n{settings}" for line in _lines(_words(members))]
    return "\n".join(text) + "\n"


def render_known_hosts(members: Sequence[Member]) -> str:
    """Write the nodes' known_hosts: each member's keys under its name, which is its ``HostKeyAlias``."""
    return "".join(render_line(one.name, key) for one in members for key in one.host_keys)


def _entry(member: Member) -> str:
    return "\n".join(
        (
            f"Host {member.name} {' '.join(member.names)}".rstrip(),
            f"  HostName {member.address}",
            f"Host {member.name} {' '.join((*member.names, member.address))}",
            f"  HostKeyAlias {member.name}",
            f"  User {member.user}",
            f"  Port {member.port}",
        )
    )


def _settings(cluster: str, *, cheap_exchange: bool, identity: str) -> str:
    own = "~/" + cluster_folder(cluster)
    lines = [
        f"  IdentityFile {own}/{identity}",
        "  IdentitiesOnly yes",
        "  StrictHostKeyChecking yes",
        f"  UserKnownHostsFile {own}/known_hosts",
        "  GlobalKnownHostsFile /dev/null",
        "  UpdateHostKeys no",
        *_WHATEVER_THE_USER_SETS,
        # An sshd that reads its configuration anew refuses connections for some milliseconds.
        "  ConnectionAttempts 2",
        "  ConnectTimeout 60",
    ]
    if cheap_exchange:
        lines.append("  KexAlgorithms ^curve25519-sha256")
    return "\n".join(lines)


def _words(members: Sequence[Member]) -> list[str]:
    words = (word for member in members for word in (member.name, *member.names, member.address))
    return list(dict.fromkeys(words))


def _lines(words: Sequence[str]) -> Iterator[str]:
    """Put words together to lines of at most ``_LINE_CHARS`` characters."""
    line = ""
    for word in words:
        if line and len(line) + len(word) >= _LINE_CHARS:
            yield line
            line = ""
        line = f"{line} {word}".lstrip()
    if line:
        yield line
