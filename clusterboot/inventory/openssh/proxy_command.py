"""A ``ProxyCommand`` that does what ``ProxyJump`` does, as people wrote it before OpenSSH 7.3."""

from __future__ import annotations

import re
import shlex
from getopt import GetoptError, gnu_getopt

# Whatever makes more of a command than one program with its words.
_SHELL = re.compile(r"[|&;<>()$`\\*?#\n]")
_SILENCED = re.compile(r"\s2>\s*/dev/null\s*$")
# Options that change nothing of a forwarded stream, and those with a value that are understood; ssh(1).
_OPTIONS = "aCkNnqTvx" + "W:l:p:J:"
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
        program, *words = shlex.split(command)
        options, hosts = gnu_getopt(words, _OPTIONS)
    except (ValueError, GetoptError):
        return None
    given = [(letter[1:], value) for letter, value in options if letter[1:] + ":" in _OPTIONS]
    values = dict(given)
    if program.rpartition("/")[2] != "ssh" or len(values) < len(given) or not all(values.values()):
        return None
    if len(hosts) != 1 or hosts[0].startswith("-") or values.get("W") not in ("%h:%p", "[%h]:%p"):
        return None
    user, at, host = hosts[0].rpartition("@")
    if (at and "l" in values) or "://" in host or not all(map(_is_expandable, (*hosts, *values.values()))):
        return None
    user = values.get("l", user)
    host = f"[{host}]" if ":" in host else host
    login = (f"{user}@" if user else "") + host + (f":{values['p']}" if "p" in values else "")
    return f"{values['J']},{login}" if "J" in values else login


def _is_expandable(text: str) -> bool:
    return "".join(_TOKENS.findall(text)) == text
