"""The launches of a link map: the planned one, and those that its results make needed."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from clusterboot.errors import PartialError
from clusterboot.hostfiles.slots import Slot
from clusterboot.printable import listed
from clusterboot.programs.collbench.pairs_options import cost
from clusterboot.run.runend import RunEnd
from clusterboot.trust.prove import prove

from .endpoints import launched_on
from .inference.losses import find_losses
from .inference.picture import draw
from .inference.schedule import next_round, second_looks
from .map_plan import LEAST_PLACES, LinkMapOptions, in_words, ranks_of
from .measurement_plan import (
    Known,
    LinkPlan,
    MapMode,
    PlannedRound,
    apart_plan,
    in_parts,
    options_at_length,
    remaining,
)
from .progress import Crowd, LinkState
from .runs import LinkRun

# Settling is a round a launch; what is open after so many stays open.
_MOST_SETTLING = 6
_MOST_RELAUNCHES = 2
_MOST_AGAIN = 8
_MOST_CALMING = 2
# No more pairs are measured at length than this.
_MOST_AT_LENGTH = 4
_LISTED = 4


def measure_pairs(run: LinkRun, plan: LinkPlan, options: LinkMapOptions) -> RunEnd:
    """Run the planned rounds, then what they leave open."""
    limit_s = time.monotonic() + options.budget_s if options.budget_s else None
    run, end = _run_all(run, plan)
    if end.cut_short:
        return end
    crowd = run.state.see_crowd(run.state.inference())
    if crowd is not None:
        run, end = _run_apart(run, plan, options, crowd, limit_s)
    else:
        end = _calm(run, plan, limit_s) or end
    for _ in range(_MOST_SETTLING):
        chosen = _open(run.state, options.mode)
        following = _also(run, chosen, plan, limit_s) if chosen and not end.cut_short else None
        if following is None:
            break
        end = following
    if not end.cut_short:
        rounds, is_steady = _at_length(run.state)
        whole = options_at_length(plan.options)
        is_late = limit_s is not None and time.monotonic() + cost(rounds, whole).time_s > limit_s
        may_end_early = is_steady or is_late
        longer = replace(plan, options=options_at_length(plan.options, may_end_early=may_end_early))
        end = _also(run, rounds, longer, limit_s) or end
    return end


def _at_length(state: LinkState) -> tuple[tuple[PlannedRound, ...], bool]:
    """Choose a pair of each node that swings or loses packets, and each such link, to say what it sustains.

    Returns: the pairs, and whether none of them swings or loses packets.

    A visit is shorter than what comes and goes may stay away, and than TCP's waits for what is lost, so that
    its figure is chance. Of a node that is bad one way alone two pairs are chosen: a bucket that a visit does
    not empty makes a direction look well by itself.
    """
    matrix = state.matrix
    findings = state.inference().findings
    named = {host for finding in findings for host in finding.hosts}
    losses = find_losses(draw(matrix))
    lossy_links = {ends for ends, _ in losses.links}
    chosen: list[PlannedRound] = []
    is_steady = True
    for finding in findings:
        ends = tuple(state.nodes.index(host) for host in finding.hosts)
        loses = ends[0] in losses.nodes if finding.kind == "node" else {ends, ends[::-1]} & lossy_links
        is_one_way_node = finding.kind == "node" and finding.direction != "both"
        is_alive = bool(finding.fraction_of_expected) and not finding.next_pairs
        comes_and_goes = bool(loses) or finding.stability == "swinging"
        if not is_alive or not (comes_and_goes or is_one_way_node):
            continue
        is_steady = is_steady and not comes_and_goes
        others = ends[1:]
        if finding.kind == "node":
            known = np.flatnonzero(~np.isnan(matrix.bandwidth_gb_s[ends[0]])).tolist()
            others = tuple(node for node in known if state.nodes[node] not in named)[: 1 + is_one_way_node]
        if finding.kind == "node" or len(ends) == 2:
            pairs = (sorted((ends[0], other)) for other in others)
            chosen += (PlannedRound(((one, other),), taking="again") for one, other in pairs)
    return tuple(chosen[:_MOST_AT_LENGTH]), is_steady


def _calm(run: LinkRun, plan: LinkPlan, limit_s: float | None) -> RunEnd | None:
    """Measure all once more while equal pairs differ by much, so that each median rests on more samples."""
    end = None
    rounds = tuple(replace(each, taking="more") for each in plan.rounds if each.taking == "first")
    for _ in range(_MOST_CALMING):
        late = limit_s is not None and time.monotonic() + cost(rounds, plan.options).time_s > limit_s
        slots = ranks_of(run.visit, run.ready)
        if not rounds or late or not run.state.is_restless or len(slots) != len(run.state.nodes):
            break
        run.context.events.note("measurements are noisy; repeating all pairs")
        end, done = run.launch(LinkPlan(rounds, plan.options), slots)
        if end.cut_short or not done:
            break
    return end


def _run_apart(
    run: LinkRun, plan: LinkPlan, options: LinkMapOptions, crowd: Crowd, limit_s: float | None
) -> tuple[LinkRun, RunEnd]:
    """Measure with fewer pairs at once what a crowd has disturbed."""
    slots = ranks_of(run.visit, run.ready, run.by)
    left_s = None if limit_s is None else limit_s - time.monotonic()
    none = Known.nothing(len(slots))
    apart = apart_plan(options.mode, plan.options, left_s, none, crowd.pairs_at_once)
    if apart is None:
        run.state.remarks.append(
            f"pairs alone are {crowd.alone_gb_s / crowd.together_gb_s:.1f} times as fast as all at once: the "
            "fabric between them is shared, and the budget was too small to measure them apart"
        )
        return run, RunEnd("exited", 0)
    run.state.forget_crowded(crowd)
    run.context.events.note(f"{crowd}: {in_words(cost(apart.rounds, apart.options))}")
    return _run_all(run, apart)


def _open(state: LinkState, mode: MapMode) -> tuple[PlannedRound, ...]:
    """Choose what to measure next: again what cannot be or what somebody is blamed for, else what is open."""
    doubtful = state.to_believe()
    if doubtful:
        return tuple(PlannedRound((pair,), taking="again") for pair in doubtful[:_MOST_AGAIN])
    inference = state.inference()
    looks = second_looks(state.matrix, inference, state.looked)
    if looks:
        return tuple(PlannedRound((pair,), taking="again") for pair in looks[:_MOST_AGAIN])
    chosen = next_round(state.matrix, inference) if mode == "adaptive" else ()
    if not chosen:
        return ()
    at_once = state.crowd.pairs_at_once if state.crowd else len(chosen)
    return in_parts((PlannedRound(chosen),), at_once)


def _also(
    run: LinkRun, rounds: tuple[PlannedRound, ...], plan: LinkPlan, limit_s: float | None
) -> RunEnd | None:
    """Measure a few more pairs, given by this map's indices.

    Returns: ``None`` where none of them can be measured, or not in time.
    """
    slots = ranks_of(run.visit, run.ready, run.by)
    everyone = [Slot(name, "", 1) for name in run.state.nodes]
    chosen = _moved(rounds, everyone, slots)
    late = limit_s is not None and time.monotonic() + cost(chosen, plan.options).time_s > limit_s
    if not chosen or late:
        return None
    why = "repeating" if chosen[0].taking == "again" else "narrowing down"
    pairs = [f"{slots[a].host} with {slots[b].host}" for each in chosen for a, b in each.pairs]
    run.context.events.note(f"{why}: {listed(pairs, _LISTED)}")
    end, done = run.launch(LinkPlan(chosen, plan.options), slots)
    return end if done else None


def _run_all(run: LinkRun, plan: LinkPlan) -> tuple[LinkRun, RunEnd]:
    """Run the planned rounds; where a launch breaks off, go on without the nodes that broke it.

    Returns: the run as it goes on, which may start from another node, and how the last launch ended.
    """
    end = RunEnd("exited", 0)
    slots = ranks_of(run.visit, run.ready, run.by)
    for launch in range(1 + _MOST_RELAUNCHES):
        if not plan.rounds:
            break
        end, rounds = run.launch(plan, slots)
        measured = [each for each in plan.rounds if each.taking != "solo"]
        left = remaining(measured, run.state.known(_at(run.state, slots)))
        if not left or end.cut_short or rounds == len(plan.rounds) or launch == _MOST_RELAUNCHES:
            break
        if not rounds:
            run.put_out_unfit(slots)
        proof = prove(run.visit, run.ready.machines, run.ready.addresses, "launch", run.ready.start)
        start = proof.launch_host
        good = {host.name for host in run.visit.good}
        if start is None or len(ranks_of(run.visit, run.ready, run.by)) < LEAST_PLACES:
            break
        if not rounds and all(slot.host in good for slot in launched_on(slots)):
            break
        told = (
            f"a launch broke off after {rounds} of {len(plan.rounds)} rounds,"
            f" and went on with {len(good)} nodes"
        )
        run.state.remarks.append(told)
        run.context.events.note(told)
        run = replace(run, ready=replace(run.ready, start=start))
        before, slots = slots, ranks_of(run.visit, run.ready, run.by)
        plan = LinkPlan(_moved(left, before, slots), plan.options)
    if not end.cut_short and np.isnan(run.state.both_gb_s).all():
        told = end.detail or f"mpirun ended with exit status {end.exit_code}"
        error = PartialError(f"the launch failed: {told}", stage="launch", remedy=f"see {run.folder}/run.log")
        run.visit.ledger.fail(run.ready.start, error)
    return run, end


def _moved(
    rounds: Sequence[PlannedRound], before: Sequence[Slot], after: Sequence[Slot]
) -> tuple[PlannedRound, ...]:
    """Give rounds the indices that their nodes have now; pairs of nodes that are gone are left out."""
    now = {slot.host: index for index, slot in enumerate(after)}
    at = {index: now[slot.host] for index, slot in enumerate(before) if slot.host in now}
    moved = (
        replace(each, pairs=tuple((at[a], at[b]) for a, b in each.pairs if a in at and b in at))
        for each in rounds
    )
    return tuple(each for each in moved if each.pairs)


def _at(state: LinkState, slots: Sequence[Slot]) -> list[int]:
    return [state.nodes.index(slot.host) for slot in slots]
