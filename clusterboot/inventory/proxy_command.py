"""A ``ProxyCommand`` that does what ``ProxyJump`` does, as people wrote it before OpenSSH 7.3."""

from __future__ import annotations

import re
import shlex

# Whatever makes more of a command than one program with its words.
_SHELL = re.compile(r"[|&;<>()$`\\*?#\n]")
_SILENCED = re.compile(r"\s2>\s*/dev/null\s*$")
# Options without a value that change nothing of a forwarded stream; ssh(1).
_IDLE = frozenset("aCkNnqTvx")
_TOKENS = re.compile(r"%[hnpr]|[^%]")


def as_jump(command: str) -> str | None:
    """Read ``ssh -W %h:%p HOST`` as the value of ``ProxyJump``.

    Parameters: the value of ``ProxyCommand``.
    Returns: ``[user@]host[:port]``, after the hosts of its ``-J`` and a comma; ``None`` for any
    command that could do anything else: another program, another target, more options.
    Source: ssh.c builds the same command of a ProxyJump.
    """
    command = _SILENCED.sub("", command).strip().removeprefix("exec ")
    if _SHELL.search(command):
        return None
    try:
        words = shlex.split(command)
    except ValueError:
        return None
    if not words or words[0].rpartition("/")[2] != "ssh":
        return None
    hosts, values = _options(words[1:])
    if values is None or len(hosts) != 1 or values.get("W") not in ("%h:%p", "[%h]:%p"):
        return None
    user, at, host = hosts[0].rpartition("@")
    if (at and "l" in values) or "://" in host or not all(map(_is_expandable, (*hosts, *values.values()))):
        return None
    user = values.get("l", user)
    host = f"[{host}]" if ":" in host else host
    login = (f"{user}@" if user else "") + host + (f":{values['p']}" if "p" in values else "")
    return f"{values['J']},{login}" if "J" in values else login


def _options(words: list[str]) -> tuple[list[str], dict[str, str] | None]:
    """Take ssh's options out of its words; no options where one of them is not known to be harmless."""
    hosts: list[str] = []
    values: dict[str, str] = {}
    rest = iter(words)
    for word in rest:
        if not word.startswith("-"):
            hosts.append(word)
            continue
        letters = word[1:].lstrip("".join(_IDLE))
        if not letters:
            if word == "-":
                return hosts, None
            continue
        value = letters[1:] or next(rest, "")
        if letters[0] not in "WlpJ" or letters[0] in values or not value:
            return hosts, None
        values[letters[0]] = value
    return hosts, values


def _is_expandable(text: str) -> bool:
    return "".join(_TOKENS.findall(text)) == text
