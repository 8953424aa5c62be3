"""What stands before a benchmark's line in logs of pods, journals, parallel shells and web pages."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

from ..messages.where import PROGRAM

_CLOCK = r"\d\d:\d\d:\d\d(?:[.,]\d+)?"
_ZONE = r"(?:Z| ?[+-]\d\d:?\d\d| (?:UTC|GMT|[A-Z]{2,4}T)\b)?"
# Each can stand alone or before another: `kubectl logs --prefix --timestamps`, `ts`, journalctl.
_ALWAYS = re.compile(
    "|".join(
        (
            r"(?:> ?)+(?=[#\d\s])",  # quoted in mail or Markdown
            rf"\[?\d{{4}}-\d\d-\d\d[T ]{_CLOCK}{_ZONE}\]? ?",  # kubectl --timestamps, CI, NCCL
            # ts, syslog, journalctl: of these only the kernel speaks of the machine that it names.
            rf"\[?[A-Z][a-z]{{2}} +\d{{1,2}} {_CLOCK}\]? "
            r"(?:(?P<host>[\w.-]+) kernel: |[\w.-]+ [\w./@-]+(?:\[\d+\])?: )?",
            rf"\[{_CLOCK}\] ?",
            r"\[(?:pod|job)/[^\]\s]+\] ?",  # kubectl logs --prefix
            r"\((?:[\w.-]+,? )?(?:rank=\d+, )?pid=\d+(?:, ip=[\d.]+)?\) ?",  # Ray, SkyPilot
            r"[\w.-]{1,63} +\| ",  # docker compose
        )
    )
)
# pdsh, clush, kubetail, stern: a name and a colon.
_NAME = (
    rf"(?!(?i:error|warning|fatal|note|info|debug|ssh|kex_\w+|{PROGRAM}|\d+):)"
    r"(?P<host>[A-Za-z0-9][A-Za-z0-9_.-]*(?:\[[^\]\s]*\])?):"
)
_TAG = re.compile(rf"{_NAME}(?:[ \t]|$)")
# Where the log is too short to tell: before what is another program's or the benchmark's own line.
_NAMED = re.compile(
    rf"{_NAME}[ \t](?=[\w.-]+:\d+:\d+\s\[|[\w.-]+:\s+(?:Test|Invalid)\s|\s*#\s|/[\w./-]+:\s"
    rf"|[\w./-]+:\serror\swhile|\s*[\w./@-]+:\sPermission\sdenied|(?:{PROGRAM}):\s)"
)
_POD = re.compile(r"launcher|(?:^|-)worker-\d+-[a-z0-9]{5}$")
# The first character of everything above; most lines of a log are dealt with here.
_BEGINNINGS = frozenset("([->0123456789")
_MOST = 4
# So many lines, and this share of them, tell that a name before each is a tag.
_FEW = 5
_MOST_LINES = 0.8


def names_before(heads: Sequence[str]) -> frozenset[str]:
    """Find the names that stand with a colon before most lines of a log: machines, as pdsh puts them.

    Parameters: the beginnings of its lines that are not blank. A name that stands before few is a word
    of the line's own.
    """
    starts = ((head, time.end() if (time := _ALWAYS.match(head)) else 0) for head in heads)
    found = Counter(match["host"] for head, start in starts if (match := _TAG.match(head, start)))
    is_most = len(heads) >= _FEW and found.total() >= _MOST_LINES * len(heads)
    return frozenset(found) if is_most and len(found) * 3 <= found.total() else frozenset()


def strip_prefix(text: str, names: frozenset[str] = frozenset()) -> tuple[str, str | None]:
    """Take off a line what a log collector put before it.

    Parameters: the line; the names that stand before most of its log's lines.
    Returns: the rest of the line, and the host that the prefix names, ``None`` where it
    names none. Nothing is taken off that could be the line's own words.
    """
    host: str | None = None
    for _ in range(_MOST):
        match = _ALWAYS.match(text) if _may_begin(text) else None
        if match is None and names and (tag := _TAG.match(text)) and tag["host"] in names:
            match = tag
        if match is None and ": " in text[:80]:
            match = _NAMED.match(text)
        if match is None or (
            match.end() == len(text) and match.re is not _TAG and not match[0].endswith(" ")
        ):
            # A line of nothing but a time is part of a message that was wrapped there.
            break
        named = match.groupdict().get("host")
        # One name before all lines is the machine that the log was written on.
        if named and not _POD.search(named) and names != {named}:
            host = named
        text = text[match.end() :]
    return text, host


def _may_begin(text: str) -> bool:
    return text[:1] in _BEGINNINGS or (text[:1].isalpha() and (text[3:4] == " " or " | " in text[:80]))
