"""Whom a run's failure is laid at: a line of its output names anybody, and each node speaks for itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from clusterboot.programs.records import Judgement, LogJudgement, Problem
from clusterboot.run.reap import BadEnd
from clusterboot.run.runend import RunEnd

_LOOK = "look at that host's kernel log and memory at that time, and run the program there alone"


def witnessed(judgement: LogJudgement, end: RunEnd, names: Mapping[str, str]) -> LogJudgement:
    """Take the hosts out of a judgement that the output alone lays a failure at.

    Every rank can print a line as a launcher's or another rank's, and so can a start-up file. So a host
    that such a line names stays only where that host itself says that a rank of its own did not end
    well, or where it does not answer the operator. What the nodes were asked stays as it is. Where
    nobody is left to look at, and one host alone says of itself that its ranks failed, it is that one.

    Parameters: the judgement; how the run ended, with the nodes' own words; each host by the names that
    an output may have for it.
    """
    overall = _borne_out(judgement.overall, end, names)
    if overall.verdict not in ("ok", "slow", "wrong-data") and not any(p.host for p in overall.problems):
        overall = replace(overall, problems=(*_own_words(end), *overall.problems))
    return LogJudgement(overall, tuple(_borne_out(test, end, names) for test in judgement.tests))


def _borne_out(judgement: Judgement, end: RunEnd, names: Mapping[str, str]) -> Judgement:
    reason, problems = judgement.reason, []
    for problem in judgement.problems:
        kept = _checked(problem, end, names)
        if kept.text != problem.text and reason == problem.text:
            reason = kept.text
        problems.append(kept)
    return replace(judgement, reason=reason, problems=tuple(problems))


def _checked(problem: Problem, end: RunEnd, names: Mapping[str, str]) -> Problem:
    """Give a problem with its host's own name, or without a host where nothing but a line names it."""
    if problem.host is None or problem in end.problems:
        return problem
    host = names.get(problem.host)
    if host is not None and _says_so(problem, end.bad_ends.get(host, ())):
        return replace(problem, host=host)
    text = f"the output says of {problem.host}, which does not bear it out: {problem.text}"
    return replace(problem, text=text, host=None, rank=None)


def _says_so(problem: Problem, ends: tuple[BadEnd, ...] | None) -> bool:
    """Tell whether a host's own word goes with what is said of it; ``None`` is one that does not answer."""
    if ends is None:
        return True
    if "signal" in problem.text.lower():
        ends = tuple(each for each in ends if each.signal)
    return bool(ends)


def _own_words(end: RunEnd) -> tuple[Problem, ...]:
    """Say what went wrong where one host alone says that of itself; signals come before exit codes."""
    bad = {host: ends for host, ends in end.bad_ends.items() if ends}
    signalled = {host: one for host, ends in bad.items() if (one := [each for each in ends if each.signal])}
    told = signalled or bad
    if len(told) != 1:
        return ()
    ((host, ends),) = told.items()
    first = ends[0]
    how = f"by signal {first.signal}" if first.signal else f"with exit code {first.exit_code}"
    return (Problem("killed", f"its rank {first.rank} ended {how}", _LOOK, host, rank=first.rank),)
