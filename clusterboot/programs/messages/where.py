"""One grammar for the hosts that messages name: how a name is written, and where in a message it stands."""

from __future__ import annotations

import ipaddress
import re

_NAME = r"[A-Za-z0-9](?:[\w.-]*\w)?"
_IPV6 = r"(?:[0-9A-Fa-f]{0,4}:){2,7}[0-9A-Fa-f.]*(?:%[\w.-]*\w)?"
# What people write in the place of a name that is not to be published.
_REDACTED = r"<[^<>\n]{1,60}>|\([^()\n]{1,60}\)"
# As groups of a pattern: a machine as other programs write it; as a process writes its own name before a pid.
HOST = rf"\[?(?P<host>{_IPV6}|{_NAME}|{_REDACTED})\]?"
NAME = rf"(?P<host>{_NAME}|{_REDACTED})"
# A program's name before a colon is no machine's.
PROGRAM = (
    r"(?:ba|da|z|k|t?c|s)?sh|env|\w+_perf\w*|orted|prted|prterun|mpirun|mpiexec|srun|slurmstepd|hydra_\w+"
    r"|collbench"
)
_NO_NAME = re.compile(rf"null|none|unknown|{PROGRAM}", re.IGNORECASE)


def over_lines(words: str) -> str:
    """Let every blank of a regular expression be a line break as well."""
    return words.replace(" ", r"[ \n]")


_VALUE = rf" ?: ?{HOST}(?=\s|$)(?! :\s)"
_PROSE = r"(?!(?:that|where|which|and|or|is|it|to|in|for|with|the|this|an?|not|due|failed|names?)\b)"
# The first that a message has: a partner is named beside the machine that complains of it.
_FIELDS = tuple(
    re.compile(over_lines(words))
    for words in (
        rf"\b[Rr]emote daemon ?: \S+ on node {HOST}",
        rf"\b(?:Remote host|Remote hostname|target node|Missing requested host){_VALUE}",
        rf"\bRUNNING AT {HOST}",
        rf"\bHost key for {HOST} has changed",
        rf"\b(?:[Nn]ode(?:name)?|Node name|Reported from nodename|Local host|[Hh]ost(?:name)?){_VALUE}",
        rf"\b(?:[Oo]n|of|claimed) (?:the )?(?:node|host) {_PROSE}{HOST}(?=[\s.,;:]|$)",
        rf"\bnode \({HOST}\) that",
    )
)
# Two ends that cannot reach each other: neither is the one to blame.
_BOTH_ENDS = re.compile(over_lines(r"\bis on host:"))
_RUNNING_AT = re.compile(over_lines(rf"\bRUNNING AT {HOST}"))


def host_of(match: re.Match[str]) -> str | None:
    """Give the host of a match with a group ``host``: without brackets, ``None`` where it names none."""
    host = (match.groupdict().get("host") or "").strip("<>()[]").strip()
    if host.count(":") > 1 and not _is_address(host):
        host = host.partition(":")[0]
    return host if host and not _NO_NAME.fullmatch(host) else None


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return False
    return True


def host_in(message: str) -> str | None:
    """Find the host that a message names in a field of its own, or in a phrase such as ``on node n2``."""
    if _BOTH_ENDS.search(message):
        return None
    return next((host_of(match) for field in _FIELDS if (match := field.search(message))), None)


def host_before(text: str) -> str | None:
    """Find the host that Hydra's banner names, which stands above the line that says what happened."""
    found = [*_RUNNING_AT.finditer(text)]
    return host_of(found[-1]) if found else None
