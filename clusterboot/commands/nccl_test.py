"""A collective benchmark over the whole cluster: launched, streamed, parsed, judged, saved."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from clusterboot.checks.check import require
from clusterboot.checks.planned import Planned
from clusterboot.checks.ready import Ready
from clusterboot.checks.registry import EQUIPPED, PLANNED
from clusterboot.errors import ExitCode, ValidationError
from clusterboot.hostfiles import Slot
from clusterboot.hostfiles.outputs import slots_of
from clusterboot.mpi.launcher import RunSpec
from clusterboot.mpi.launchers import rank_env
from clusterboot.programs.bench_options import BenchOptions
from clusterboot.programs.program import Allocation, Program
from clusterboot.programs.registered import PROGRAMS
from clusterboot.run.choice import choose
from clusterboot.run.counting import Counting
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


@dataclass(frozen=True)
class _Plan:
    """All that is settled before the first launch. ``instead`` says why GPU memory is not measured."""

    program: Program
    ready: Ready
    slots: tuple[Slot, ...]
    share_gpu: bool
    instead: str = ""

    def result(self, visit: Visit) -> Benchmarked:
        """Begin the result with what is settled."""
        return Benchmarked(
            visit.ledger.rows,
            exit_code(visit.ledger.rows),
            what=self.what,
            backend=self.program.name,
            mpi=self.ready.mpi,
            launch_host=self.ready.start,
            ranks=self.ranks,
            network=self.ready.addresses.explanation,
            facts=self.ready.facts,
        )

    @property
    def on(self) -> Allocation:
        """What the benchmark runs on."""
        return _allocation(self.ready, self.slots, self.share_gpu)

    @property
    def what(self) -> str:
        """What runs where, for people."""
        ran = self.program.described(self.on)
        return f"{ran}: {self.ranks} ranks on {len(self.slots)} nodes, {self.ready.carrier}"

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
        if plan.instead:
            context.events.note(plan.instead)
        if plan.program.on_gpu and options.end_bytes_on_gpus:
            bench = replace(options.bench, end_bytes=options.end_bytes_on_gpus)
            options = replace(options, bench=bench)
        if context.dry_run:
            context.events.note(f"would launch {plan.what}, from {plan.ready.start}")
            return Benchmarked(visit.ledger.rows, exit_code(visit.ledger.rows), what=plan.what)
        counting = Counting.begin(visit, plan.ready)
        try:
            path = _fit_program(visit, plan, options)
        except ValidationError as error:
            return refused(context, visit, (error,), plan.result(visit))
        if refusals(visit):
            return refused(context, visit, (), plan.result(visit))
        done = _measure(context, visit, plan, options, path)
        interrupted = done.exit_code == ExitCode.INTERRUPTED
        return done if interrupted else with_counters(done, counting.end(visit))


def _fit_program(visit: Visit, plan: _Plan, options: NcclTestOptions) -> str | None:
    """Look at all that could be in the way of a launch; a node that is not fit for it is out.

    A benchmark over fewer nodes than were asked for is for the operator to choose, not for us.
    Returns: the path of the project's own program, once it is on every node, where that is to run.
    """
    ready = plan.ready
    planned = Planned(ready, tuple(plan.slots), gpus=plan.program.on_gpu and not options.share_gpu)
    require(visit, planned, PLANNED)
    if refusals(visit):
        return None
    path = None
    if plan.program.is_own:
        path = provide(visit, ready.node(visit), ready.mpi, ready.facts, ready.ip)
    specs = [_spec(visit, plan, command) for command in plan.program.commands(plan.on, options.bench, path)]
    programs = tuple(spec.program[0] for spec in specs)
    require(visit, replace(planned, programs=programs, env=rank_env(specs[0])), EQUIPPED)
    return path


def _spec(visit: Visit, plan: _Plan, command: tuple[str, ...]) -> RunSpec:
    program = plan.program
    return run_spec(visit, plan.ready, plan.slots, command, gpu=program.on_gpu, prints_mark=program.is_own)


def _measure(
    context: Context, visit: Visit, plan: _Plan, options: NcclTestOptions, path: str | None
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
            _live(context.events, plan.program, options.bench),
            context.scrubber,
        )
        end = _run_all(visit, plan, plan.program.commands(plan.on, options.bench, path), log, options)
        launched = Launched(plan.ready.start, plan.places, log.run_ids, options.bench.collectives)
        runs.append(
            judge_log(log, plan.program, expectation, end, options.bench, slots=plan.slots, launched=launched)
        )
        if end.how != "exited" or end.exit_code:
            break
    if runs[-1].report.verdict == "wrong-data":

        def trial(slots: Sequence[Slot], bench: BenchOptions, log: LineLog) -> RunEnd:
            part = replace(plan, slots=tuple(slots))
            return _run_all(visit, part, plan.program.commands(part.on, bench, path), log, options)

        log = LineLog(folder / "locate.log", lambda _: None, context.scrubber)
        runs[-1] = locate_wrong_data(
            visit, runs[-1], plan.slots, plan.program, options.bench, log=log, trial=trial
        )
    return conclude(
        visit,
        runs,
        replace(plan.result(visit), expectation=expectation, folder=folder),
    )


def _run_all(
    visit: Visit, plan: _Plan, commands: Sequence[tuple[str, ...]], log: LineLog, options: NcclTestOptions
) -> RunEnd:
    """Run each launch in turn; the end of the first that did not end well stands for all."""
    hostfile = hostfile_text(plan.ready, plan.slots)
    worst_end = RunEnd("exited", 0)
    started_s = time.monotonic()
    for command in commands:
        spec = _spec(visit, plan, command)
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
    on = _allocation(ready, _slots(visit, ready, options), options.share_gpu)
    program, instead = choose(options.backend, visit, on, PROGRAMS, options.bench.collectives)
    return _Plan(program, ready, _slots(visit, ready, options), options.share_gpu, instead)


def _allocation(ready: Ready, slots: Sequence[Slot], share_gpu: bool) -> Allocation:
    facts = {slot.host: ready.facts[slot.host] for slot in slots}
    return Allocation(facts, {slot.host: slot.slots for slot in slots}, share_gpu)


def _slots(visit: Visit, ready: Ready, options: NcclTestOptions) -> tuple[Slot, ...]:
    return tuple(
        replace(slot, slots=options.ranks_per_node or slot.slots)
        for slot in slots_of(visit, ready.facts, ready.addresses)
    )


def _live(events: Events, program: Program, bench: BenchOptions) -> Callable[[str], None]:
    """Give a taker of output lines that passes on each row with the collective it belongs to."""
    reader = program.live(bench)

    def take(line: str) -> None:
        if (row := reader(line)) is not None:
            events.row(*row)

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
        memory="gpu" if plan.program.on_gpu else "host",
        interfaces=interfaces,
    )
