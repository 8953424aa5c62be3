"""Every pair of nodes measured in one launch, and the bad node, link or group named."""

from __future__ import annotations

from dataclasses import replace

from clusterboot.errors import ExitCode
from clusterboot.hostfiles import outputs
from clusterboot.linkmap.map_plan import LinkMapOptions, begin_map, in_words, programs_asked, settle_map
from clusterboot.linkmap.mapped import LinkMapped, conclude_map, good_hostfiles
from clusterboot.linkmap.measure import measure_pairs
from clusterboot.linkmap.resume import read_earlier
from clusterboot.linkmap.runs import LinkRun
from clusterboot.run.counters import Counting
from clusterboot.run.distribution import provide
from clusterboot.run.launching import make_ready
from clusterboot.session.context import Context
from clusterboot.session.results import result_folder
from clusterboot.trust.launching_host import visit_to_launch
from clusterboot.trust.measuring_claim import measuring


def link_map(context: Context, options: LinkMapOptions) -> LinkMapped:
    """Measure the pairs of all bootstrapped nodes, and name what is at fault.

    Returns: the matrix and its findings; a node that could not take part is one of them.
    Errors: before anything is contacted :class:`UsageError` for one node, a budget that is too small or a
    result that cannot be resumed; :class:`ValidationError` where nothing can be launched at all.
    """
    programs = programs_asked(options)
    earlier = read_earlier(options.resume) if options.resume else None
    nothing = begin_map(options, earlier, [host.name for host in context.cluster.hosts])
    with (
        visit_to_launch(context, options.launch_from) as visit,
        measuring(visit, "link-map", wait=context.wait) as claim,
    ):
        ready = make_ready(visit, seek=True)
        if ready is None or len(visit.good) < options.least_nodes:
            return conclude_map(visit, nothing)
        plan = settle_map(visit, ready, programs, options, earlier)
        state = plan.state
        context.events.bench(plan.what)
        context.events.note(in_words(plan.price))
        if context.dry_run:
            return replace(conclude_map(visit, state), exit_code=ExitCode.OK, what=plan.what, cost=plan.price)
        claim()
        counting = Counting.begin(visit, ready)
        path = provide(visit, ready)
        folder = result_folder(context, "link-map")
        run = LinkRun(context, visit, ready, state, path, folder, options.by, plan.libraries)
        before = state.launches
        end = measure_pairs(run, plan.rounds, plan.options)
        state.counters = counting.end(visit, end)
        done = conclude_map(visit, state, [end], budgeted=options.budget_s is not None)
        return replace(
            done,
            what=plan.what,
            cost=plan.price,
            mpi=ready.mpi,
            launch_host=ready.start,
            launched=state.launches - before,
            folder=folder,
            files=outputs.write(context.hostfile_dir, good_hostfiles(visit, ready, done.inference)),
            facts=ready.facts,
            backend=plan.program.name,
        )
