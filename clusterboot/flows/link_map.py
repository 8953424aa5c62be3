"""Every pair of nodes measured in one launch, and the bad node, link or group named."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from clusterboot import hostfiles
from clusterboot.bench.pairs_options import Cost, cost
from clusterboot.diagnose.matrix.records import Inference
from clusterboot.errors import ExitCode, HostResult, UsageError, worst
from clusterboot.facts.records import Mpi, NodeFacts
from clusterboot.flows.clearing import clear_orphans
from clusterboot.flows.context import Context
from clusterboot.flows.launching import Ready, make_ready
from clusterboot.flows.link_measure import (
    LEAST_NODES,
    LinkMapOptions,
    in_words,
    measure_pairs,
    plan_first,
    ranks_of,
)
from clusterboot.flows.link_resume import resume
from clusterboot.flows.link_runs import LinkRun
from clusterboot.flows.link_state import LinkState
from clusterboot.flows.outputs import slots_of
from clusterboot.flows.program import provide
from clusterboot.flows.results import result_folder
from clusterboot.flows.visit import Visit, exit_code
from clusterboot.hostfiles import Slot


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
    if len(names) < LEAST_NODES:
        raise UsageError(f"{names[0]} alone has no link to measure", remedy="give at least two nodes")
    state = resume(options.resume, names) if options.resume else LinkState.empty(names)
    with context.visit() as visit:
        ready = make_ready(visit, options.launch_from, seek=True)
        if ready is None or len(visit.good) < LEAST_NODES:
            return _concluded(visit, state)
        slots = ranks_of(visit, ready)
        plan = plan_first(options, state, slots)
        price = cost(plan.rounds, plan.options, _rate_gbps(ready, slots))
        network = f" over {ready.addresses.network}" if ready.addresses.network else ""
        what = f"collbench pairs, MPI, host memory: {len(slots)} nodes, {ready.mpi_name}{network}"
        context.events.bench(what)
        context.events.note(in_words(price))
        if context.dry_run:
            return replace(_concluded(visit, state), exit_code=ExitCode.OK, what=what, cost=price)
        clear_orphans(visit)
        path = provide(visit, ready.start, ready.mpi, ready.facts, ready.ip)
        run = LinkRun(context, visit, ready, state, path, result_folder(context, "link-map"))
        before = state.launches
        end = measure_pairs(run, plan, options)
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
