"""Every pair of nodes measured in one launch, and the bad node, link or group named."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from clusterboot import hostfiles
from clusterboot.checks.ready import Ready
from clusterboot.errors import ExitCode, HostResult, UsageError, ValidationError, worst
from clusterboot.facts.node import NodeFacts
from clusterboot.hostfiles import Slot
from clusterboot.hostfiles.outputs import slots_of
from clusterboot.linkmap.doubt import fastest_gb_s, line_gb_s
from clusterboot.linkmap.endpoints import host_of, launched_on
from clusterboot.linkmap.measure import (
    LEAST_NODES,
    LinkMapOptions,
    in_words,
    measure_pairs,
    plan_first,
    ranks_of,
)
from clusterboot.linkmap.pair_matrix import Inference
from clusterboot.linkmap.progress import LinkState
from clusterboot.linkmap.resume import begin, read_earlier
from clusterboot.linkmap.runs import LinkRun
from clusterboot.mpi.launcher import Mpi
from clusterboot.programs.collbench.collbench_program import CollbenchMpi
from clusterboot.programs.collbench.pairs_options import Cost, cost
from clusterboot.programs.program import Allocation
from clusterboot.programs.registered import PAIRS
from clusterboot.run.choice import asked, choose
from clusterboot.run.counters import Counting
from clusterboot.run.distribution import provide
from clusterboot.run.launching import make_ready
from clusterboot.session.context import Context
from clusterboot.session.results import result_folder
from clusterboot.session.visit import Visit, exit_code
from clusterboot.trust.launching_host import launch_place, with_launcher


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
    backend: str | None = None


def link_map(context: Context, options: LinkMapOptions) -> LinkMapped:
    """Measure the pairs of all bootstrapped nodes, and name what is at fault.

    Returns: the matrix and its findings; a node that could not take part is one of them.
    Errors: before anything is contacted :class:`UsageError` for one node, a budget that is too small or a
    result that cannot be resumed; :class:`ValidationError` where nothing can be launched at all.
    """
    place = launch_place(context.cluster, options.launch_from)
    names = [host.name for host in context.cluster.hosts]
    least = LEAST_NODES if options.by == "node" else 1
    if len(names) < least:
        raise UsageError(f"{names[0]} alone has no link to measure", remedy="give at least two nodes")
    programs = _asked(options)
    earlier = read_earlier(options.resume) if options.resume else None
    state = begin(earlier if options.by == "node" else None, names)
    if options.by == "node":
        # With fewer nodes the fewest rounds take no longer.
        plan_first(options, state, names)
    with context.visit() as opened:
        visit = with_launcher(opened, place)
        ready = make_ready(visit, place, seek=True)
        if ready is None or len(visit.good) < least:
            return _concluded(visit, state)
        program, on = _choose(visit, ready, options, programs)
        libraries = program.libraries(on)
        if program.on_gpu:
            options = options.on_gpus()
        slots = ranks_of(visit, ready, options.by)
        if len(slots) < LEAST_NODES:
            cause = f"{len(slots)} ranks have no link between them to measure"
            raise ValidationError(cause, stage="launch", remedy="give at least two nodes or GPUs")
        try:
            state = begin(earlier, names, slots)
            plan = plan_first(options, state, [slot.host for slot in slots])
        except UsageError as error:
            # How many places take part, and how long GPUs take to begin, was not known before.
            raise ValidationError(error.cause, stage="launch", remedy=error.remedy) from None
        used = {entry.host: entry.interface for entry in ready.addresses.addresses}
        if not program.on_gpu:
            state.line_gb_s = line_gb_s(state.nodes, ready.facts, used)
        rate_gb_s = fastest_gb_s([slot.host for slot in slots], ready.facts, used)
        price = cost(plan.rounds, plan.options, rate_gb_s)
        what = _what(program.described(on), ready, slots, options)
        context.events.bench(what)
        context.events.note(in_words(price))
        if context.dry_run:
            return replace(_concluded(visit, state), exit_code=ExitCode.OK, what=what, cost=price)
        counting = Counting.begin(visit, ready)
        path = provide(visit, ready.node(visit), ready.mpi, ready.facts, ready.ip)
        folder = result_folder(context, "link-map")
        run = LinkRun(context, visit, ready, state, path, folder, options.by, libraries)
        before = state.launches
        end = measure_pairs(run, plan, options)
        if end.how != "interrupted":
            state.counters = counting.end(visit)
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
            backend=program.name,
        )


def _choose(
    visit: Visit, ready: Ready, options: LinkMapOptions, programs: Sequence[CollbenchMpi]
) -> tuple[CollbenchMpi, Allocation]:
    """Choose what carries the data."""
    ranks = {slot.host: slot.slots for slot in launched_on(ranks_of(visit, ready, options.by))}
    on = Allocation({host: ready.facts[host] for host in ranks}, ranks, options.share_gpu)
    return choose(visit, on, programs)[0], on


def _asked(options: LinkMapOptions) -> list[CollbenchMpi]:
    """Give what may carry the data. Between nodes that is MPI unless NCCL is asked for."""
    by_default = options.backend == "auto" and options.by == "node" and not options.share_gpu
    return asked("mpi" if by_default else options.backend, PAIRS, share_gpu=options.share_gpu)


def _what(program: str, ready: Ready, slots: Sequence[Slot], options: LinkMapOptions) -> str:
    nodes = len(launched_on(slots))
    places = f"{nodes} nodes" if options.by == "node" else f"{len(slots)} ranks on {nodes} nodes"
    return f"{program.replace('collbench', 'collbench pairs')}: {places}, {ready.carrier}"


def _concluded(visit: Visit, state: LinkState, *, interrupted: bool = False) -> LinkMapped:
    for host in visit.ledger.rows:
        if host.status != "ok":
            for place in state.nodes:
                if host_of(place) == host.name:
                    state.set_aside[place] = f"{host.stage}: {host.cause}"
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
        host_of(finding.hosts[0])
        for finding in inference.findings
        if finding.kind == "node" and not finding.next_pairs
    }
    slots = [slot for slot in slots_of(visit, ready.facts, ready.addresses) if slot.host not in bad]
    texts = {f"{kind}-good": text for kind, text in hostfiles.render_all(slots).items()}
    return hostfiles.write(context.hostfile_dir, texts)
