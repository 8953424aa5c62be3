"""What a benchmark came to: its runs judged, or why nothing was launched."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from clusterboot.errors import ClusterbootError, ExitCode, HostResult, Stage
from clusterboot.facts.node import NodeFacts
from clusterboot.headline import CutShort
from clusterboot.hostfiles.slots import Slot
from clusterboot.mpi.launcher import Mpi
from clusterboot.programs.records import (
    BenchTest,
    Judgement,
    LogJudgement,
    LogReport,
    Problem,
    ProblemKind,
    Verdict,
)
from clusterboot.run.bench_plan import BenchPlan
from clusterboot.run.counters import Counters
from clusterboot.run.runend import RunEnd, measured_code
from clusterboot.run.runlog import LineLog
from clusterboot.session.visit import Visit, exit_code

from .counted import told_by_counters
from .expectation import Expectation
from .placing import Launched, RankPlace, doubted, short
from .repeats import Spread, repeated, spreads
from .verdict import judge, report_of
from .witnessed import witnessed

_LOGIN_STAGES: tuple[Stage, ...] = ("auth", "hostkey", "keys", "verify")
_NO_REMEDY = "mend it, or leave the host out with --exclude"
_LOOK = "see run.log beside this result"


@dataclass(frozen=True)
class Judged:
    """One run, read and judged. ``log`` is its file's name."""

    report: LogReport
    ended: RunEnd
    log: str


@dataclass(frozen=True)
class Benchmarked:
    """What a benchmark came to. ``what`` says in words what ran, over what.

    ``runs`` are its single runs where there are several, ``spreads`` what they differ by; the report is
    then that of their medians. ``counters`` is what those of each host grew by.
    ``shares_gpus`` is true where several ranks used one GPU. ``cut_short`` says what ended it before it was
    done.
    """

    hosts: tuple[HostResult, ...]
    exit_code: ExitCode
    report: LogReport | None = None
    expectation: Expectation = field(default_factory=Expectation)
    what: str = ""
    backend: str | None = None
    mpi: Mpi | None = None
    launch_host: str | None = None
    ranks: int = 0
    shares_gpus: bool = False
    network: str | None = None
    folder: Path | None = None
    facts: Mapping[str, NodeFacts] = field(default_factory=dict)
    runs: tuple[Judged, ...] = ()
    spreads: tuple[Spread, ...] = ()
    launched: bool = True
    counters: Mapping[str, Counters] = field(default_factory=dict)
    cut_short: CutShort | None = None


def judge_run(plan: BenchPlan, log: LineLog, end: RunEnd, expectation: Expectation) -> Judged:
    """Read a run's log and judge it.

    Parameters: what was run, and from where, which is looked at for a problem that names no host; its
    output; how it ended; what it is held against.
    """
    facts, start = plan.ready.facts, plan.ready.start
    places = tuple(RankPlace(slot.host, facts[slot.host].hostname, slot.slots) for slot in plan.slots)
    parsed = plan.program.parse(log.content)
    if shares_gpus(parsed.tests):
        # Several ranks on one GPU measure nothing that could be judged.
        expectation = Expectation()
    judgement = judge(parsed, expectation, end, plan.bench, plan.ranks, complete=plan.program.complete)
    judgement = witnessed(judgement, end, names_in_output(plan.slots, places))
    # Wrong data, as slowness, is of all; where it was launched from says nothing of it.
    if judgement.overall.verdict not in ("ok", "slow", "wrong-data"):
        judgement = replace(judgement, overall=_with_host(judgement.overall, start))
    launched = Launched(start, places, log.run_ids, plan.bench.collectives)
    judgement = doubted(judgement, parsed, log.content, launched)
    return Judged(report_of(parsed, judgement), end, log.path.name)


def begun(visit: Visit, plan: BenchPlan | None) -> Benchmarked:
    """Begin the result with what is settled."""
    hosts = visit.ledger.rows
    if plan is None:
        return Benchmarked(hosts, exit_code(hosts))
    return Benchmarked(
        hosts,
        exit_code(hosts),
        what=plan.what,
        backend=plan.program.name,
        mpi=plan.ready.mpi,
        launch_host=plan.ready.start,
        ranks=plan.ranks,
        network=plan.ready.addresses.explanation,
        facts=plan.ready.facts,
    )


def conclude(visit: Visit, plan: BenchPlan, runs: Sequence[Judged], expectation: Expectation) -> Benchmarked:
    """Give one verdict for all runs, and the command's exit code."""
    reports = [run.report for run in runs]
    report = repeated(reports, expectation) if len(runs) > 1 else reports[0]
    ends = [run.ended for run in runs]
    return replace(
        begun(visit, plan),
        exit_code=measured_code(visit.ledger.rows, ends, is_good=report.verdict == "ok"),
        report=report,
        expectation=Expectation() if shares_gpus(report.tests) else expectation,
        shares_gpus=shares_gpus(report.tests),
        runs=tuple(runs) if len(runs) > 1 else (),
        spreads=spreads(reports) if len(runs) > 1 else (),
        cut_short=next((end.cut_short for end in ends if end.cut_short), None),
    )


def with_counters(done: Benchmarked, counters: Mapping[str, Counters]) -> Benchmarked:
    """Add what the hosts' counters grew by, and what it says of those that the judgement names."""
    if done.report is None:
        return replace(done, counters=counters)
    overall = done.report.judgement.overall
    told = told_by_counters([each.host for each in overall.problems if each.host], counters)
    report = done.report.with_overall(replace(overall, notes=(*overall.notes, *told)))
    return replace(done, counters=counters, report=report)


def shares_gpus(tests: Sequence[BenchTest]) -> bool:
    """Tell whether several ranks used one GPU."""
    return any(test.shares_gpus for test in tests)


def refused(visit: Visit, plan: BenchPlan | None, error: ClusterbootError | None) -> Benchmarked:
    """Conclude that nothing could be launched, from the hosts that stand in the way and ``error``.

    Returns: a result without a report where no host is left to say so of.
    """
    out = visit.ledger.refusals
    told = [HostResult.from_error(error.host or "", error)] if error else []
    rows = [*out, *(row for row in told if row.name not in {each.name for each in out})]
    late: CutShort | None = "deadline" if visit.fleet.watchdog.out_of_time else None
    so_far = replace(begun(visit, plan), launched=False, cut_short=late)
    if not rows:
        return so_far
    problems = tuple(
        Problem(
            visit.ledger.kind(row.name) or _kind(row.stage),
            row.cause or "",
            row.remedy or _NO_REMEDY,
            row.name or None,
        )
        for row in rows
    )
    count = len(out)
    reason = f"{count} node{'s' if count > 1 else ''} cannot take part, and nothing was launched"
    if not out:
        reason = f"{problems[0].host}: {problems[0].text}" if problems[0].host else problems[0].text
    verdict: Verdict = "could-not-launch"
    if late:
        verdict, reason = "inconclusive", f"--deadline ended it before anything was launched: {reason}"
    return replace(
        so_far,
        exit_code=exit_code(visit.ledger.rows, ExitCode.VALIDATION),
        report=LogReport((), LogJudgement(Judgement(verdict, reason, problems))),
    )


def _kind(stage: Stage | None) -> ProblemKind:
    return "ssh" if stage in _LOGIN_STAGES else "mpi-launch"


def names_in_output(slots: Sequence[Slot], places: Sequence[RankPlace]) -> dict[str, str]:
    """Give each host by the names that launchers and benchmarks have for it.

    What a host calls itself counts where no other has that name or calls itself so.
    """
    names = {name: slot.host for slot in slots for name in (slot.host, slot.ip, slot.launch_name)}
    called = [(name, place.host) for place in places for name in {place.hostname, short(place.hostname)}]
    counts = Counter(name for name, _ in called)
    return {**{name: host for name, host in called if counts[name] == 1}, **names}


def _with_host(judgement: Judgement, start: str) -> Judgement:
    """Give a judgement a host to look at: the one that the run was launched from, where none is named."""
    problems = judgement.problems or (Problem("truncated", judgement.reason, _LOOK, start),)
    if not any(problem.host for problem in problems):
        problems = (replace(problems[0], host=start), *problems[1:])
    return replace(judgement, problems=problems)
