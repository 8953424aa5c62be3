"""Logs of the OSU micro-benchmarks' bandwidth tests between two hosts.

Source: osu_bw.c, osu_bibw.c, osu_mbw_mr.c of OMB: rank 0 (or the first half of the ranks) sends, MB/s is
10^6 bytes a second. They print no hosts: those are known from the launcher's words, or the file's name.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from clusterboot.diagnose.matrix.checks import bad
from clusterboot.diagnose.matrix.pairnames import hosts_in_command
from clusterboot.diagnose.matrix.stored import Format, PairFigure, sustained

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
    lines = [line.strip() for line in text.splitlines()]
    hosts = list(dict.fromkeys(match[2] for line in lines if (match := _STARTUP.match(line))))
    named = (
        hosts if len(hosts) == 2 else next((two for line in lines if (two := hosts_in_command(line))), None)
    )
    ends = (named[0], named[1]) if named else None
    figures = [
        PairFigure(
            what,
            path,
            ends,
            sustained(points),
            one_way,
            _why(points, wrong),
            largest_bytes=max(points, default=None),
        )
        for what, one_way, points, wrong in _tests(lines)
    ]
    if not figures:
        raise bad(path, "it has no bandwidth test of OSU")
    return figures


def _tests(lines: list[str]) -> Iterator[tuple[str, bool, dict[int, float], list[int]]]:
    """Give each test's name, whether its data goes one way, its rates in GB/s, and sizes with wrong data."""
    what, one_way, factor = "", False, 0.0
    points: dict[int, float] = {}
    wrong: list[int] = []
    for line in (*lines, "OSU end Test"):
        if _OTHER_TITLE.match(line):
            if what:
                yield what, one_way, points, wrong
            title = _TITLE.match(line)
            what, one_way = _PROGRAMS[title["test"]] if title else ("", False)
            factor, points, wrong = 0.0, {}, []
        elif pairs := _PAIRS.match(line):
            what = f"{what}, {pairs[1]} pairs" if what and pairs[1] != "1" else what
        elif unit := _UNIT.match(line):
            factor = _FACTOR[unit[1]]
        elif what and factor and (row := _ROW.match(line)):
            points[int(row[1])] = float(row[2]) * factor
            if line.endswith("Fail"):  # the column of osu_bw -c
                wrong.append(int(row[1]))


def _why(points: dict[int, float], wrong: list[int]) -> str | None:
    if not points:
        return "the test has no rows"
    return f"wrong-data: validation failed at {wrong[0]} bytes" if wrong else None


OSU = Format("a log of OSU's bandwidth tests", _recognises, _read)
