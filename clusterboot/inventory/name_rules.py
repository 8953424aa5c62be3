"""The rules for names that end up in an ssh, mpirun or shell argument.

OpenSSH does not check what an ssh_config gives it for a name (CVE-2023-51385,
CVE-2025-61984), so every name is checked here, whichever file it came from.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import Any

from clusterboot.mpi.launcher import READ_ONLY_VARIABLES

from .problems import RuleError, shown

_ENV_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_ENDS_TEXT = re.compile(r"[\x00\r\n]")
_MODULE = r"[A-Za-z0-9][A-Za-z0-9._+/-]*"
_HCA = r"[A-Za-z0-9_.:-]+"


def _rule(pattern: str, what: str, remedy: str) -> Callable[[str], str]:
    """Make the rule that lets text of one shape through, and raises :class:`RuleError` for any other."""
    shape = re.compile(pattern)

    def check(text: str) -> str:
        if not shape.fullmatch(text):
            raise RuleError(f"{shown(text)} is not {what}", remedy)
        return text

    return check


#: A host's name or address.
check_hostname = _rule(
    r"(?!-)(?=.*[A-Za-z0-9])[A-Za-z0-9._:-]{1,253}",
    "a host name",
    "use letters, digits, '.', '_', ':' and '-', and no '-' at its start",
)
#: A login name; ``DOMAIN\user`` and ``user@realm``, too.
check_user = _rule(
    r"(?!-)[A-Za-z0-9._@\\-]{1,64}",
    "a login name",
    "use letters, digits, '.', '_', '@', '\\' and '-', and no '-' at its start",
)
#: A fleet's name, which becomes part of paths.
check_cluster_name = _rule(
    r"[a-z][a-z0-9-]{1,40}",
    "a fleet name",
    "use 2 to 41 small letters, digits and '-', a letter first",
)
#: Names of environment modules, like ``mpi/openmpi-x86_64``; the last one brings MPI.
check_module = _rule(
    rf"\s*{_MODULE}(\s+{_MODULE})*\s*", "a module name", "write it as 'module avail' lists it"
)
#: A value of NCCL_IB_HCA, like ``=mlx5_0:1,mlx5_1:1``. Source: NCCL's user guide, environment variables.
check_hca = _rule(rf"[\^=]{{0,2}}{_HCA}(,{_HCA})*", "a list of HCAs", "write it like mlx5_0,mlx5_1")


def canonical(name: str) -> str:
    """Write a name in small letters, and an address in the one way that known_hosts has it: ``fd00::4``."""
    try:
        return str(ip_address(name))
    except ValueError:
        return name.lower()


def without_colons(name: str) -> str:
    """Write a name or an IPv6 address so that no tool takes a part of it for a port: ``fd00--4``."""
    plain = name.replace(":", "-")
    return f"0{plain}" if plain.startswith("-") else plain


def check_port(text: str) -> int:
    """Read a TCP port, 1 to 65535, or raise :class:`RuleError`."""
    if not re.fullmatch(r"[0-9]{1,5}", text) or not 1 <= int(text) <= 65535:
        raise RuleError(f"{shown(text)} is not a port", "write a number from 1 to 65535")
    return int(text)


def check_ip(text: str) -> str:
    """Let an IPv4 or IPv6 address through."""
    try:
        address = ip_address(text)
    except ValueError:
        raise RuleError(f"{shown(text)} is not an IP address", "write one like 10.1.0.4") from None
    if "%" in text:
        raise RuleError(f"{shown(text)} has a zone", "write the address without '%' and what follows")
    return str(address)


def check_network(text: str) -> IPv4Network | IPv6Network:
    """Read a subnet like ``10.1.0.0/16``; bits of a host in it are allowed, as dstack allows them."""
    try:
        return ip_network(text, strict=False)
    except ValueError:
        raise RuleError(f"{shown(text)} is not a network", "write it like 10.1.0.0/16") from None


def check_line(text: str) -> str:
    """Let any text through that is not empty and has no NUL and no line break."""
    if not text or _ENDS_TEXT.search(text):
        raise RuleError(f"{shown(text)} is empty or has a line break", "write it in one line")
    return text


def check_remote_folder(text: str) -> str:
    """Let an absolute, printable path on the nodes through."""
    if not text.startswith("/") or not text.isprintable():
        raise RuleError(f"{shown(text)} is not an absolute path", "write the path on the nodes from '/' on")
    return text


def check_env_key(text: str) -> str:
    """Let the name of an environment variable through."""
    if not _ENV_KEY.fullmatch(text):
        cause = f"{shown(text)} is not a variable's name"
        raise RuleError(cause, "use letters, digits and '_', no digit first")
    if text in READ_ONLY_VARIABLES:
        raise RuleError(f"{shown(text)} is a shell's own and cannot be set", "take it out")
    return text


def check_env_value(key: str, value: str) -> str:
    """Let an environment variable's value through; it may be secret and is never shown."""
    if _ENDS_TEXT.search(value):
        raise RuleError(f"the value of '{key}' has a NUL or a line break", "write it in one line")
    return value


def parse_hop(text: str) -> dict[str, Any]:
    """Read a gateway as ``ssh -J`` takes it: ``[user@]host[:port]``, ``[v6]:port``, ``ssh://…``.

    Returns: ``hostname``, and ``user`` and ``port`` where the text has them.
    Errors: :class:`RuleError`. Source: ssh(1), option -J; ssh_config(5), ProxyJump.
    """
    user, at, rest = text.strip().removeprefix("ssh://").rpartition("@")
    hop: dict[str, Any] = {"user": check_user(user)} if at else {}
    bracketed = re.fullmatch(r"\[([^\]]*)\](?::(.*))?", rest)
    if bracketed:
        host, port = bracketed[1], bracketed[2]
    elif rest.count(":") > 1:
        host, port = rest, None
    else:
        host, colon, after = rest.partition(":")
        port = after if colon else None
    hop["hostname"] = check_hostname(host)
    if port is not None:
        hop["port"] = check_port(port)
    return hop
