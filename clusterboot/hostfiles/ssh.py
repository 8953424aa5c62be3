"""An ssh_config and a known_hosts with which the operator's plain ``ssh`` reaches the nodes."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from clusterboot.errors import PartialError
from clusterboot.inventory.cluster import Cluster, Host, Login
from clusterboot.inventory.name_rules import without_colons
from clusterboot.ssh.knownhosts import public_text

# ssh does not check names that it reads from its configuration and hands some of them to a
# shell (CVE-2023-51385, CVE-2025-61984): nothing that a shell or ssh could expand is written.
_NAME = re.compile(r"[A-Za-z0-9_.][A-Za-z0-9._:-]{0,254}")
_USER = re.compile(r"[A-Za-z0-9_.][A-Za-z0-9_.@+-]{0,254}")
_KEY = re.compile(r"[a-z0-9@.-]{3,64} [A-Za-z0-9+/]{16,}={0,2}")
_PINNED = re.compile(
    r"[A-Za-z0-9_.][A-Za-z0-9._:-]{0,254}|\[[A-Za-z0-9_.][A-Za-z0-9._:-]{0,254}\]:[0-9]{1,5}"
)
# Quotes and backslashes have had other meanings in other releases, and ${…} cannot be escaped.
_UNWRITABLE = re.compile(r'["\\\x00-\x1f\x7f]|\$\{')

# The gateways passed on the way to a machine and the machine itself, from the operator on.
_Way = tuple[Login, ...]


def render_ssh_config(cluster: Cluster, known_hosts: Path) -> str:
    """Write the configuration for ``ssh -F FILE HOST``.

    Parameters: the cluster; the absolute path of the file that :func:`render_known_hosts`
    gave. Returns: a block for each host and for each gateway on the way to it; host keys
    are checked against that file and nothing else.
    Errors: ``PartialError`` at stage ``hostfile`` for a name, user or path that ssh could take for
    more than that.

    A jump is made by alias, each block naming only its last gateway: the ssh that ssh
    starts for a jump gets the same -F, finds there the gateway's own user, port and
    key, and its gateway in turn. It gets that -F unquoted, so the path that the operator types
    must have no blanks: ``hostfiles/NAME/ssh_config`` has none.
    Source: ssh_config(5), ProxyJump; OpenSSH's ssh.c.
    """
    reached = {(*host.via, host.login): host.name for host in reversed(cluster.hosts) if ":" not in host.name}
    gateways = _gateways(cluster.hosts, reached)
    reached |= gateways
    blocks = [_block(alias, way[-1], reached.get(way[:-1])) for way, alias in gateways.items()]
    blocks += [_block(host.name, host.login, reached.get(host.via)) for host in cluster.hosts]
    blocks.append(
        "Host *\n"
        "    StrictHostKeyChecking yes\n"
        f"    UserKnownHostsFile {_path(known_hosts)}\n"
        "    GlobalKnownHostsFile /dev/null\n"
        "    UpdateHostKeys no\n"
        "    CheckHostIP no\n"
        "    ForwardAgent no\n"
    )
    return "\n".join(blocks)


def _gateways(hosts: Sequence[Host], reached: Mapping[_Way, str]) -> dict[_Way, str]:
    """Name each gateway once for every way there, unless a host of that way is the same machine.

    A gateway gets its own hostname, or that with a number where a host has that name.
    """
    taken = {host.name for host in hosts} | {"none"}  # ProxyJump's word for no jump
    found: dict[_Way, str] = {}
    for way in dict.fromkeys(host.via[:hops] for host in hosts for hops in range(1, len(host.via) + 1)):
        if way in reached:
            continue
        # ProxyJump reads host:port
        stem = without_colons(way[-1].hostname)
        names = (stem, *(f"{stem}-gateway-{number}" for number in range(1, len(taken) + 2)))
        found[way] = next(name for name in names if name not in taken)
        taken.add(found[way])
    return found


def _block(name: str, login: Login, jump: str | None) -> str:
    """Write what ssh needs to know of one machine."""
    lines = [
        f"Host {_checked(_NAME, name, 'host name')}",
        f"    HostName {_checked(_NAME, login.hostname, 'hostname')}",
        f"    User {_checked(_USER, login.user, 'user')}",
        f"    Port {login.port}",
    ]
    if login.hostkey_alias:
        lines.append(f"    HostKeyAlias {_checked(_NAME, login.hostkey_alias, 'HostKeyAlias')}")
    lines += [f"    IdentityFile {_path(path)}" for path in login.identity_files]
    if login.identities_only:
        if not login.identity_files:
            lines.append("    IdentityFile none")
        lines.append("    IdentitiesOnly yes")
    if jump:
        lines.append(f"    ProxyJump {jump}")
    return "\n".join(lines) + "\n"


def render_known_hosts(pins: Mapping[str, Sequence[bytes]]) -> str:
    """Write a known_hosts file.

    Parameters: for each host key name (``Login.hostkey_name``) its pinned public keys in wire form.
    Returns: a line a key.
    Errors: ``PartialError`` for a name or key that is none. Source: sshd(8), SSH_KNOWN_HOSTS FILE FORMAT.
    """
    lines = (
        f"{_checked(_PINNED, name, 'host name')} {_checked(_KEY, public_text(key), 'host key')}\n"
        for name, keys in pins.items()
        for key in keys
    )
    return "".join(dict.fromkeys(lines))


def _checked(pattern: re.Pattern[str], text: str, what: str) -> str:
    if not pattern.fullmatch(text):
        raise PartialError(
            f"the {what} {text!r} cannot be written for ssh",
            stage="hostfile",
            remedy="use letters, digits and . _ - only",
        )
    return text


def _path(path: Path) -> str:
    """Quote a path for ssh_config, where % starts a token."""
    text = str(path)
    if not path.is_absolute() or _UNWRITABLE.search(text):
        raise PartialError(
            f"the path {text!r} cannot be written for ssh",
            stage="hostfile",
            remedy="use an absolute path without quotes, backslashes and ${",
        )
    text = text.replace("%", "%%")
    return text if re.fullmatch(r"[A-Za-z0-9_./%@+:-]+", text) else f'"{text}"'
