"""The cluster's own ssh configuration and known_hosts on a node."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from clusterboot.connect.knownhosts import render_line
from clusterboot.keys import reach
from clusterboot.keys.lines import AUTHORITY, tag
from clusterboot.keys.records import KEY_FILE, OWN_DIR, Member

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


def render_config(
    cluster: str,
    members: Sequence[Member],
    *,
    cheap_exchange: bool,
    identity: str = KEY_FILE,
    lines: Sequence[str] = (),
) -> str:
    """Write the cluster's ``ssh`` configuration for a node: every other node by name and address.

    Parameters: the members; with ``cheap_exchange`` curve25519 is preferred, which costs
    OpenSSH 8.9 to 9.8 a twelfth of their default, else OpenSSH's own order stands; ``identity`` is
    the key's file; ``lines`` are those of :func:`reach.patterns`, where members that come later
    are to be reached, too.
    Source: ssh_config(5). Lines stay under 1,000 characters for old readers.
    """
    text = [_OPENING, *(_entry(member) for member in members)]
    settings = _settings(cluster, cheap_exchange=cheap_exchange, identity=identity)
    if lines:
        settings = _login(members) + settings
    text += [f"Host {line}\n{settings}" for line in lines or reach.chunks(_words(members), _LINE_CHARS)]
    return "\n".join(text) + "\n"


def render_open_config(
    cluster: str,
    members: Sequence[Member],
    network: str | None,
    *,
    cheap_exchange: bool,
    identity: str,
    before: str,
) -> str:
    """Write the configuration that need not change with the cluster.

    Parameters: as for :func:`render_config`; ``network`` is the subnet of the members' addresses;
    ``before`` is the node's present configuration. Where that one does for these members what a
    new one would, it is given back as it is: a newcomer that it reaches by its patterns is not
    written down, nor one that left taken out.
    """
    old = _read(before)
    wanted = _login(members) + _settings(cluster, cheap_exchange=cheap_exchange, identity=identity)
    lines = [line for line, body in old.items() if body == wanted]
    serves = lines and _leaves_alone(members, old, lines)
    if serves and all(_is_served(member, members, old, lines) for member in members):
        return before
    lines = [*reach.patterns(_words(members), network)]
    return render_config(cluster, members, cheap_exchange=cheap_exchange, identity=identity, lines=lines)


def render_known_hosts(cluster: str, members: Sequence[Member], authority: str | None = None) -> str:
    """Write the nodes' known_hosts.

    Parameters: ``authority`` is the CA's public key, where members with host certificates are
    known by it. The others' keys stand there under their names, their ``HostKeyAlias``.
    The first line is good for all hosts, since nothing but the cluster's own configuration reads the file.
    """
    line = f"@cert-authority * {authority} {tag(cluster, AUTHORITY)}\n" if authority else ""
    pinned = (one for one in members if not (authority and one.host_certified))
    return line + "".join(render_line(one.name, key) for one in pinned for key in one.host_keys)


def _leaves_alone(members: Sequence[Member], old: Mapping[str, str], lines: Sequence[str]) -> bool:
    """Tell whether no entry of a host that left speaks of a name or address that is a member's now."""
    names, words = {member.name for member in members}, set(_words(members))
    gone = (line.split() for line in old if line not in lines and line.split()[0] not in names)
    return not any(words & set(entry) for entry in gone)


def _is_served(
    member: Member, members: Sequence[Member], old: Mapping[str, str], lines: Sequence[str]
) -> bool:
    entry = _read(_entry(member) + "\n")
    if not all(reach.covers(lines, word) for word in _words([member])):
        return False
    if any(line.split()[0] == member.name for line in old if line not in lines):
        return all(old.get(line) == body for line, body in entry.items())
    # A pin is kept under the name that an entry gives; a certificate has all names in it.
    return member.host_certified and _login([member]) == _login(members)


def _read(text: str) -> dict[str, str]:
    """Take a configuration apart: what each ``Host`` line says of which hosts."""
    blocks = ("\n" + text.rstrip("\n")).split("\nHost ")[1:]
    return {line: body for line, _, body in (block.partition("\n") for block in blocks)}


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


def _login(members: Sequence[Member]) -> str:
    """Say as whom and where most members are logged in to."""
    logins = [(one.user, one.port) for one in members]
    user, port = max(dict.fromkeys(logins), key=logins.count)
    return f"  User {user}\n  Port {port}\n"


def _settings(cluster: str, *, cheap_exchange: bool, identity: str) -> str:
    own = "~/" + OWN_DIR.format(name=cluster)
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
