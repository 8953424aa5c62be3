"""Every pair of nodes measured in one launch, and the bad node, link or group named."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeAlias

import numpy as np

from clusterboot import hostfiles
from clusterboot.bench.pairs_options import Cost, PairsOptions, Rounds, cost
from clusterboot.diagnose.matrix.records import Inference, PairMatrix
from clusterboot.diagnose.matrix.schedule import next_round
from clusterboot.diagnose.verdict import RunEnd
from clusterboot.errors import ExitCode, HostResult, PartialError, UsageError, worst
from clusterboot.facts.records import Mpi, NodeFacts
from clusterboot.flows.context import Context
from clusterboot.flows.launching import Ready, make_ready
from clusterboot.flows.link_plan import LinkPlan, MapMode, first_plan, remaining
from clusterboot.flows.link_runs import LinkRun
from clusterboot.flows.link_state import LinkState, resume
from clusterboot.flows.outputs import slots_of
from clusterboot.flows.program import provide
from clusterboot.flows.proof import prove
from clusterboot.flows.results import result_folder
from clusterboot.flows.visit import Visit, exit_code
from clusterboot.hostfiles import Slot
from clusterboot.units import format_size

# Settling is a round a launch; what is open after so many stays open.
_MOST_SETTLING = 6
_MOST_RELAUNCHES = 2
_MOST_AGAIN = 8
_LISTED = 4
_LEAST_NODES = 2

Plan: TypeAlias = tuple[tuple[tuple[int, int], ...], ...]


@dataclass(frozen=True)
class LinkMapOptions:
    """What to measure.

    ``budget_s`` bounds the measuring in seconds; ``resume`` is an earlier result, whose pairs
    are not measured again; ``launch_from`` the node to launch from where one is asked for.
    """

    mode: MapMode = "adaptive"
    pairs: PairsOptions = field(default_factory=PairsOptions)
    budget_s: float | None = None
    resume: Path | None = None
    launch_from: str | None = None


@dataclass(frozen=True)
class LinkMapped:
    """What a link map came to.

    ``cost`` is what the first launch was expected to take, ``launched`` how many there were;
    ``files`` are the hostfiles that changed.
    """

    hosts: tuple[HostResult, ...]
    exit_code: ExitCode
    state: LinkState
    inference: Inference
    what: str = ""
    cost: Cost | None = None
    mpi: Mpi | None = None
    launch_host: str | None = None
    launched: int = 0
    folder: Path | None = None
    files: tuple[str, ...] = ()
    facts: Mapping[str, NodeFacts] = field(default_factory=dict)


def link_map(context: Context, options: LinkMapOptions) -> LinkMapped:
    """Measure the pairs of all bootstrapped nodes, and name what is at fault.

    Returns: the matrix and its findings; a node that could not take part is one of them.
    Errors: :class:`UsageError` for one node, a budget that is too small or a result that cannot be
    resumed; :class:`ValidationError` where nothing can be launched at all.
    """
    names = [host.name for host in context.cluster.hosts]
    if len(names) < _LEAST_NODES:
        raise UsageError(f"{names[0]} alone has no link to measure", remedy="give at least two nodes")
    state = resume(options.resume, names) if options.resume else LinkState.empty(names)
    with context.visit() as visit:
        ready = make_ready(visit, options.launch_from, seek=True)
        if ready is None or len(visit.good) < _LEAST_NODES:
            return _concluded(visit, state)
        slots = _slots(visit, ready)
        plan = first_plan(len(slots), options.mode, options.pairs, options.budget_s, _part(state, slots))
        price = cost(plan.rounds, plan.options, _rate_gbps(ready, slots))
        network = f" over {ready.addresses.network}" if ready.addresses.network else ""
        what = f"collbench pairs, MPI, host memory: {len(slots)} nodes, {ready.mpi_name}{network}"
        context.events.bench(what)
        context.events.note(in_words(price))
        if context.dry_run:
            return replace(_concluded(visit, state), exit_code=ExitCode.OK, what=what, cost=price)
        path = provide(visit, ready.start, ready.mpi, ready.facts, ready.ip)
        run = LinkRun(context, visit, ready, state, path, result_folder(context, "link-map"))
        before = state.launches
        end = _measure(run, plan, options)
        done = _concluded(visit, state, interrupted=end.how == "interrupted")
        return replace(
            done,
            what=what,
            cost=price,
            mpi=ready.mpi,
            launch_host=ready.start,
            launched=state.launches - before,
            folder=run.folder,
            files=_write_good(context, visit, ready, done.inference),
            facts=ready.facts,
        )


def in_words(price: Cost) -> str:
    """Say what a launch will cost, in one line."""
    return (
        f"this takes {price.rounds} rounds with {price.pairs} pairs, at most "
        f"{format_size(price.bytes_most)}, about {price.time_s:.0f} s"
    )


def _measure(run: LinkRun, plan: LinkPlan, options: LinkMapOptions) -> RunEnd:
    """Run the planned rounds, and in an adaptive map what they leave open."""
    limit_s = time.monotonic() + options.budget_s if options.budget_s else float("inf")
    known = ~np.isnan(run.state.bandwidth_gbps)
    run, end = _run_all(run, plan)
    if options.mode != "adaptive":
        return end
    for _ in range(_MOST_SETTLING):
        chosen = next_round(run.state.matrix, run.state.inference())
        if end.how == "interrupted" or not chosen:
            break
        following = _also(run, "to settle what is open", (chosen,), plan, limit_s)
        if following is None:
            break
        end = following
    # What an earlier map found stands; what this one saw once is looked at twice.
    doubtful = [pair for pair in run.state.doubtful(run.state.inference()) if not known[pair]]
    if doubtful and end.how != "interrupted":
        alone = tuple((pair,) for pair in doubtful[:_MOST_AGAIN])
        end = _also(run, "to see it twice", alone, replace(plan, again=True), limit_s) or end
    return end


def _also(run: LinkRun, why: str, rounds: Plan, plan: LinkPlan, limit_s: float) -> RunEnd | None:
    """Measure a few more pairs, given by this map's indices.

    Returns: ``None`` where none of them can be measured, or not in time.
    """
    slots = _slots(run.visit, run.ready)
    everyone = [Slot(name, "", 1) for name in run.state.nodes]
    chosen = _moved(rounds, everyone, slots)
    if not chosen or time.monotonic() + cost(chosen, plan.options).time_s > limit_s:
        return None
    pairs = [f"{slots[a].host}-{slots[b].host}" for each in chosen for a, b in each]
    more = f" and {len(pairs) - _LISTED} more" if len(pairs) > _LISTED else ""
    run.context.events.note(f"{why}: {', '.join(pairs[:_LISTED])}{more}")
    end, done = run.launch(LinkPlan(chosen, plan.options, again=plan.again), slots)
    return end if done else None


def _run_all(run: LinkRun, plan: LinkPlan) -> tuple[LinkRun, RunEnd]:
    """Run the planned rounds; where a launch breaks off, go on without the nodes that broke it.

    Returns: the run as it goes on, which may start from another node, and how the last launch ended.
    """
    end = RunEnd("exited", 0)
    slots = _slots(run.visit, run.ready)
    for launch in range(1 + _MOST_RELAUNCHES):
        if not plan.rounds:
            break
        end, rounds = run.launch(plan, slots)
        left = remaining(plan.rounds[: len(plan.rounds) - plan.solo_rounds], _part(run.state, slots))
        if not left or end.how == "interrupted" or rounds == len(plan.rounds) or launch == _MOST_RELAUNCHES:
            break
        start, _ = prove(run.visit, run.ready.facts, run.ready.addresses, "launch", run.ready.start)
        count = len(run.visit.good)
        if start is None or count < _LEAST_NODES or (count == len(slots) and not rounds):
            break
        told = (
            f"a launch broke off after {rounds} of {len(plan.rounds)} rounds, and went on with {count} nodes"
        )
        run.state.remarks.append(told)
        run.context.events.note(told)
        run = replace(run, ready=replace(run.ready, start=start))
        before, slots = slots, _slots(run.visit, run.ready)
        plan = LinkPlan(_moved(left, before, slots), plan.options)
    if end.how != "interrupted" and np.isnan(run.state.bandwidth_gbps).all():
        told = end.detail or f"mpirun ended with exit status {end.exit_code}"
        error = PartialError(f"the launch failed: {told}", stage="launch", remedy=f"see {run.folder}/run.log")
        run.visit.ledger.fail(run.ready.start, error)
    return run, end


def _moved(rounds: Rounds, before: Sequence[Slot], after: Sequence[Slot]) -> Plan:
    """Give rounds the indices that their nodes have now; pairs of nodes that are gone are left out."""
    now = {slot.host: index for index, slot in enumerate(after)}
    at = {index: now[slot.host] for index, slot in enumerate(before) if slot.host in now}
    moved = (tuple((at[a], at[b]) for a, b in each if a in at and b in at) for each in rounds)
    return tuple(each for each in moved if each)


def _slots(visit: Visit, ready: Ready) -> tuple[Slot, ...]:
    """List the nodes that can take part, one rank each, the launching node first: it has rank 0."""
    slots = [replace(slot, slots=1) for slot in slots_of(visit, ready.facts, ready.addresses)]
    return tuple(sorted(slots, key=lambda slot: slot.host != ready.start))


def _part(state: LinkState, slots: Sequence[Slot]) -> PairMatrix:
    at = [state.nodes.index(slot.host) for slot in slots]
    return PairMatrix(tuple(slot.host for slot in slots), state.bandwidth_gbps[np.ix_(at, at)])


def _rate_gbps(ready: Ready, slots: Sequence[Slot]) -> float | None:
    """Give the fastest rate that a node's interface claims, in 10^9 bytes a second."""
    used = {entry.host: entry.interface for entry in ready.addresses.addresses}
    speeds = [
        each.speed_mbps
        for slot in slots
        for each in ready.facts[slot.host].interfaces
        if each.name == used[slot.host] and each.speed_mbps
    ]
    return max(speeds) / 8000 if speeds else None


def _concluded(visit: Visit, state: LinkState, *, interrupted: bool = False) -> LinkMapped:
    for host in visit.ledger.rows:
        if host.status != "ok":
            state.set_aside[host.name] = f"{host.stage}: {host.cause}"
    inference = state.inference()
    codes = [exit_code(visit.ledger.rows)]
    if inference.verdict != "ok":
        codes.append(ExitCode.VALIDATION)
    if interrupted:
        codes.append(ExitCode.INTERRUPTED)
    return LinkMapped(visit.ledger.rows, worst(codes), state, inference)


def _write_good(context: Context, visit: Visit, ready: Ready, inference: Inference) -> tuple[str, ...]:
    """Write hostfiles without the nodes that are named bad for certain."""
    bad = {
        finding.hosts[0]
        for finding in inference.findings
        if finding.kind == "node" and not finding.next_pairs
    }
    slots = [slot for slot in slots_of(visit, ready.facts, ready.addresses) if slot.host not in bad]
    texts = {
        "openmpi-good": hostfiles.render_openmpi(slots),
        "mpich-good": hostfiles.render_mpich(slots),
        "intelmpi-good": hostfiles.render_intelmpi(slots),
    }
    return hostfiles.write(context.hostfile_dir, texts)
