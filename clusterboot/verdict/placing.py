"""Whether what was printed is of the run that was launched, with every rank where it belongs.

Only the launching node's word is there for it: that node can print anything. What is
compared here finds a launcher that starts ranks elsewhere and output that is of another run.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace

from clusterboot.folding import fold
from clusterboot.programs.records import BenchTest, Judgement, LogJudgement, ParsedLog, Problem

# Above each table and below it, whatever program prints that: collbench itself, for others the shell
# around rank 0.
_MARK = re.compile(rb"(?m)^[^\n]{0,200}?# clusterboot run ([0-9a-zA-Z]{1,64})\b")
_MARKS_A_TEST = 2
_MOST_TOLD = 4
# What a benchmark says of one of these is not doubted further: no bandwidth is concluded from it.
_GOOD = ("ok", "slow")
_ELSEWHERE = "see which mpirun that node's PATH finds, and what its openmpi-mca-params.conf and hostfile say"
_FOREIGN = "see which mpirun that node's PATH finds; launch from another node (--launch-from) and compare"


@dataclass(frozen=True)
class RankPlace:
    """How many ranks a host was to have; ``hostname`` is what it calls itself."""

    host: str
    hostname: str
    ranks: int


@dataclass(frozen=True)
class Launched:
    """What was launched: from where, which ranks where, under what names, and how often each collective."""

    start: str
    places: Sequence[RankPlace]
    run_ids: Sequence[str]
    collectives: Sequence[str]


def doubted(judgement: LogJudgement, log: ParsedLog, content: bytes, launched: Launched) -> LogJudgement:
    """Take back a good verdict where the output is not of this run, or a rank was not where it belongs.

    Parameters: the judgement of a log; the log as parsed and as it came; what was launched.
    """
    foreign = _foreign(log, content, launched)

    def look(judged: Judgement, test: BenchTest) -> Judgement:
        if judged.verdict not in _GOOD:
            return judged
        elsewhere = misplaced(test, launched.places)
        text, remedy = (foreign, _FOREIGN) if foreign else (elsewhere, _ELSEWHERE)
        if text is None:
            return judged
        host: str | None = launched.start
        if not foreign and (other := _of_two_names(test, launched.places)):
            # Its own words differ, or the launching node's are wrong: nobody else knows.
            text += f"; either {other} has two names for itself, or {launched.start} ran its ranks elsewhere"
            host = host if other == host else None
        problem = Problem("mpi-launch", text, remedy, host)
        return replace(judged, verdict="inconclusive", reason=text, problems=(*judged.problems, problem))

    tests = tuple(look(judged, test) for judged, test in zip(judgement.tests, log.tests, strict=True))
    worse = next((new for new, old in zip(tests, judgement.tests, strict=True) if new is not old), None)
    overall = judgement.overall
    if worse is None or overall.verdict not in _GOOD:
        return replace(judgement, tests=tests)
    overall = replace(
        overall, verdict="inconclusive", reason=worse.reason, problems=(*overall.problems, worse.problems[-1])
    )
    return LogJudgement(overall, tests)


def misplaced(test: BenchTest, places: Sequence[RankPlace]) -> str | None:
    """Say which hosts show another number of ranks than they were to have, in one line.

    Benchmarks name ranks by the host's own name up to its first dot. Hosts that share one are
    counted together, and where collbench tells each rank's place on its node, by that as well.
    """
    called: dict[str, list[RankPlace]] = defaultdict(list)
    for place in places:
        called[short(place.hostname)].append(place)
    shown: dict[str, list[int | None]] = defaultdict(list)
    for rank in test.ranks:
        shown[short(rank.host or "")].append(rank.device)
    if len({rank.rank for rank in test.ranks}) != len(test.ranks):
        return "one rank is in the list of ranks more than once"
    wrong = [
        f"{fold(place.host for place in group)} {_shows(group, shown[name])}"
        for name, group in called.items()
        if len(shown[name]) != sum(place.ranks for place in group)
    ]
    wrong += [
        f"{len(ranks)} {_of(len(ranks))} on {name or 'a host without a name'}, which is no node of this run"
        for name, ranks in shown.items()
        if name not in called
    ]
    if not wrong and test.tool == "collbench" and all(rank.bus_id is None for rank in test.ranks):
        wrong = [
            f"{fold(place.host for place in group)}, which share the name {name}, "
            "did not each run their ranks"
            for name, group in called.items()
            if len(group) > 1
            and Counter(shown[name]) != Counter(number for place in group for number in range(place.ranks))
        ]
    if len(wrong) > _MOST_TOLD:
        wrong[_MOST_TOLD:] = [f"and {len(wrong) - _MOST_TOLD} more"]
    return f"not every rank ran where it belongs: {'; '.join(wrong)}" if wrong else None


def _of_two_names(test: BenchTest, places: Sequence[RankPlace]) -> str | None:
    """Name the host whose ranks are all shown under one name that no host has; ``None`` for anything else."""
    shown = Counter(short(rank.host or "") for rank in test.ranks)
    missing = [place for place in places if shown.pop(short(place.hostname), 0) != place.ranks]
    if len(missing) == 1 and list(shown.values()) == [missing[0].ranks]:
        return missing[0].host
    return None


def _foreign(log: ParsedLog, content: bytes, launched: Launched) -> str | None:
    """Say why the output is not that of one run of what was launched; ``None`` where it is."""
    printed = Counter(test.collective for test in log.tests if test.collective)
    twice = [name for name, count in printed.items() if count > launched.collectives.count(name)]
    if twice:
        return f"the output has {' and '.join(twice)} more often than it was run"
    if not log.tests:
        return None
    marks = [mark.decode() for mark in _MARK.findall(content)]
    if set(marks) - set(launched.run_ids):
        return "the output carries the mark of another run"
    if len(marks) != _MARKS_A_TEST * len(log.tests):
        return f"{len(marks)} of {_MARKS_A_TEST * len(log.tests)} marks of this run are in the output"
    return None


def _shows(group: Sequence[RankPlace], shown: Sequence[object]) -> str:
    wanted = sum(place.ranks for place in group)
    verb = "shows" if len(group) == 1 else "show"
    return f"{verb} {len(shown) or 'none'} of {wanted} {_of(wanted)}"


def _of(count: int) -> str:
    return "rank" if count == 1 else "ranks"


def short(hostname: str) -> str:
    """Give a host's own name as benchmarks print it: up to its first dot."""
    return hostname.partition(".")[0]
