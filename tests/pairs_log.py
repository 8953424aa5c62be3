"""The whole output of an all-pairs run, as tests look at it; a link map reads it line by line."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from clusterboot.programs.collbench.pairs_output import (
    PairRow,
    PairSamples,
    PairSegments,
    PairsNode,
    RoundEnd,
    read_pairs_line,
)
from clusterboot.programs.nccl_tests.headers import count

_PROGRAM = re.compile(r"# clusterboot collbench (\S+): (MPI, host memory|NCCL \S+, GPU memory); (.+)")
_PLAN = re.compile(r"# All pairs test starting: \d+ nodes, \d+ pairs in (\d+) rounds, ")
_END = "# All pairs test concluded"


@dataclass(frozen=True)
class PairsLog:
    """What an all-pairs run printed.

    ``library`` is what carried the data, ``build`` which build of it; with ``ranks_on_a_gpu`` above
    1 its figures measure nothing. ``planned_rounds`` is ``None`` where not even the head is there;
    ``ended_rounds`` lists the rounds that ended; ``concluded`` is true where the last line came.
    """

    version: str | None = None
    library: str | None = None
    build: str | None = None
    ranks_on_a_gpu: int = 1
    planned_rounds: int | None = None
    nodes: tuple[PairsNode, ...] = ()
    rows: tuple[PairRow, ...] = ()
    samples: tuple[PairSamples, ...] = ()
    segments: tuple[PairSegments, ...] = ()
    ended_rounds: tuple[int, ...] = ()
    concluded: bool = False


def parse_pairs(data: bytes) -> PairsLog:
    """Read the output of an all-pairs run, whole or cut off anywhere.

    A last line without its newline does not count: a figure that lost digits is still a figure.
    """
    text = data.decode("utf-8", "replace")
    # What rank 0's own lines begin with, where it was given a key.
    lines = [re.sub(r"^[0-9a-f]{16} ", "", line) for line in text[: text.rfind("\n") + 1].split("\n")]
    said = [read_pairs_line(line) for line in lines]
    program = _first(_PROGRAM, lines)
    plan = _first(_PLAN, lines)
    return PairsLog(
        version=program[1] if program else None,
        library=program[2] if program else None,
        build=program[3].strip() if program else None,
        ranks_on_a_gpu=max((count(line, "ranks-on-a-gpu") or 1 for line in lines), default=1),
        planned_rounds=int(plan[1]) if plan else None,
        nodes=tuple(each for each in said if isinstance(each, PairsNode)),
        rows=tuple(each for each in said if isinstance(each, PairRow)),
        samples=tuple(each for each in said if isinstance(each, PairSamples)),
        segments=tuple(each for each in said if isinstance(each, PairSegments)),
        ended_rounds=tuple(each.round for each in said if isinstance(each, RoundEnd)),
        concluded=any(line.rstrip("\r") == _END for line in lines),
    )


def _first(pattern: re.Pattern[str], lines: Iterable[str]) -> re.Match[str] | None:
    return next((found for found in map(pattern.match, lines) if found), None)
