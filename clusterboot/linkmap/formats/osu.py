"""Logs of the OSU micro-benchmarks' bandwidth tests between two hosts.

Source: osu_bw.c, osu_bibw.c, osu_mbw_mr.c of OMB: rank 0 (or the first half of the ranks) sends, MB/s is
10^6 bytes a second. They print no hosts: those are known from the launcher's words, a heading, or the
file's name.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from .cells import bad
from .nccl import why_nothing
from .pairnames import hosts_above
from .stored import Format, PairFigure, sustained

_TITLE = re.compile(
    r"#? ?OSU [\w-]+(?: [\w-]+)*? ?"
    r"(?P<test>(?:Bi-Directional |Multiple )?Bandwidth(?: / Message Rate)?) Test\b"
)
_OTHER_TITLE = re.compile(r"#? ?OSU [\w-]+.*\bTest\b")
_PROGRAMS = {
    "Bandwidth": ("osu_bw", True),
    "Bi-Directional Bandwidth": ("osu_bibw", False),
    "Multiple Bandwidth / Message Rate": ("osu_mbw_mr", True),
}
_UNIT = re.compile(r"# ?Size\b.*?\b(MB/s|GB/s)")
_FACTOR = {"MB/s": 1e-3, "GB/s": 1.0}
_PAIRS = re.compile(r"# ?\[ ?pairs: (\d+) ?\]")
_ROW = re.compile(r"(\d+)\s+(\d+(?:\.\d+)?(?:e[+-]?\d+)?)(?:\s+\S+)*$")
# Intel MPI with I_MPI_DEBUG: rank, process, host.
_STARTUP = re.compile(r"\[\d+\] MPI startup\(\):\s+(\d+)\s+\d+\s+([\w.-]+)\s")


def _recognises(text: str) -> bool:
    return any(_TITLE.match(line) for line in re.findall(r"#? ?OSU [^\n]{0,200}", text))


def _read(text: str, path: str) -> list[PairFigure]:
    """Give each test's bandwidth at its largest sizes; a test without rows was begun and did not end."""
    figures = [_figure(test, path) for test in _tests([line.strip() for line in text.splitlines()])]
    if not figures:
        raise bad(path, "it has no bandwidth test of OSU")
    return figures


@dataclass
class _OsuTest:
    """One test as it is read: of which two hosts, its rates in GB/s, and sizes with wrong data."""

    what: str
    one_way: bool
    ends: tuple[str, str] | None
    factor: float = 0.0
    points: dict[int, float] = field(default_factory=dict)
    wrong: list[int] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)

    def take(self, line: str) -> None:
        """Read a line below the test's title."""
        self.lines.append(line)
        if pairs := _PAIRS.match(line):
            self.what += f", {pairs[1]} pairs" if pairs[1] != "1" else ""
        elif unit := _UNIT.match(line):
            self.factor = _FACTOR[unit[1]]
        elif self.factor and (row := _ROW.match(line)):
            self.points[int(row[1])] = float(row[2]) * self.factor
            if line.endswith("Fail"):  # the column of osu_bw -c
                self.wrong.append(int(row[1]))


def _tests(lines: list[str]) -> Iterator[_OsuTest]:
    """Give each bandwidth test, with the two hosts that were named last above it."""
    test: _OsuTest | None = None
    ends: tuple[str, str] | None = None
    started: list[str] = []
    for line in lines:
        if _OTHER_TITLE.match(line):
            if test:
                yield test
            if len(hosts := list(dict.fromkeys(started))) == 2:
                ends = (hosts[0], hosts[1])
            title = _TITLE.match(line)
            test = _OsuTest(*_PROGRAMS[title["test"]], ends) if title else None
            started = []
        elif rank := _STARTUP.match(line):
            started.append(rank[2])
        elif not line.startswith("[") and not _ROW.match(line):
            ends = hosts_above(line) or ends
        if test:
            test.take(line)
    if test:
        yield test


def _figure(test: _OsuTest, path: str) -> PairFigure:
    why = f"wrong-data: validation failed at {test.wrong[0]} bytes" if test.wrong else None
    rate, largest = sustained(test.points), max(test.points, default=None)
    why = why if test.points else why_nothing("\n".join(test.lines), "the test has no rows")
    return PairFigure(test.what, path, test.ends, rate, test.one_way, why, largest_bytes=largest)


OSU = Format("a log of OSU's bandwidth tests", _recognises, _read)
