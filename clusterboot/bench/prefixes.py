"""What stands before a benchmark's line in logs of pods, journals, parallel shells and web pages."""

from __future__ import annotations

import re

from clusterboot.bench.where import PROGRAM

_CLOCK = r"\d\d:\d\d:\d\d(?:[.,]\d+)?"
_ZONE = r"(?:Z| ?[+-]\d\d:?\d\d| (?:UTC|GMT|[A-Z]{2,4}T)\b)?"
# Each can stand alone or before another: `kubectl logs --prefix --timestamps`, `ts`, journalctl.
_ALWAYS = re.compile(
    "|".join(
        (
            r"(?:> ?)+(?=[#\d\s])",  # quoted in mail or Markdown
            r"- (?=#|\d+ \d+ [a-z])",  # a list on a paste site
            rf"\[?\d{{4}}-\d\d-\d\d[T ]{_CLOCK}{_ZONE}\]? ?",  # kubectl --timestamps, CI, NCCL
            # ts, syslog, journalctl: of these only the kernel speaks of the machine that it names.
            rf"\[?[A-Z][a-z]{{2}} +\d{{1,2}} {_CLOCK}\]? "
            r"(?:(?P<host>[\w.-]+) kernel: |[\w.-]+ [\w./@-]+(?:\[\d+\])?: )?",
            rf"\[{_CLOCK}\] ?",
            r"\[(?:pod|job)/[^\]\s]+\] ?",  # kubectl logs --prefix
            r"\[(?:rank|default)\d+\]: ?",  # torchrun
            r"\((?:[\w.-]+,? )?(?:rank=\d+, )?pid=\d+(?:, ip=[\d.]+)?\) ?",  # Ray, SkyPilot
            r"[\w.-]{1,63} +\| ",  # docker compose
        )
    )
)
# pdsh, clush, kubetail, stern: a name and a colon, before something that this project knows.
_NAMED = re.compile(
    rf"(?!(?:error|warning|fatal|note|info)\b|(?:{PROGRAM}):)"
    r"(?P<host>[A-Za-z][A-Za-z0-9_.-]*(?:\[[^\]\s]*\])?):[ \t]"
    r"(?=\s*\#|\s*\d+\s+\d+\s+[a-z][a-z0-9_]*\s|\s*nThread\s|[\w.-]+:\d+:\d+\s\[|[\w.-]+:\s+(?:Test|Invalid)\s"
    r"|(?:\s+(?:N/A|-?[\d.]+(?:e[+-]?\d+)?))+\s*$|/[\w./-]+:\s|(?:ba|da|z)?sh:\s|[\w./-]+:\serror\swhile|mpirun|srun:|slurmstepd"
    r"|\s*Out of bounds|\s*Avg bus|\s*size\s+count|\s*[\w./@-]+:\sPermission\sdenied"
    rf"|(?:{PROGRAM}):\s)"
)
_POD = re.compile(r"launcher|(?:^|-)worker-\d+-[a-z0-9]{5}$")
# The first character of everything above; most lines of a log are dealt with here.
_BEGINNINGS = frozenset("([->0123456789")
_MOST = 4


def strip_prefix(text: str) -> tuple[str, str | None]:
    """Take off a line what a log collector put before it.

    Returns: the rest of the line, and the host that the prefix names, ``None`` where it
    names none. Nothing is taken off that could be the line's own words.
    """
    host: str | None = None
    for _ in range(_MOST):
        match = _ALWAYS.match(text) if _may_begin(text) else None
        if match is None and ": " in text[:80]:
            match = _NAMED.match(text)
        if match is None or (match.end() == len(text) and not match[0].endswith(" ")):
            # A line of nothing but a time is part of a message that was wrapped there.
            break
        named = match.groupdict().get("host")
        if named and not _POD.search(named):
            host = named
        text = text[match.end() :]
    return text, host


def _may_begin(text: str) -> bool:
    return text[:1] in _BEGINNINGS or (text[:1].isalpha() and (text[3:4] == " " or " | " in text[:80]))
