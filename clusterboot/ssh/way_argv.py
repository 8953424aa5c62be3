"""The command line of the ``ssh`` process that is a way in.

OpenSSH reads the user's and the system's configuration as it always does; what the cluster file says
stands before that, since the first value that is found wins. Source: ssh(1), ssh_config(5).
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path

from clusterboot.inventory.cluster import Login

# What it is given follows as words of their own: a shell makes nothing of them. It says nothing.
_WRITE = r"""printf '* %%s %%s\\n' \"$1\" \"$2\" >> \"$0\""""


@dataclass(frozen=True)
class SshClient:
    """How OpenSSH's client is started.

    ``config`` stands for the user's and the system's configuration where it is named; with ``asks`` a
    person at a terminal answers its questions, else ``askpass`` does, a program, and without that nobody.
    ``tell`` shows a line that a server has for that person; ``aside`` keeps the terminal free for a block.
    """

    config: Path | None = None
    asks: bool = False
    askpass: str | None = None
    tell: Callable[[str], None] | None = None
    aside: Callable[[], AbstractContextManager[object]] = nullcontext

    @property
    def answered(self) -> bool:
        """True where somebody answers what a server asks."""
        return self.asks or bool(self.askpass)


def base_argv(
    client: SshClient, login: Login, known_hosts: Path, seen: Path | None, before: Path | None
) -> tuple[str, ...]:
    """Write what leads to a gateway and holds for every ``ssh`` that goes there, its name left out.

    Parameters: ``known_hosts`` has the only host keys that are believed; ``seen`` gets the one that the
    server proves, as a line of a known_hosts file, and is ``None`` where ``ssh`` is older than 8.5, which
    has no ``KnownHostsCommand``; ``before`` is the control socket
    of the gateway that this one is behind, ``None`` for the first.
    """
    options = [*_of_login(login), *_of_trust(known_hosts)]
    if seen is not None:
        options.append(("KnownHostsCommand", f'/bin/sh -c "{_WRITE}" {quoted(seen)} %t %K'))
    if before is not None:
        # A constant but for a path that is ours; ssh puts host and port in, which it has checked.
        jump = shlex.join(["ssh", "-F", "none", "-S", str(before), "-W", "[%h]:%p", "--", "gateway"])
        options.append(("ProxyCommand", jump))
    if not client.answered:
        options.append(("BatchMode", "yes"))
    config = ("-F", str(client.config)) if client.config else ()
    return ("ssh", *config, *(word for pair in options for word in ("-o", "=".join(pair))))


def master_argv(base: Sequence[str], name: str, control: Path, alive_s: float) -> tuple[str, ...]:
    """Write the command line of a master: no command, no forwarding, one private control socket.

    Parameters: what :func:`base_argv` gave; the name as it would be given to ``ssh``; the server is
    given up after it owed signs of life for ``alive_s`` seconds.
    """
    beats = 3
    fixed = {
        "ControlMaster": "yes",
        "ControlPath": str(control),
        "ControlPersist": "no",
        "ForwardAgent": "no",
        "ForwardX11": "no",
        "PermitLocalCommand": "no",
        "ClearAllForwardings": "yes",
        "Tunnel": "no",
        "ServerAliveInterval": str(max(1, round(alive_s / beats))),
        "ServerAliveCountMax": str(beats),
    }
    words = (word for pair in fixed.items() for word in ("-o", "=".join(pair)))
    return (*base, *words, "-v", "-N", "-T", "--", name)


def name_of(login: Login) -> str:
    """Give the name that ``ssh`` is given for a gateway: the one that its configuration knows."""
    return login.asked.name if login.asked else login.hostname


def _of_login(login: Login) -> Iterator[tuple[str, str]]:
    asked = login.asked
    if asked is None:
        yield "HostName", login.hostname
    user, port = (asked.user, asked.port) if asked else (login.user, login.port)
    if user:
        yield "User", user
    if port:
        yield "Port", str(port)
    keys = ((asked.identity_file,) if asked.identity_file else ()) if asked else login.identity_files
    for path in keys:
        yield "IdentityFile", quoted(path)
    if (asked and asked.identity_file) or (asked is None and login.identities_only):
        yield "IdentitiesOnly", "yes"
    if login.hostkey_alias:
        yield "HostKeyAlias", login.hostkey_alias


def _of_trust(known_hosts: Path) -> Iterator[tuple[str, str]]:
    yield "StrictHostKeyChecking", "yes"
    yield "UserKnownHostsFile", quoted(known_hosts)
    yield "GlobalKnownHostsFile", "/dev/null"
    yield "UpdateHostKeys", "no"
    yield "VerifyHostKeyDNS", "no"
    yield "CheckHostIP", "no"


def quoted(path: Path) -> str:
    """Write a path as the value of an option, where ``%`` starts a token and blanks end a word."""
    text = str(path).replace("%", "%%").replace("\\", "\\\\").replace('"', '\\"')
    return f'"{text}"'
