"""A collective benchmark over the whole cluster: launched, streamed, parsed, judged, saved."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeAlias

from clusterboot.checks.fitness import require_memlock, require_ports, require_programs, require_slots
from clusterboot.checks.ready import Ready
from clusterboot.errors import ExitCode, ValidationError
from clusterboot.hostfiles import Slot
from clusterboot.hostfiles.outputs import slots_of
from clusterboot.mpi.launcher import RunSpec
from clusterboot.mpi.launchers import rank_env
from clusterboot.programs.bench_options import BenchOptions, argv, collbench_argv
from clusterboot.programs.collectives import COLLECTIVES, of_program
from clusterboot.programs.nccl_tests import headers
from clusterboot.programs.nccl_tests.rows import RowReader
from clusterboot.run.backends import BackendChoice, Chosen, choose
from clusterboot.run.clearing import clear_orphans
from clusterboot.run.counting import Counting, counter_sections
from clusterboot.run.distribution import provide
from clusterboot.run.execution import Launch, execute
from clusterboot.run.launching import hostfile_text, make_ready, run_spec
from clusterboot.run.runend import RunEnd
from clusterboot.run.runlog import LineLog
from clusterboot.session.context import Context
from clusterboot.session.events import Events
from clusterboot.session.results import result_folder
from clusterboot.session.visit import Visit, exit_code
from clusterboot.trust.launching_host import with_launcher
from clusterboot.verdict.benchmarked import (
    Benchmarked,
    Judged,
    conclude,
    judge_log,
    refusals,
    refused,
    with_counters,
)
from clusterboot.verdict.derived import expected, line_limits
from clusterboot.verdict.expectation import Expectation
from clusterboot.verdict.locating import locate_wrong_data
from clusterboot.verdict.placing import Launched, RankPlace

Program: TypeAlias = tuple[str, ...]

TIMEOUT_S = 900
# No row and no line that names a test is shorter: output without end must not cost its time in vain.
_SHORTEST_LINE = 20
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
    backend: BackendChoice = "auto"
    expectation: Expectation = field(default_factory=Expectation)
    launch_from: str | None = None
    ranks_per_node: int | None = None
    end_bytes_on_gpus: int | None = None
    share_gpu: bool = False
    timeout_s: int = TIMEOUT_S
    stall_s: float = STALL_S
    repeat: int = 1


@dataclass(frozen=True)
class _Plan:
    """All that is settled before the first launch."""

    chosen: Chosen
    ready: Ready
    slots: tuple[Slot, ...]
    what: str

    def result(self, visit: Visit) -> Benchmarked:
        """Begin the result with what is settled."""
        return Benchmarked(
            visit.ledger.rows,
            exit_code(visit.ledger.rows),
            what=self.what,
            backend=self.chosen.backend,
            mpi=self.ready.mpi,
            launch_host=self.ready.start,
            ranks=self.ranks,
            network=self.ready.addresses.explanation,
            facts=self.ready.facts,
        )

    @property
    def places(self) -> tuple[RankPlace, ...]:
        """Say how many ranks each node is to have, and what it calls itself."""
        return tuple(
            RankPlace(slot.host, self.ready.facts[slot.host].hostname, slot.slots) for slot in self.slots
        )

    @property
    def ranks(self) -> int:
        return sum(slot.slots for slot in self.slots)


def nccl_test(context: Context, options: NcclTestOptions) -> Benchmarked:
    """Run the benchmark on every bootstrapped node that can be reached.

    Returns: the verdict, and what became of each host; the output and the result are saved
    whatever happens. Where a node that answers cannot take part nothing is launched: what the
    others would give is no proof of the cluster.
    """
    with context.visit() as opened:
        visit = with_launcher(opened, options.launch_from)
        try:
            plan = _prepare(visit, options, dry_run=context.dry_run)
        except ValidationError as error:
            return refused(context, visit, (error,))
        if plan is None:
            return refused(context, visit, ())
        if plan.chosen.instead:
            context.events.note(plan.chosen.instead)
        if plan.chosen.on_gpu and options.end_bytes_on_gpus:
            bench = replace(options.bench, end_bytes=options.end_bytes_on_gpus)
            options = replace(options, bench=bench)
        if context.dry_run:
            context.events.note(f"would launch {plan.what}, from {plan.ready.start}")
            return Benchmarked(visit.ledger.rows, exit_code(visit.ledger.rows), what=plan.what)
        sections = counter_sections(plan.ready)
        counting = Counting.begun(sections, clear_orphans(visit, sections))
        try:
            program = _fit_program(visit, plan, options)
        except ValidationError as error:
            return refused(context, visit, (error,), plan.result(visit))
        if refusals(visit):
            return refused(context, visit, (), plan.result(visit))
        done = _measure(context, visit, plan, options, program)
        interrupted = done.exit_code == ExitCode.INTERRUPTED
        return done if interrupted else with_counters(done, counting.end(visit))


def _fit_program(visit: Visit, plan: _Plan, options: NcclTestOptions) -> str | None:
    """Look at all that could be in the way of a launch; a node that is not fit for it is out.

    A benchmark over fewer nodes than were asked for is for the operator to choose, not for us.
    Returns: the path of the project's own program, once it is on every node, where that is to run.
    """
    ready = plan.ready
    require_slots(visit, ready.facts, plan.slots, gpus=plan.chosen.on_gpu and not options.share_gpu)
    require_memlock(visit, ready.facts)
    require_ports(visit, ready)
    if refusals(visit):
        return None
    path = _provided(visit, plan)
    specs = [_spec(visit, plan, program) for program in _programs(plan, options.bench, path)]
    require_programs(visit, ready, [spec.program[0] for spec in specs], rank_env(specs[0]))
    return path


def _spec(visit: Visit, plan: _Plan, program: Program) -> RunSpec:
    own = plan.chosen.backend != "nccl-tests"
    return run_spec(visit, plan.ready, plan.slots, program, gpu=plan.chosen.on_gpu, prints_mark=own)


def _measure(
    context: Context, visit: Visit, plan: _Plan, options: NcclTestOptions, program: str | None
) -> Benchmarked:
    """Run all launches as often as is asked for, and judge what they gave."""
    folder = result_folder(context, "nccl-test")
    expectation = options.expectation
    if expectation == Expectation():
        expectation = _derived(plan, options.bench, plan.ranks)
    expectation = replace(expectation, line_gb_s=_line_limits(plan, options.bench, plan.ranks))
    context.events.bench(plan.what)
    runs: list[Judged] = []
    for number in range(1, options.repeat + 1):
        if options.repeat > 1:
            context.events.note(f"run {number} of {options.repeat}")
        log = LineLog(
            folder / (f"run-{number}.log" if number > 1 else "run.log"),
            _live(context.events, options.bench.collectives),
            context.scrubber,
        )
        end = _run_all(visit, plan, _programs(plan, options.bench, program), log, options)
        launched = Launched(plan.ready.start, plan.places, log.run_ids, options.bench.collectives)
        runs.append(judge_log(log, expectation, end, options.bench, slots=plan.slots, launched=launched))
        if end.how != "exited" or end.exit_code:
            break
    if runs[-1].report.verdict == "wrong-data":

        def trial(slots: Sequence[Slot], bench: BenchOptions, log: LineLog) -> RunEnd:
            part = replace(plan, slots=tuple(slots))
            return _run_all(visit, part, _programs(part, bench, program), log, options)

        log = LineLog(folder / "locate.log", lambda _: None, context.scrubber)
        runs[-1] = locate_wrong_data(visit, runs[-1], plan.slots, options.bench, log=log, trial=trial)
    return conclude(
        visit,
        runs,
        replace(plan.result(visit), expectation=expectation, folder=folder),
    )


def _run_all(
    visit: Visit, plan: _Plan, programs: Sequence[Program], log: LineLog, options: NcclTestOptions
) -> RunEnd:
    """Run each launch in turn; the end of the first that did not end well stands for all."""
    hostfile = hostfile_text(plan.ready, plan.slots)
    worst_end = RunEnd("exited", 0)
    started_s = time.monotonic()
    for program in programs:
        spec = _spec(visit, plan, program)
        left_s = max(1, options.timeout_s - int(time.monotonic() - started_s))
        launch = Launch(spec, hostfile, plan.slots, left_s, options.stall_s)
        end = execute(visit, plan.ready.start, launch, log)
        if worst_end == RunEnd("exited", 0):
            worst_end = end
        if end.how != "exited":
            break
    return worst_end


def _prepare(visit: Visit, options: NcclTestOptions, *, dry_run: bool) -> _Plan | None:
    ready = make_ready(visit, options.launch_from, dry_run=dry_run)
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


def _what(chosen: Chosen, ready: Ready, slots: tuple[Slot, ...]) -> str:
    ranks = sum(slot.slots for slot in slots)
    return f"{chosen.program}: {ranks} ranks on {len(slots)} nodes, {ready.carrier}"


def _provided(visit: Visit, plan: _Plan) -> str | None:
    """Give every node the project's own program, where that is to run. Returns: its path there."""
    if plan.chosen.backend == "nccl-tests":
        return None
    return provide(visit, plan.ready.node(visit), plan.ready.mpi, plan.ready.facts, plan.ready.ip)


def _programs(plan: _Plan, bench: BenchOptions, path: str | None) -> tuple[Program, ...]:
    """Write each launch's program: one for all collectives of the project's own, else one each."""
    if path is not None:
        return ((f"./{path}", *collbench_argv(bench, plan.chosen.libraries)),)
    shared = argv(bench)
    return tuple(
        (_usual_path(plan, COLLECTIVES[name].program), *shared, "-g", "1") for name in bench.collectives
    )


def _usual_path(plan: _Plan, program: str) -> str:
    """Give where most nodes have one of nccl-tests' programs."""
    found = Counter(plan.ready.facts[slot.host].software.nccl_tests[program] for slot in plan.slots)
    return found.most_common(1)[0][0]


def _live(events: Events, collectives: Sequence[str]) -> Callable[[str], None]:
    """Give a taker of output lines that passes on each row with the collective it belongs to."""
    reader = RowReader()
    waiting = list(collectives)
    current = [waiting[0]]

    def take(line: str) -> None:
        if len(line) < _SHORTEST_LINE:
            return
        named = of_program(headers.starting(line) or "")
        if named:
            current[0] = named
        row = reader.feed_text(line)
        if row is not None:
            events.row(current[0], row)

    return take


def _line_limits(plan: _Plan, bench: BenchOptions, ranks: int) -> dict[str, float]:
    facts = {slot.host: plan.ready.facts[slot.host] for slot in plan.slots}
    return line_limits(facts, bench.collectives, ranks)


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
