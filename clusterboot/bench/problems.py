"""What goes wrong with launched benchmarks, found in the lines of a log."""

from __future__ import annotations

import re
from dataclasses import dataclass

from clusterboot.bench.pattern import Pattern
from clusterboot.bench.patterns import PATTERNS
from clusterboot.bench.records import Problem

# Open MPI's and Hydra's messages name the host some lines below their first words.
_ABOUT_HOST = re.compile(
    r"Remote daemon\s*:.* on node (?P<a>[\w.-]+)|RUNNING AT (?P<b>[\w.-]+)"
    r"|^\s*(?:Node|Local host|Remote host|Host|Hostname|target node|node)\s*:\s*(?P<c>[\w.-]+)\s*$"
    r"|target node: (?P<d>[\w.-]+)"
)
_RULE = re.compile(r"\s*[-=]{20,}\s*")
_FOLLOWING_LINES = 14

# `host:pid:tid [device] file.cc:line NCCL WARN text`
_WARNING = re.compile(
    r"(?P<host>[A-Za-z0-9_.-]+):(?P<pid>\d+):\d+ \[(?P<device>\d*)[^\]]*\](?: \S+:\d+)? NCCL (?:WARN|ERROR) "
)
_SAYS_RANK = re.compile(r"\brank (\d+) nranks \d+")
_LIBRARY_LINE = re.compile(r"(?P<host>[A-Za-z0-9_.-]+):(?P<pid>\d+):\d+ \[(?P<device>\d+)[^\]]*\]")
# Warned of in many a good run: a transport that is not there, a setting that is overridden.
_HARMLESS = re.compile(
    r"Failed to open lib|No plugin found|[Dd]eprecat|[Ii]gnor|Only EFA|[Ff]all(?:ing|s)? ?back|[Oo]verrid"
    r"|MSCCL"
)
_FATAL = re.compile(
    r"Got completion|[Ff]ailed|[Ff]ailure|[Ee]rror|timed? ?out|Timeout|refused|closed by|unreachable|[Aa]bort"
    r"|[Mm]ismatch|[Nn]o socket interface|not enough|out of memory|exited|corrupt|Invalid",
)
_REMEDY = "look at that host's network adapters and at the peer that the warning names"

_HINTED = tuple((pattern.hint, pattern) for pattern in PATTERNS)


@dataclass(frozen=True)
class Found:
    """A problem, and the pattern that found it."""

    problem: Problem
    pattern: Pattern


def scan(text: str, line: int, host: str | None = None, rank: int | None = None) -> Found | None:
    """Find the problem that a line tells of.

    Parameters: the cleaned line; its number, from 1; the host and rank that its tag names,
    which count where the line's own words name none.
    Returns: ``None`` for an ordinary line.
    """
    for pattern in [pattern for hint, pattern in _HINTED if hint in text]:
        match = pattern.regex.search(text)
        if match:
            named = match.groupdict()
            own = named.get("host")
            told = int(named["rank"]) if named.get("rank") else (rank if own in (None, host) else None)
            return Found(
                Problem(pattern.kind, text.strip(), pattern.remedy, own or host, line, told), pattern
            )
    return None


class HostFinder:
    """Names the host of a problem whose message goes on for some lines, or had begun before."""

    def __init__(self) -> None:
        self._left = 0
        self._said: tuple[str, int] | None = None

    def expect(self, line: int) -> str | None:
        """Begin to look for the host of the problem in this line.

        Returns: the host where the same message has named it already: Hydra's ``RUNNING AT``
        stands above the signal.
        """
        if self._said is not None and line - self._said[1] <= _FOLLOWING_LINES:
            return self._said[0]
        self._left = _FOLLOWING_LINES
        return None

    def look(self, text: str, line: int) -> str | None:
        """Give the host that a following line names; the message's end ends the search."""
        if not self._left and " RUNNING AT " not in text:
            return None
        match = _ABOUT_HOST.search(text)
        host = next(each for each in match.groups() if each) if match else None
        if host and " RUNNING AT " in text:
            self._said = (host, line)
        if not self._left:
            return None
        self._left -= 1
        if host or (_RULE.fullmatch(text) and self._left < _FOLLOWING_LINES - 2):
            self._left = 0
        return host


@dataclass(frozen=True)
class Process:
    """A process's device, as the library's lines name it."""

    host: str
    pid: int
    device: int | None


def warning(text: str, line: int) -> tuple[Problem, Process] | None:
    """Read a warning of the library; its rank is the caller's to find.

    Source: ``ncclDebugLog`` in NCCL's ``src/debug.cc``.
    """
    match = _WARNING.search(text) if " NCCL WARN" in text or " NCCL ERROR" in text else None
    if match is None:
        return None
    process = Process(match["host"], int(match["pid"]), int(match["device"]) if match["device"] else None)
    return Problem("nccl-error", text[match.start() :].strip(), _REMEDY, match["host"], line), process


def is_fatal(problem: Problem) -> bool:
    """Tell whether a warning of the library is of something that ends a run."""
    words = problem.text.partition(" NCCL ")[2]
    return _FATAL.search(words) is not None and not is_harmless(problem)


def is_harmless(problem: Problem) -> bool:
    """Tell whether a warning of the library stands beside many a good table."""
    return _HARMLESS.search(problem.text.partition(" NCCL ")[2]) is not None


def rank_said(text: str) -> tuple[Process, int] | None:
    """Read which rank a process is, from the library's own line on its communicator."""
    said = _SAYS_RANK.search(text) if " nranks " in text else None
    match = _LIBRARY_LINE.search(text) if said else None
    if said is None or match is None:
        return None
    return Process(match["host"], int(match["pid"]), int(match["device"])), int(said[1])
