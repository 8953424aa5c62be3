"""How OpenSSH completes a host's name: ``CanonicalizeHostname`` and the settings beside it.

Source: ssh_config(5); ``resolve_canonicalize`` and ``check_follow_cname`` in OpenSSH's ``ssh.c``.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from clusterboot.inventory.name_rules import canonical
from clusterboot.inventory.problems import shown

from .ssh_lines import BadLineError, Value
from .ssh_patterns import pattern_list

Resolve = Callable[[str], str | None]

_WHEN: dict[str, Literal["no", "yes", "always"]] = {
    "no": "no",
    "false": "no",
    "yes": "yes",
    "true": "yes",
    "always": "always",
}
_LOCAL = {"yes": True, "true": True, "no": False, "false": False}
_DOMAIN = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*")
# OpenSSH completes no name that could be an address: is_addr_fast() in its ssh.c.
_ADDRESS = re.compile(r".*[:%].*|[0-9.]*")


@dataclass(frozen=True)
class Canonicalization:
    """What a configuration says of it. ``cnames`` pairs pattern lists of names with those of targets."""

    when: Literal["no", "yes", "always"] = "no"
    domains: tuple[str, ...] = ()
    max_dots: int = 1
    fallback_local: bool = True
    cnames: tuple[tuple[str, str], ...] = ()


def canonicalization(lines: Mapping[str, Sequence[Value]]) -> Canonicalization:
    """Read the values of the lines in use, by keyword.

    Errors: :class:`BadLineError` for one that OpenSSH refuses.
    Source: ``process_config_line_depth`` in readconf.c.
    """

    def first(keyword: str, default: str, rule: str, remedy: str) -> str:
        value = next(iter(lines.get(keyword, ())), None)
        if value and not re.fullmatch(rule, value.text, re.IGNORECASE):
            raise BadLineError(value, f"{keyword}: {shown(value.text)}", remedy)
        return value.text.lower() if value else default

    when = first("canonicalizehostname", "no", "|".join(_WHEN), "write yes, no or always")
    local = first("canonicalizefallbacklocal", "yes", "|".join(_LOCAL), "write yes or no")
    max_dots = first("canonicalizemaxdots", "1", "[0-9]{1,9}", "write a number")
    for value in lines.get("canonicaldomains", ()):
        if not _DOMAIN.fullmatch(value.text):
            raise BadLineError(value, f"canonicaldomains: {shown(value.text)}", "write names of domains")
    domains = [value.text.lower() for value in lines.get("canonicaldomains", ())]
    return Canonicalization(
        _WHEN[when],
        tuple(name for name in domains if name != "none"),
        int(max_dots),
        _LOCAL[local],
        tuple(
            _cname_rule(value)
            for value in lines.get("canonicalizepermittedcnames", ())
            if value.text.lower() != "none"
        ),
    )


def _cname_rule(value: Value) -> tuple[str, str]:
    source, _, target = ("*", ":", "*") if value.text == "*" else value.text.lower().partition(":")
    if not target:
        cause = f"canonicalizepermittedcnames: {shown(value.text)}"
        raise BadLineError(value, cause, "write NAMES:TARGETS")
    return source, target


class NameServerSilentError(Exception):
    """No name server answered; the others need not be asked."""


def canonical_name(name: str, rules: Canonicalization, *, direct: bool, resolve: Resolve) -> str | None:
    """Complete a host's name.

    Parameters: the name that is to be dialled; the rules; ``direct`` where no proxy is passed;
    ``resolve`` gives the canonical name of a name that the name servers know, else ``None``.
    Returns: the name; ``None`` where it is in no domain, and may not be taken as it is.
    """
    if _ADDRESS.fullmatch(name):
        return canonical(name)
    name = name.lower()
    if rules.when == "no" or not (direct or rules.when == "always"):
        return name
    if name.endswith("."):
        candidates = [name]
    elif name.count(".") <= rules.max_dots:
        candidates = [f"{name}.{domain}." for domain in rules.domains]
    else:
        return _followed(name, resolve(name) if rules.cnames else None, rules)
    for full in candidates:
        target = resolve(full)
        if target is not None:
            return _followed(full[:-1], target, rules)
    if not rules.fallback_local:
        return None
    return _followed(name, resolve(name) if rules.cnames else None, rules)


def _followed(name: str, target: str | None, rules: Canonicalization) -> str:
    """Give the target of a name that is an alias, where the rules allow it."""
    if not target or target == name:
        return name
    target = target.lower()
    allowed = (
        pattern_list(sources).matches(name) and pattern_list(targets).matches(target)
        for sources, targets in rules.cnames
    )
    return target if any(allowed) else name


def ask_name_servers(name: str) -> str | None:
    """Look a name up as the machine does it, and give its canonical name; ``None`` where it has no address.

    Errors: :class:`NameServerSilentError` where none answered.
    """
    try:
        # Bytes: Python would take text apart for IDNA, and end at a label that is too long.
        found = socket.getaddrinfo(
            name.encode("ascii"), None, type=socket.SOCK_STREAM, flags=socket.AI_CANONNAME
        )
    except UnicodeError:
        return None
    except socket.gaierror as error:
        if error.errno == socket.EAI_AGAIN:
            raise NameServerSilentError from None
        return None
    return found[0][3]
