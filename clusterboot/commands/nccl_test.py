"""A collective benchmark over the whole cluster: launched, streamed, parsed, judged, saved."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

from clusterboot.checks.check import require
from clusterboot.checks.planned import Planned
from clusterboot.checks.registry import EQUIPPED, PLANNED
from clusterboot.errors import ExitCode, ValidationError
from clusterboot.hostfiles import Slot
from clusterboot.mpi.launchers import rank_env
from clusterboot.programs.bench_options import BenchOptions
from clusterboot.programs.program import Program
from clusterboot.programs.registered import PROGRAMS
from clusterboot.run.bench_plan import BenchPlan, run_all, settle
from clusterboot.run.choice import asked
from clusterboot.run.counters import Counting
from clusterboot.run.distribution import provide
from clusterboot.run.launching import make_ready
from clusterboot.run.runend import RunEnd
from clusterboot.run.runlog import LineLog
from clusterboot.session.context import Context
from clusterboot.session.events import Events
from clusterboot.session.results import result_folder
from clusterboot.session.visit import Visit, exit_code
from clusterboot.trust.launching_host import launch_place, with_launcher
from clusterboot.verdict.benchmarked import (
    Benchmarked,
    Judged,
    conclude,
    judge_log,
    refusals,
    refused,
    with_counters,
)
from clusterboot.verdict.derived import Memory, expected, line_limits
from clusterboot.verdict.expectation import Expectation
from clusterboot.verdict.locating import locate_wrong_data
from clusterboot.verdict.placing import Launched, RankPlace

TIMEOUT_S = 900
STALL_S = 300.0


@dataclass(frozen=True)
class NcclTestOptions:
    """What to run, and what to hold it against.

    ``timeout_s`` bounds each run in whole seconds, ``stall_s`` its silence; ``repeat`` is how often
    all of it is run. ``ranks_per_node`` stands for the hostfile's slots where it is given;
    ``launch_from`` for the first good node; ``end_bytes_on_gpus`` for the sweep's largest size
    where GPU memory is measured. ``share_gpu`` lets several ranks use one GPU: a test of the way
    itself, whose bandwidth is not judged.
    """

    bench: BenchOptions
    backend: str = "auto"
    expectation: Expectation = field(default_factory=Expectation)
    launch_from: str | None = None
    ranks_per_node: int | None = None
    end_bytes_on_gpus: int | None = None
    share_gpu: bool = False
    timeout_s: int = TIMEOUT_S
    stall_s: float = STALL_S
    repeat: int = 1


def nccl_test(context: Context, options: NcclTestOptions) -> Benchmarked:
    """Run the benchmark on every bootstrapped node that can be reached.

    Returns: the verdict, and what became of each host; the output and the result are saved
    whatever happens. Where a node that answers cannot take part nothing is launched: what the
    others would give is no proof of the cluster.
    Errors: before anything is contacted :class:`UsageError` for what no benchmark that was asked for can do.
    """
    bench, sharing = options.bench, options.share_gpu
    place = launch_place(context.cluster, options.launch_from)
    programs = asked(options.backend, PROGRAMS, bench, share_gpu=sharing)
    with context.visit() as opened:
        visit = with_launcher(opened, place)
        plan = None
        try:
            ready = make_ready(visit, place)
            if ready is None:
                return refused(context, visit, ())
            per_node, names = options.ranks_per_node, bench.collectives
            plan = settle(visit, ready, programs, names, ranks_per_node=per_node, share_gpu=sharing)
            if plan.instead:
                context.events.note(plan.instead)
            if plan.program.on_gpu and options.end_bytes_on_gpus:
                bench = replace(bench, end_bytes=options.end_bytes_on_gpus)
            if context.dry_run:
                context.events.note(f"would launch {plan.what}, from {ready.start}")
                return Benchmarked(visit.ledger.rows, exit_code(visit.ledger.rows), what=plan.what)
            counting = Counting.begin(visit, ready)
            plan = _equipped(visit, plan, bench)
        except ValidationError as error:
            return refused(context, visit, (error,), _begun(visit, plan) if plan else None)
        if refusals(visit):
            return refused(context, visit, (), _begun(visit, plan))
        done = _measure(context, visit, plan, replace(options, bench=bench))
        interrupted = done.exit_code == ExitCode.INTERRUPTED
        return done if interrupted else with_counters(done, counting.end(visit))


def _begun(visit: Visit, plan: BenchPlan) -> Benchmarked:
    """Begin the result with what is settled."""
    return Benchmarked(
        visit.ledger.rows,
        exit_code(visit.ledger.rows),
        what=plan.what,
        backend=plan.program.name,
        mpi=plan.ready.mpi,
        launch_host=plan.ready.start,
        ranks=plan.ranks,
        network=plan.ready.addresses.explanation,
        facts=plan.ready.facts,
    )


def _equipped(visit: Visit, plan: BenchPlan, bench: BenchOptions) -> BenchPlan:
    """Look at all that could be in the way of a launch; a node that is not fit for it is out.

    A benchmark over fewer nodes than were asked for is for the operator to choose, not for us.
    Returns: the plan with the project's own program on every node, where that is to run.
    """
    ready = plan.ready
    planned = Planned(ready, plan.slots, gpus=plan.program.on_gpu and not plan.share_gpu)
    require(visit, planned, PLANNED)
    if refusals(visit):
        return plan
    if plan.program.is_own:
        path = provide(visit, ready.node(visit), ready.mpi, ready.facts, ready.ip)
        plan = replace(plan, path=path)
    specs = plan.specs(visit, bench)
    programs = tuple(spec.program[0] for spec in specs)
    require(visit, replace(planned, programs=programs, env=rank_env(specs[0])), EQUIPPED)
    return plan


def _measure(context: Context, visit: Visit, plan: BenchPlan, options: NcclTestOptions) -> Benchmarked:
    """Run all launches as often as is asked for, and judge what they gave."""
    folder = result_folder(context, "nccl-test")
    expectation, bench = _expectation(plan, options), options.bench
    facts = plan.ready.facts
    places = tuple(RankPlace(slot.host, facts[slot.host].hostname, slot.slots) for slot in plan.slots)
    context.events.bench(plan.what)
    launch = partial(run_all, visit, timeout_s=options.timeout_s, stall_s=options.stall_s)
    runs: list[Judged] = []
    for number in range(1, options.repeat + 1):
        if options.repeat > 1:
            context.events.note(f"run {number} of {options.repeat}")
        log = LineLog(
            folder / (f"run-{number}.log" if number > 1 else "run.log"),
            _live(context.events, plan.program, bench),
            context.scrubber,
        )
        end = launch(plan, bench, log)
        launched = Launched(plan.ready.start, places, log.run_ids, bench.collectives)
        runs.append(
            judge_log(log, plan.program, expectation, end, bench, slots=plan.slots, launched=launched)
        )
        if end.how != "exited" or end.exit_code:
            break
    if runs[-1].report.verdict == "wrong-data":

        def trial(slots: Sequence[Slot], bench: BenchOptions, log: LineLog) -> RunEnd:
            return launch(replace(plan, slots=tuple(slots)), bench, log)

        log = LineLog(folder / "locate.log", lambda _: None, context.scrubber)
        runs[-1] = locate_wrong_data(visit, runs[-1], plan.slots, plan.program, bench, log=log, trial=trial)
    return conclude(visit, runs, replace(_begun(visit, plan), expectation=expectation, folder=folder))


def _live(events: Events, program: Program, bench: BenchOptions) -> Callable[[str], None]:
    """Give a taker of output lines that passes on each row with the collective it belongs to."""
    reader = program.live(bench)

    def take(line: str) -> None:
        if (row := reader(line)) is not None:
            events.row(*row)

    return take


def _expectation(plan: BenchPlan, options: NcclTestOptions) -> Expectation:
    """Give what was said to be expected, else what the hardware should reach, and what no line exceeds."""
    facts, collectives, said = plan.on.facts, options.bench.collectives, options.expectation
    if said == Expectation():
        memory: Memory = "gpu" if plan.program.on_gpu else "host"
        interfaces = {entry.host: entry.interface for entry in plan.ready.addresses.addresses}
        said = expected(facts, collectives, plan.ranks, memory=memory, interfaces=interfaces)
    return replace(said, line_gb_s=line_limits(facts, collectives, plan.ranks))
