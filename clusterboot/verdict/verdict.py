"""What a benchmark's output proves: one verdict a test, one for the whole."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from clusterboot.programs.bench_options import BenchOptions
from clusterboot.programs.completeness import what_is_missing
from clusterboot.programs.records import (
    BenchTest,
    Judgement,
    LogJudgement,
    LogReport,
    ParsedLog,
    Problem,
    ProblemKind,
    Verdict,
)
from clusterboot.run.runend import ENDED, End, RunEnd

from .bandwidth import plateaus, shortfall
from .expectation import Expectation, not_judged

# Where tests differ, the first of these that occurs is the whole log's.
_WORST_FIRST: tuple[Verdict, ...] = (
    *("wrong-data", "could-not-launch", "failed", "hung", "slow", "inconclusive", "ok"),
)
_NOTHING_TO_CONCLUDE: tuple[ProblemKind, ...] = ("not-mpi-build", "usage", "truncated")
_ENDS_A_RUN: tuple[ProblemKind, ...] = ("nccl-error", "cuda-error", "killed", "min-bandwidth", "wrong-data")
# The library's warnings belong to these; a missing library or a kill needs no further words.
_LIBRARYS_OWN: tuple[ProblemKind, ...] = ("nccl-error", "cuda-error", "timeout")
# Of several problems of one test: a scheduler that stops a run also kills its ranks.
_DECIDES_FIRST: tuple[Verdict, ...] = ("inconclusive", "hung", "failed", "could-not-launch")
NO_MEASURE = "ranks shared a GPU: no measure of bandwidth"
Complete = Callable[[BenchTest, "BenchOptions | None"], "str | None"]
# A log may have lost its end on the way; a run's own log is whole.
_TRUNCATED_REMEDY: Mapping[End, str] = {
    "unknown": "run it again and keep the whole output",
    "deadline": "give a longer --deadline",
    "timed-out": "give a longer --time-limit",
}
_AGAIN = "run it again"
# What was cut short proves no bandwidth; what it met before stays.
_CUT_WORST_FIRST: tuple[Verdict, ...] = (
    *("wrong-data", "could-not-launch", "failed", "hung", "inconclusive", "slow", "ok"),
)


def judge(
    log: ParsedLog,
    expectation: Expectation | None = None,
    ended: RunEnd | None = None,
    options: BenchOptions | None = None,
    ranks: int | None = None,
    *,
    complete: Complete = what_is_missing,
) -> LogJudgement:
    """Say what a log proves.

    Parameters: the parsed log; what the bandwidth is held against; how the run ended; the
    options and the number of ranks that it was started with, where they are known: all the
    collectives and all the ranks must then be there; what says whether a test is complete.
    Returns: wrong data before everything else; ``ok`` only for complete tests without any
    problem, never by an exit code alone.
    """
    ended = ended or RunEnd()
    expectation = expectation or Expectation()
    lacks = [
        complete(test, options)
        if ranks in (None, len(test.ranks))
        else f"{len(test.ranks)} of {ranks} ranks took part"
        for test in log.tests
    ]
    # Only the last test can have been ended with the run.
    ends = [*(RunEnd() for _ in log.tests[1:]), ended]
    judged = tuple(
        _judge_test(test, expectation, end, lack)
        for test, end, lack in zip(log.tests, ends, lacks, strict=False)
    )
    return LogJudgement(_overall(log, judged, ended, options), judged)


def report_of(log: ParsedLog, judgement: LogJudgement, path: str | None = None) -> LogReport:
    """Join a log and its judgement into what is shown and saved."""
    tests = tuple(
        replace(test, verdict=judged.verdict, problems=judged.problems)
        for test, judged in zip(log.tests, judgement.tests, strict=True)
    )
    return LogReport(tests, judgement, path)


def _judge_test(test: BenchTest, expectation: Expectation, ended: RunEnd, lack: str | None) -> Judgement:
    wrong = _wrong_data(test)
    if wrong:
        return Judgement("wrong-data", wrong.text, (*test.problems, wrong))
    told = _by_problems(_with_warnings(test.problems, test.warnings, over=not lack))
    if told:
        return replace(told, problems=(*told.problems, *ended.problems))
    if ended.how in ENDED:
        return _ended_from_outside(ended, lack)
    if lack:
        return _incomplete(test, lack, ended)
    if test.problems:
        return Judgement("slow", test.problems[0].text, test.problems)
    reason = f"its table is complete, but the run ended with exit code {ended.exit_code}"
    bad_end = ended.how == "exited" and ended.exit_code
    return Judgement("failed", reason) if bad_end else _by_bandwidth(test, expectation)


def _with_warnings(
    problems: tuple[Problem, ...], warnings: tuple[Problem, ...], *, over: bool
) -> tuple[Problem, ...]:
    """Join to the problems of a run what the library warned of, where that explains them.

    A warning alone ends no run that is ``over``; beside half a table only one of something
    fatal counts.
    """
    if any(problem.kind in _LIBRARYS_OWN for problem in problems):
        joined = (*problems, *warnings)
        return tuple(sorted(joined, key=lambda problem: problem.line or 0))
    if over or problems:
        return problems
    return tuple(warned for warned in warnings if warned.ends_a_run)


def _ended_from_outside(ended: RunEnd, lack: str | None) -> Judgement:
    """Judge a test whose run was ended because it did not end by itself, or could not."""
    reason = ended.detail or (lack and f"it stopped moving: {lack}") or "it is complete, but never ended"
    truncated = (_truncated(lack, ended),) if lack else ()
    return Judgement(ENDED[ended.how], reason, ended.problems or truncated)


def _wrong_data(test: BenchTest) -> Problem | None:
    wrong = [(place.wrong, row) for row in test.rows for place in row.placements if place.wrong]
    if not wrong and not test.out_of_bounds:
        return None
    text, line = f"Out of bounds values : {test.out_of_bounds} FAILED", test.footer_line
    if wrong:
        first = wrong[0][1]
        text = f"{sum(count for count, _ in wrong)} wrong values, first at {first.size_bytes} bytes"
        line = first.line
    remedy = "find the host with smaller groups of nodes and check its memory"
    return Problem("wrong-data", text, remedy, line=line)


def _by_problems(problems: tuple[Problem, ...]) -> Judgement | None:
    """Judge by what a log says went wrong: the kind that decides most, decides."""
    decided = [problem for problem in problems if problem.kind != "min-bandwidth"]
    return replace(_decided(decided, _DECIDES_FIRST), problems=problems) if decided else None


def _decided(problems: Sequence[Problem], first: Sequence[Verdict], *, begun: bool = True) -> Judgement:
    """Judge by the problem whose verdict comes first."""
    verdicts = [(_verdict_of(problem.kind, begun=begun), problem) for problem in problems]
    verdict, problem = min(verdicts, key=lambda pair: first.index(pair[0]))
    return Judgement(verdict, problem.text)


def _verdict_of(kind: ProblemKind, *, begun: bool) -> Verdict:
    if kind in _NOTHING_TO_CONCLUDE:
        return "inconclusive"
    if kind == "timeout":
        return "hung"
    return "failed" if begun or kind in _ENDS_A_RUN else "could-not-launch"


def _incomplete(test: BenchTest, lack: str, ended: RunEnd) -> Judgement:
    truncated = _truncated(lack, ended)
    if ended.how == "exited" and ended.exit_code:
        return Judgement("failed", f"it ended with exit code {ended.exit_code}: {lack}", (truncated,))
    if not test.rows and ended.how == "could-not-launch":
        return Judgement("could-not-launch", ended.detail or lack, (truncated,))
    return Judgement("inconclusive", lack, (truncated,))


def _truncated(lack: str, ended: RunEnd) -> Problem:
    return Problem("truncated", lack, _TRUNCATED_REMEDY.get(ended.how, _AGAIN))


def _by_bandwidth(test: BenchTest, expectation: Expectation) -> Judgement:
    if test.shares_gpus:
        return Judgement("ok", f"all rows and the footer are there, no wrong value; {NO_MEASURE}")
    found = shortfall(test, expectation)
    if found.reasons:
        return Judgement("slow", found.reasons[0], (), (*found.reasons[1:], *found.notes))
    if found.impossible:
        return Judgement("inconclusive", found.impossible, (), found.notes)
    if not found.comparable:
        return Judgement("inconclusive", found.notes[-1], (), found.notes)
    line_gb_s = expectation.line_gb_s.get(test.collective or "")
    best = max(plateaus(test, line_gb_s), key=lambda plateau: plateau.busbw_gb_s, default=None)
    reason = "all rows and the footer are there, no wrong value"
    if best is not None:
        reason += f", busbw {best}"
    places = [place for row in test.rows for place in row.placements]
    unchecked = all(place.wrong is None and place.error is None for place in places)
    notes = (
        *found.notes,
        *(f"{each.host}: {each.text}" for each in test.warnings[:3]),
        *_average_note(test),
        *(() if found.compared else (not_judged(expectation),)),
        *(("the data were not checked",) if unchecked else ()),
    )
    return Judgement("ok", reason, (), notes)


def _average_note(test: BenchTest) -> tuple[str, ...]:
    """Remark on a printed average that is not that of the rows: the log was changed."""
    places = [place for row in test.rows for place in row.placements]
    values = [place.busbw_gb_s for place in places if place.busbw_gb_s is not None]
    if test.avg_busbw_gb_s is None or not values:
        return ()
    mean = sum(values) / len(values)
    if math.isclose(mean, test.avg_busbw_gb_s, rel_tol=0.01, abs_tol=0.05):
        return ()
    return (f"the printed average of {test.avg_busbw_gb_s:g} GB/s is not that of the rows, {mean:.4g} GB/s",)


def _overall(
    log: ParsedLog, judged: tuple[Judgement, ...], ended: RunEnd, options: BenchOptions | None
) -> Judgement:
    problems = (*log.problems, *(problem for test in judged for problem in test.problems))
    notes = tuple(dict.fromkeys(note for test in judged for note in test.notes))
    parts = [*judged]
    around = _around(log, ended, options)
    if around:
        parts.append(around)
        problems += tuple(problem for problem in around.problems if problem not in problems)
    problems = tuple(sorted(problems, key=lambda problem: (problem.line is None, problem.line or 0)))
    order = _CUT_WORST_FIRST if ended.cut_short else _WORST_FIRST
    worst = min(reversed(parts) if ended.cut_short else parts, key=lambda part: order.index(part.verdict))
    return Judgement(worst.verdict, worst.reason, problems, notes)


def _around(log: ParsedLog, ended: RunEnd, options: BenchOptions | None) -> Judgement | None:
    """Judge what stands outside the tests, and tests that are not there at all."""
    if ended.cut_short:
        return Judgement("inconclusive", ended.detail or "it was interrupted")
    if not log.tests:
        return _without_tests(log, ended)
    if log.problems:
        return _decided(log.problems, _WORST_FIRST, begun=False)
    seen = {test.collective for test in log.tests}
    missing = [name for name in options.collectives if name not in seen] if options else []
    if missing and None not in seen:
        text = f"no test of {', '.join(missing)} is there"
        return Judgement("inconclusive", text, (_truncated(text, ended),))
    return None


def _without_tests(log: ParsedLog, ended: RunEnd) -> Judgement:
    problems = _with_warnings(log.problems, log.warnings, over=False)
    told = [problem for problem in problems if problem.kind not in _NOTHING_TO_CONCLUDE]
    if problems and not told:
        return Judgement("inconclusive", problems[0].text, problems)
    problems = (*problems, *ended.problems)
    if not told and ended.how in ENDED and (log.began or ENDED[ended.how] == "inconclusive"):
        return _ended_from_outside(ended, None)
    if told and log.began:
        return replace(_decided(told, _DECIDES_FIRST), problems=problems)
    if told:
        return Judgement("could-not-launch", told[0].text, problems)
    if ended.how == "could-not-launch" or ended.how in ENDED or (ended.how == "exited" and ended.exit_code):
        code = f"it ended with exit code {ended.exit_code}" if ended.exit_code else "no rank started"
        reason = problems[0].text if problems else f"{code} before any benchmark began"
        return Judgement("could-not-launch", ended.detail or reason, problems)
    return Judgement("inconclusive", "no benchmark's output is in it")
