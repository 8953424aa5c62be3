"""A collective benchmark's launches: what is run where, and one launch after the other."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from clusterboot.checks.check import require
from clusterboot.checks.ready import Ready
from clusterboot.checks.registry import EQUIPPED, PLANNED
from clusterboot.checks.subjects import Planned
from clusterboot.hostfiles.outputs import slots_of
from clusterboot.hostfiles.slots import Slot
from clusterboot.mpi.launcher import RunSpec
from clusterboot.mpi.launchers import rank_env
from clusterboot.programs.bench_options import BenchOptions
from clusterboot.programs.program import Allocation, Program
from clusterboot.scrub import Scrubber
from clusterboot.session.visit import Visit

from .choice import choose
from .distribution import provide
from .execution import Launch, execute
from .launching import run_spec
from .runend import RunEnd
from .runlog import LineLog

TIMEOUT_S = 900
STALL_S = 300.0


@dataclass(frozen=True)
class NcclTestOptions:
    """What to run.

    ``timeout_s`` bounds each run in whole seconds, ``stall_s`` its silence; ``repeat`` is how often
    all of it is run. ``ranks_per_node`` stands for the hostfile's slots where it is given;
    ``launch_from`` for the first good node; ``end_bytes_on_gpus`` for the sweep's largest size
    where GPU memory is measured. ``share_gpu`` lets several ranks use one GPU: a test of the way
    itself, whose bandwidth is not judged.
    """

    bench: BenchOptions
    backend: str = "auto"
    launch_from: str | None = None
    ranks_per_node: int | None = None
    end_bytes_on_gpus: int | None = None
    share_gpu: bool = False
    timeout_s: int = TIMEOUT_S
    stall_s: float = STALL_S
    repeat: int = 1


@dataclass(frozen=True)
class BenchPlan:
    """All that is settled before the first launch.

    ``path`` is where the project's own program is on the nodes, if that is to run.
    """

    program: Program
    ready: Ready
    slots: tuple[Slot, ...]
    options: NcclTestOptions
    path: str | None = None

    @property
    def bench(self) -> BenchOptions:
        """What each run does, in the memory that is measured."""
        bench, end_bytes = self.options.bench, self.options.end_bytes_on_gpus
        return replace(bench, end_bytes=end_bytes) if end_bytes and self.program.on_gpu else bench

    @property
    def on(self) -> Allocation:
        """What the benchmark runs on."""
        return self.ready.allocation(self.slots, share_gpu=self.options.share_gpu)

    @property
    def ranks(self) -> int:
        """The ranks of all nodes together."""
        return sum(slot.slots for slot in self.slots)

    @property
    def what(self) -> str:
        """What runs where, for people."""
        ran = self.program.described(self.on)
        return f"{ran}: {self.ranks} ranks on {len(self.slots)} nodes, {self.ready.carrier}"

    def of(self, slots: Sequence[Slot], bench: BenchOptions) -> BenchPlan:
        """Give a plan of the same program on some of the nodes, that does what ``bench`` says."""
        options = replace(self.options, bench=bench, end_bytes_on_gpus=None)
        return replace(self, slots=tuple(slots), options=options)

    def specs(self, visit: Visit) -> tuple[RunSpec, ...]:
        """Describe each launch."""
        program = self.program
        return tuple(
            run_spec(visit, self.ready, self.slots, command, gpu=program.on_gpu, prints_mark=program.is_own)
            for command in program.commands(self.on, self.bench, self.path)
        )


def settle(visit: Visit, ready: Ready, programs: Sequence[Program], options: NcclTestOptions) -> BenchPlan:
    """Choose one of the benchmarks that were asked for; nodes that cannot run it as the others do are out.

    Errors: as :func:`clusterboot.run.choice.choose`.
    """

    def slots() -> tuple[Slot, ...]:
        found = slots_of(visit, ready.facts, ready.addresses)
        return tuple(replace(slot, slots=options.ranks_per_node or slot.slots) for slot in found)

    on = ready.allocation(slots(), share_gpu=options.share_gpu)
    program, instead = choose(visit, on, programs, options.bench.collectives)
    if instead:
        visit.events.note(instead)
    return BenchPlan(program, ready, slots(), options)


def equip(visit: Visit, plan: BenchPlan) -> BenchPlan:
    """Look at all that could be in the way of a launch; a node that is not fit for it is out.

    Returns: the plan with the project's own program on every node, where that is to run. Where a node is
    out that answers, what would follow is left: nothing is to be launched without it.
    """
    planned = Planned(plan.ready, plan.slots, gpus=plan.program.on_gpu and not plan.options.share_gpu)
    require(visit, planned, PLANNED)
    if visit.ledger.refusals:
        return plan
    if plan.program.is_own:
        plan = replace(plan, path=provide(visit, plan.ready))
    specs = plan.specs(visit)
    programs = tuple(spec.program[0] for spec in specs)
    require(visit, replace(planned, programs=programs, env=rank_env(specs[0])), EQUIPPED)
    return plan


def run_repeatedly(
    visit: Visit, plan: BenchPlan, folder: Path, scrubber: Scrubber
) -> list[tuple[LineLog, RunEnd]]:
    """Run a plan as often as its options say, until a run does not end well.

    Parameters: where the logs go; what takes secrets out of them.
    Returns: each run's log, and how it ended.
    """
    visit.events.bench(plan.what)
    done = []
    for number in range(1, plan.options.repeat + 1):
        if plan.options.repeat > 1:
            visit.events.note(f"run {number} of {plan.options.repeat}")
        name = f"run-{number}.log" if number > 1 else "run.log"
        log = LineLog(folder / name, _live(visit, plan), scrubber)
        end = run_once(visit, plan, log)
        done.append((log, end))
        if end.how != "exited" or end.exit_code:
            break
    return done


def run_once(visit: Visit, plan: BenchPlan, log: LineLog) -> RunEnd:
    """Run each launch of a plan in turn, all of them within the time that its options give.

    Returns: the end of the first that did not end well, which stands for all.
    """
    options = plan.options
    worst_end = RunEnd("exited", 0)
    started_s = time.monotonic()
    for spec in plan.specs(visit):
        left_s = max(1, options.timeout_s - int(time.monotonic() - started_s))
        end = execute(visit, plan.ready.start, Launch(spec, plan.slots, left_s, options.stall_s), log)
        if worst_end == RunEnd("exited", 0):
            worst_end = end
        if end.how != "exited":
            break
    return worst_end


def _live(visit: Visit, plan: BenchPlan) -> Callable[[str], None]:
    """Give a taker of output lines that passes on each row with the collective it belongs to."""
    reader = plan.program.live(plan.bench)

    def take(line: str) -> None:
        if (row := reader(line)) is not None:
            visit.events.row(*row)

    return take
