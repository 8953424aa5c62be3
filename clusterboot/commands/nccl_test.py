"""A collective benchmark over the whole cluster: launched, streamed, parsed, judged, saved."""

from __future__ import annotations

from dataclasses import replace

from clusterboot.errors import ValidationError
from clusterboot.programs.registered import PROGRAMS
from clusterboot.run.bench_plan import NcclTestOptions, equip, run_repeatedly, settle
from clusterboot.run.choice import asked
from clusterboot.run.counters import Counting
from clusterboot.run.launching import make_ready
from clusterboot.session.context import Context
from clusterboot.session.results import result_folder
from clusterboot.session.visit import exit_code
from clusterboot.trust.launching_host import visit_to_launch
from clusterboot.trust.measuring_claim import measuring
from clusterboot.verdict.benchmarked import Benchmarked, conclude, judge_run, refused, with_counters
from clusterboot.verdict.derived import expected_of
from clusterboot.verdict.expectation import Expectation
from clusterboot.verdict.kept_baseline import KeptBaseline
from clusterboot.verdict.locating import locate_wrong_data


def nccl_test(
    context: Context, options: NcclTestOptions, said: Expectation, kept: KeptBaseline | None = None
) -> Benchmarked:
    """Run the benchmark on every bootstrapped node that can be reached.

    Parameters: the command's context; what to run; what was said to be expected of it; the cluster's kept
    baseline.
    Returns: the verdict, and what became of each host; the output and the result are saved
    whatever happens. Where a node that answers cannot take part nothing is launched: what the
    others would give is no proof of the cluster, and to leave one out is for the operator to choose.
    Errors: before anything is contacted :class:`UsageError` for what no benchmark that was asked for can do.
    """
    programs = asked(options.backend, PROGRAMS, options.bench, share_gpu=options.share_gpu)
    with (
        visit_to_launch(context, options.launch_from) as visit,
        measuring(visit, "nccl-test", wait=context.wait) as claim,
    ):
        plan = error = None
        try:
            ready = make_ready(visit)
            if ready is not None:
                plan = settle(visit, ready, programs, options)
                if context.dry_run:
                    context.events.note(f"would launch {plan.what}, from {ready.start}")
                    return Benchmarked(visit.ledger.rows, exit_code(visit.ledger.rows), what=plan.what)
                claim()
                counting = Counting.begin(visit, ready)
                plan = equip(visit, plan)
        except ValidationError as found:
            error = found
        if plan is None or error is not None or visit.ledger.refusals:
            done = refused(visit, plan, error)
            is_kept = done.report is not None and not context.dry_run
            return replace(done, folder=result_folder(context, "nccl-test")) if is_kept else done
        folder = result_folder(context, "nccl-test")
        expectation = expected_of(plan, said, kept)
        runs = run_repeatedly(visit, plan, folder, context.scrubber)
        judged = [judge_run(plan, log, end, expectation) for log, end in runs]
        judged[-1] = locate_wrong_data(visit, plan, judged[-1], folder / "locate.log", context.scrubber)
        done = conclude(visit, plan, judged, expectation)
        return replace(with_counters(done, counting.end(visit, runs[-1][1])), folder=folder)
