"""A collective benchmark's launches: what is run where, and one launch after the other."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

from clusterboot.checks.ready import Ready
from clusterboot.hostfiles import Slot
from clusterboot.hostfiles.outputs import slots_of
from clusterboot.mpi.launcher import RunSpec
from clusterboot.programs.bench_options import BenchOptions
from clusterboot.programs.program import Allocation, Program
from clusterboot.session.visit import Visit

from .choice import choose
from .execution import Launch, execute
from .launching import run_spec
from .runend import RunEnd
from .runlog import LineLog


@dataclass(frozen=True)
class BenchPlan:
    """All that is settled before the first launch. ``instead`` says why GPU memory is not measured.

    ``path`` is where the project's own program is on the nodes, if that is to run.
    """

    program: Program
    ready: Ready
    slots: tuple[Slot, ...]
    share_gpu: bool
    instead: str = ""
    path: str | None = None

    @property
    def on(self) -> Allocation:
        """What the benchmark runs on."""
        return _allocation(self.ready, self.slots, share_gpu=self.share_gpu)

    @property
    def ranks(self) -> int:
        """The ranks of all nodes together."""
        return sum(slot.slots for slot in self.slots)

    @property
    def what(self) -> str:
        """What runs where, for people."""
        ran = self.program.described(self.on)
        return f"{ran}: {self.ranks} ranks on {len(self.slots)} nodes, {self.ready.carrier}"

    def specs(self, visit: Visit, bench: BenchOptions) -> tuple[RunSpec, ...]:
        """Describe each launch."""
        program = self.program
        return tuple(
            run_spec(visit, self.ready, self.slots, command, gpu=program.on_gpu, prints_mark=program.is_own)
            for command in program.commands(self.on, bench, self.path)
        )


def settle(
    visit: Visit,
    ready: Ready,
    programs: Sequence[Program],
    collectives: Sequence[str],
    *,
    ranks_per_node: int | None,
    share_gpu: bool,
) -> BenchPlan:
    """Choose one of the benchmarks that were asked for; nodes that cannot run it as the others do are out.

    Errors: as :func:`clusterboot.run.choice.choose`.
    """

    def slots() -> tuple[Slot, ...]:
        found = slots_of(visit, ready.facts, ready.addresses)
        return tuple(replace(slot, slots=ranks_per_node or slot.slots) for slot in found)

    on = _allocation(ready, slots(), share_gpu=share_gpu)
    program, instead = choose(visit, on, programs, collectives)
    return BenchPlan(program, ready, slots(), share_gpu, instead)


def run_all(
    visit: Visit, plan: BenchPlan, bench: BenchOptions, log: LineLog, *, timeout_s: int, stall_s: float
) -> RunEnd:
    """Run each launch in turn, all within ``timeout_s``, each silent for ``stall_s`` at most.

    Returns: the end of the first that did not end well, which stands for all.
    """
    worst_end = RunEnd("exited", 0)
    started_s = time.monotonic()
    for spec in plan.specs(visit, bench):
        left_s = max(1, timeout_s - int(time.monotonic() - started_s))
        end = execute(visit, plan.ready.start, Launch(spec, plan.slots, left_s, stall_s), log)
        if worst_end == RunEnd("exited", 0):
            worst_end = end
        if end.how != "exited":
            break
    return worst_end


def _allocation(ready: Ready, slots: Sequence[Slot], *, share_gpu: bool) -> Allocation:
    facts = {slot.host: ready.facts[slot.host] for slot in slots}
    return Allocation(facts, {slot.host: slot.slots for slot in slots}, share_gpu)
