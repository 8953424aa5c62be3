"""A collective benchmark over the whole cluster: launched, streamed, parsed, judged, saved."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from clusterboot.bench import headers
from clusterboot.bench.collectives import COLLECTIVES, of_program
from clusterboot.bench.options import BenchOptions, argv, collbench_argv
from clusterboot.bench.parser import parse_log
from clusterboot.bench.records import LogReport, Problem
from clusterboot.bench.rows import RowReader
from clusterboot.diagnose.derived import expected
from clusterboot.diagnose.expectation import Expectation
from clusterboot.diagnose.verdict import Judgement, LogJudgement, RunEnd, judge, report_of
from clusterboot.errors import ExitCode, HostResult, worst
from clusterboot.facts.records import Mpi, NodeFacts
from clusterboot.flows.backends import Backend, BackendChoice, Chosen, choose
from clusterboot.flows.context import Context
from clusterboot.flows.events import Events
from clusterboot.flows.execution import Launch, LineLog, execute
from clusterboot.flows.fitness import require_memlock, require_ports, require_programs, require_slots
from clusterboot.flows.launching import Ready, hostfile_text, make_ready, run_spec
from clusterboot.flows.outputs import slots_of
from clusterboot.flows.program import provide
from clusterboot.flows.results import result_folder
from clusterboot.flows.visit import Visit, exit_code
from clusterboot.hostfiles import Slot
from clusterboot.launch.environment import rank_env
from clusterboot.launch.spec import RunSpec


@dataclass(frozen=True)
class NcclTestOptions:
    """What to run, and what to hold it against.

    ``timeout_s`` bounds each launch in whole seconds. ``ranks_per_node`` stands for the
    hostfile's slots where it is given; ``launch_from`` for the first good node;
    ``end_bytes_on_gpus`` for the sweep's largest size where GPU memory is measured.
    ``share_gpu`` lets several ranks use one GPU: a test of the way itself, whose bandwidth is not
    judged.
    """

    bench: BenchOptions
    backend: BackendChoice = "auto"
    expectation: Expectation = field(default_factory=Expectation)
    launch_from: str | None = None
    ranks_per_node: int | None = None
    end_bytes_on_gpus: int | None = None
    share_gpu: bool = False
    timeout_s: int = 900


@dataclass(frozen=True)
class Benchmarked:
    """What a benchmark came to. ``what`` says in words what ran, over what, or was to run.

    ``shares_gpus`` is true where several ranks used one GPU, so that no bandwidth is judged.
    """

    hosts: tuple[HostResult, ...]
    exit_code: ExitCode
    report: LogReport | None = None
    judgement: LogJudgement | None = None
    expectation: Expectation = field(default_factory=Expectation)
    what: str = ""
    backend: Backend | None = None
    mpi: Mpi | None = None
    launch_host: str | None = None
    ranks: int = 0
    shares_gpus: bool = False
    network: str | None = None
    folder: Path | None = None
    facts: Mapping[str, NodeFacts] = field(default_factory=dict)
    launched: bool = True


@dataclass(frozen=True)
class _Plan:
    """All that is settled before the first launch."""

    chosen: Chosen
    ready: Ready
    slots: tuple[Slot, ...]
    what: str


def nccl_test(context: Context, options: NcclTestOptions) -> Benchmarked:
    """Run the benchmark on every bootstrapped node.

    Returns: the verdict, and what became of each host; the output and the result are saved
    whatever happens after the first launch.
    Errors: :class:`ValidationError` where nothing can be launched at all.
    """
    with context.visit() as visit:
        plan = _prepare(visit, options)
        if plan is None:
            return Benchmarked(visit.ledger.rows, exit_code(visit.ledger.rows))
        if plan.chosen.instead:
            context.events.note(plan.chosen.instead)
        if plan.chosen.on_gpu and options.end_bytes_on_gpus:
            bench = replace(options.bench, end_bytes=options.end_bytes_on_gpus)
            options = replace(options, bench=bench)
        specs = _fit_specs(visit, plan, options)
        folder = result_folder(context, "nccl-test")
        if not specs:
            return _not_launched(visit, plan, folder)
        log = LineLog(folder / "run.log", _live(context.events, options.bench.collectives))
        context.events.bench(plan.what)
        return _conclude(visit, plan, options, _run_all(visit, plan, specs, log, options.timeout_s), log)


def _run_all(visit: Visit, plan: _Plan, specs: Sequence[RunSpec], log: LineLog, timeout_s: int) -> RunEnd:
    """Run each launch in turn; the end of the first that did not end well stands for all."""
    hostfile = hostfile_text(plan.ready, plan.slots)
    worst_end = RunEnd("exited", 0)
    started_s = time.monotonic()
    for spec in specs:
        left_s = max(1, timeout_s - int(time.monotonic() - started_s))
        end = execute(visit, plan.ready.start, Launch(spec, hostfile, left_s), log)
        if worst_end == RunEnd("exited", 0):
            worst_end = end
        if end.how != "exited":
            break
    return worst_end


def _prepare(visit: Visit, options: NcclTestOptions) -> _Plan | None:
    ready = make_ready(visit, options.launch_from)
    if ready is None:
        return None
    slots = _slots(visit, ready, options)
    chosen = choose(options.backend, visit, ready.facts, slots, options.bench, share_gpu=options.share_gpu)
    slots = _slots(visit, ready, options)
    return _Plan(chosen, ready, slots, _what(chosen, ready, slots))


def _slots(visit: Visit, ready: Ready, options: NcclTestOptions) -> tuple[Slot, ...]:
    return tuple(
        replace(slot, slots=options.ranks_per_node or slot.slots)
        for slot in slots_of(visit, ready.facts, ready.addresses)
    )


def _fit_specs(visit: Visit, plan: _Plan, options: NcclTestOptions) -> tuple[RunSpec, ...]:
    """Describe each launch, once nothing speaks against it: none where a node that was reached is out.

    A benchmark over fewer nodes than were asked for is for the operator to choose, not for us.
    """
    ready = plan.ready
    require_slots(visit, ready.facts, plan.slots, gpus=plan.chosen.on_gpu and not options.share_gpu)
    require_memlock(visit, ready.facts)
    require_ports(visit, ready)
    if _unfit(visit):
        return ()
    specs = _specs(visit, plan, options)
    require_programs(visit, ready, [spec.program[0] for spec in specs], rank_env(specs[0]))
    return () if _unfit(visit) else specs


def _unfit(visit: Visit) -> list[HostResult]:
    return [row for row in visit.ledger.rows if row.status == "failed"]


def _not_launched(visit: Visit, plan: _Plan, folder: Path) -> Benchmarked:
    """Tell what is in the way of a launch that was not tried."""
    rows = _unfit(visit)
    problems = tuple(
        Problem(visit.ledger.kinds.get(row.name, "mpi-launch"), row.cause or "", row.remedy or "", row.name)
        for row in rows
    )
    count = len(rows)
    reason = f"{count} node{'s' if count > 1 else ''} cannot take part, and nothing was launched"
    hosts = visit.ledger.rows
    return Benchmarked(
        hosts=hosts,
        exit_code=worst([exit_code(hosts), ExitCode.VALIDATION]),
        report=LogReport("could-not-launch", problems=problems),
        judgement=LogJudgement(Judgement("could-not-launch", reason, problems)),
        what=plan.what,
        backend=plan.chosen.backend,
        mpi=plan.ready.mpi,
        launch_host=plan.ready.start,
        ranks=sum(slot.slots for slot in plan.slots),
        network=plan.ready.addresses.explanation,
        folder=folder,
        facts=plan.ready.facts,
        launched=False,
    )


def _what(chosen: Chosen, ready: Ready, slots: tuple[Slot, ...]) -> str:
    ranks = sum(slot.slots for slot in slots)
    network = f" over {ready.addresses.network}" if ready.addresses.network else ""
    return f"{chosen.program}: {ranks} ranks on {len(slots)} nodes, {ready.mpi_name}{network}"


def _specs(visit: Visit, plan: _Plan, options: NcclTestOptions) -> tuple[RunSpec, ...]:
    """Describe each launch: one for all collectives of the project's own program, else one each."""
    if plan.chosen.backend != "nccl-tests":
        path = provide(visit, plan.ready.start, plan.ready.mpi, plan.ready.facts, plan.ready.ip)
        words = collbench_argv(options.bench, plan.chosen.libraries)
        return (_spec(visit, plan, (f"./{path}", *words)),)
    tests = plan.ready.facts[plan.ready.start].software.nccl_tests
    shared = argv(options.bench)
    return tuple(
        _spec(visit, plan, (tests[COLLECTIVES[name].program], *shared, "-g", "1"))
        for name in options.bench.collectives
    )


def _spec(visit: Visit, plan: _Plan, program: tuple[str, ...]) -> RunSpec:
    return run_spec(visit, plan.ready, plan.slots, program, gpu=plan.chosen.on_gpu)


def _live(events: Events, collectives: Sequence[str]) -> Callable[[str], None]:
    """Give a taker of output lines that passes on each row with the collective it belongs to."""
    reader = RowReader()
    waiting = list(collectives)
    current = [waiting[0]]

    def take(line: str) -> None:
        named = of_program(headers.starting(line) or "")
        if named:
            current[0] = named
        row = reader.feed_text(line)
        if row is not None:
            events.row(current[0], row)

    return take


def _derived(plan: _Plan, bench: BenchOptions, ranks: int) -> Expectation:
    """Reckon from the hardware what nobody has said."""
    interfaces = {entry.host: entry.interface for entry in plan.ready.addresses.addresses}
    return expected(
        {slot.host: plan.ready.facts[slot.host] for slot in plan.slots},
        bench.collectives,
        ranks,
        memory="gpu" if plan.chosen.on_gpu else "host",
        interfaces=interfaces,
    )


def _conclude(visit: Visit, plan: _Plan, options: NcclTestOptions, end: RunEnd, log: LineLog) -> Benchmarked:
    parsed = parse_log(log.content)
    ranks = sum(slot.slots for slot in plan.slots)
    expectation = options.expectation
    shares_gpus = any(test.shares_gpus for test in parsed.tests)
    if shares_gpus:
        expectation = Expectation()
    elif expectation == Expectation():
        expectation = _derived(plan, options.bench, ranks)
    judgement = judge(parsed, expectation, end, options.bench, ranks)
    report = report_of(parsed, judgement)
    hosts = visit.ledger.rows
    codes = [exit_code(hosts)]
    if report.verdict != "ok":
        codes.append(ExitCode.VALIDATION)
    if end.how == "interrupted":
        codes.append(ExitCode.INTERRUPTED)
    return Benchmarked(
        hosts=hosts,
        exit_code=worst(codes),
        report=report,
        judgement=judgement,
        expectation=expectation,
        what=plan.what,
        backend=plan.chosen.backend,
        shares_gpus=shares_gpus,
        mpi=plan.ready.mpi,
        launch_host=plan.ready.start,
        ranks=ranks,
        network=plan.ready.addresses.explanation,
        folder=log.path.parent,
        facts=plan.ready.facts,
    )
