"""The task that launches a collective benchmark: its options made into a run, and the run's result shown.

What it needs is imported when it runs: it would slow the start of all others.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.text import Text

from clusterboot.document import parse
from clusterboot.errors import ExitCode, UsageError
from clusterboot.headline import Ending

from .cli.command import Call, Outcome, command
from .cli.options import LAUNCHING, choice, context, number, size, whole, writer

if TYPE_CHECKING:
    from clusterboot.report.about import About
    from clusterboot.verdict.benchmarked import Benchmarked, Judged
    from clusterboot.verdict.expectation import Expectation
    from clusterboot.verdict.repeats import Spread

    from .documents import NcclTestJson, NothingLaunchedJson, SingleRunJson, SpreadJson

# collbench repeats until the rate is steady; of 64 MiB over a gigabit link it can do that only a few times.
_SIZE_CAP_S = 2.0
_LONGEST_S = 7 * 24 * 3600
_MOST_RUNS = 1000
# Where the plateau of today's fabrics surely is; nccl-tests takes less where memory is short.
_GPU_END_BYTES = 8 * 1024**3


@command(
    "nccl-test",
    shared=LAUNCHING,
    collective="which, separated by commas (default all_reduce)",
    backend="a program, as nccl-tests, nccl or mpi (default auto: the first of them that all nodes have)",
    b="smallest size (default 8)",
    e="largest size (default 64M in host memory, 8G on GPUs)",
    f="factor between sizes (default 2)",
    n="iterations a size (default 20; the project's own program repeats until the rate is steady)",
    w="warm-up iterations (default 5)",
    c="1 to check the data, 0 not to (default 1)",
    dtype="float (default), double, int32; on GPUs also half, bfloat16 and what nccl-tests has",
    min_busbw="GB/s that must be sustained at the large end of the sweep",
    baseline="a result.json to compare with (default the run that was kept)",
    keep_baseline="keep this run, if it is ok, as what later ones are held against",
    procs_per_node="ranks a node, in place of the hostfile's slots",
    repeat="run it so often, and judge the medians",
    no_progress="end a run that prints nothing for so many seconds (default 300)",
    time_limit="end a run after so many seconds (default 900)",
)
def nccl_test_task(  # noqa: PLR0917  # invoke passes them by name
    call: Call,
    shared: Mapping[str, Any],
    collective: str = "all_reduce",
    backend: str = "auto",
    b: str = "8",
    e: str = "",
    f: str = "2",
    n: str = "",
    w: str = "5",
    c: str = "1",
    dtype: str = "",
    min_busbw: str = "",
    baseline: str = "",
    keep_baseline: bool = False,
    procs_per_node: str = "",
    repeat: str = "",
    no_progress: str = "",
    time_limit: str = "",
) -> Outcome:
    """Launch a collective benchmark with mpirun, stream it, parse it, judge it, save it."""
    from clusterboot.commands.nccl_test import nccl_test
    from clusterboot.programs.bench_options import BenchOptions
    from clusterboot.programs.registered import PROGRAMS
    from clusterboot.report.formats import FORMATS
    from clusterboot.report.next_steps import after_benchmark
    from clusterboot.report.pages import publish
    from clusterboot.run.bench_plan import STALL_S, TIMEOUT_S, NcclTestOptions
    from clusterboot.verdict.expectation import Expectation
    from clusterboot.verdict.kept_baseline import keep_baseline as keep
    from clusterboot.verdict.kept_baseline import kept_baseline

    from .cli import output_format

    bench = BenchOptions(
        collectives=tuple(name.strip() for name in collective.split(",")),
        begin_bytes=size("-b", b),
        end_bytes=size("-e", e or "64M"),
        factor=whole("-f", f, 2) or 2,
        iterations=whole("-n", n, 1) or 20,
        warmup=whole("-w", w, 0) or 0,
        check=whole("-c", c, 0) or 0,
        cap_s=None if n else _SIZE_CAP_S,
        dtype=dtype or None,
    )
    choice("--backend", backend, ("auto", *(each.name for each in PROGRAMS)))
    output = output_format.chosen(call, shared["format"], FORMATS)
    expectation = _expectation(number("--min-busbw", min_busbw), baseline)
    ranks_per_node = whole("--procs-per-node", procs_per_node, 1)
    at = context(call, shared)
    if at.cluster.options.expected_busbw_gb_s and expectation == Expectation():
        expectation = Expectation(at.cluster.options.expected_busbw_gb_s, source="the cluster file")
    options = NcclTestOptions(
        bench,
        backend=backend,
        launch_from=shared["launch_from"] or None,
        ranks_per_node=ranks_per_node,
        end_bytes_on_gpus=None if e or shared["share_gpu"] else _GPU_END_BYTES,
        share_gpu=shared["share_gpu"],
        timeout_s=whole("--time-limit", time_limit, 1, _LONGEST_S) or TIMEOUT_S,
        stall_s=number("--no-progress", no_progress) or STALL_S,
        repeat=whole("--repeat", repeat, 1, _MOST_RUNS) or 1,
    )
    kept = None if keep_baseline else kept_baseline(at.state_dir)
    result = nccl_test(at, options, expectation, kept)
    folder = result.folder
    keeps = keep_baseline and not at.dry_run

    def save(text: str) -> None:
        if folder is not None:
            publish(folder, at.scrubber(text))
        if keeps and result.exit_code is ExitCode.OK:
            keep(at.state_dir, at.scrubber(text))

    return Outcome(
        result.exit_code,
        result.hosts,
        _document(result),
        ending=_ending(result, dry_run=at.dry_run),
        next_step=after_benchmark(result, writer(shared), dry_run=at.dry_run),
        show=lambda to, about: _show(to, about, result, kept_as=_kept_line(result) if keeps else None),
        export=output(result.report),
        save=save if folder else None,
    )


def _ending(result: Benchmarked, *, dry_run: bool) -> Ending:
    if result.report is None:
        return Ending(cut_short=result.cut_short, dry_run=dry_run)
    overall = result.report.judgement.overall
    return Ending(overall.verdict, overall.reason, cut_short=result.cut_short, dry_run=dry_run)


def _expectation(min_busbw_gb_s: float | None, baseline: str) -> Expectation:
    from clusterboot.verdict.expectation import Expectation, baseline_from_json

    minimum = (
        Expectation(min_busbw_gb_s, source="--min-busbw") if min_busbw_gb_s is not None else Expectation()
    )
    if not baseline:
        return minimum
    try:
        document = parse(Path(baseline).read_bytes())
    except (OSError, ValueError) as problem:
        raise UsageError(
            f"--baseline {baseline}: {problem}", remedy="give an earlier run's result.json"
        ) from None
    source = f"--min-busbw and {baseline}" if minimum.source else baseline
    return dataclasses.replace(minimum, baseline=baseline_from_json(document), source=source)


def _document(result: Benchmarked) -> NcclTestJson | NothingLaunchedJson:
    from clusterboot.report.factlines import fact_lines
    from clusterboot.verdict.as_json import bench_test_to_json, problem_to_json
    from clusterboot.verdict.expectation import expected_to_json

    if result.report is None:
        return {"verdict": None, "tests": []}
    overall = result.report.judgement.overall
    return {
        "verdict": result.report.verdict,
        "reason": overall.reason,
        "notes": list(overall.notes),
        "what": result.what,
        "backend": result.backend,
        "mpi": result.mpi,
        "launch_host": result.launch_host,
        "ranks": result.ranks,
        "shares_gpus": result.shares_gpus,
        "network": result.network,
        "expected_from": result.expectation.source or None,
        "expected_derivation": result.expectation.derivation or None,
        "expected": expected_to_json(result.expectation, [test.collective for test in result.report.tests]),
        "node_facts": list(fact_lines(result.facts)),
        "tests": [bench_test_to_json(test) for test in result.report.tests],
        "problems": [problem_to_json(problem) for problem in result.report.problems],
        "runs": [_run(run) for run in result.runs],
        "spreads": [_spread(spread) for spread in result.spreads],
        "counters": dict(result.counters),
        "folder": result.folder,
    }


def _run(run: Judged) -> SingleRunJson:
    from clusterboot.verdict.as_json import bench_test_to_json

    return {
        "verdict": run.report.verdict,
        "reason": run.report.judgement.overall.reason,
        "log": run.log,
        "tests": [bench_test_to_json(test) for test in run.report.tests],
    }


def _spread(spread: Spread) -> SpreadJson:
    return {
        "collective": spread.collective,
        "placement": spread.placement,
        "runs_gb_s": list(spread.runs_gb_s),
        "median_gb_s": spread.median_gb_s,
        "spread": spread.spread,
        "wide": spread.wide,
    }


def _kept_line(result: Benchmarked) -> str:
    if result.exit_code is ExitCode.OK:
        return "Baseline: this run is kept, and later ones are held against it"
    return "Baseline: not kept, since the run is not ok on every node"


def _show(to: Console, about: About, result: Benchmarked, kept_as: str | None) -> None:
    from clusterboot.report import benchmark as report
    from clusterboot.report.ending import show_failures, show_headline, show_lines

    show_failures(to, result.hosts)
    if result.report is None:
        show_headline(to, about.headline)
        return
    for test in (each for each in result.report.tests if each.rows):
        to.print()
        title = f"{test.collective}: busbw over size, the better placement"
        mark = "; ranks shared a GPU: no measure of bandwidth" if test.shares_gpus else ""
        to.print(Text(title + mark, style="bold"))
        for line in report.bars(test.rows):
            to.print(Text(line))
    to.print()
    show_headline(to, about.headline)
    if not result.launched:
        # Hosts' failures are told above, by node set.
        told = any(host.status == "failed" for host in result.hosts)
        overall = dataclasses.replace(result.report.judgement.overall, problems=())
        shown = result.report.with_overall(overall) if told else result.report
        report.show_judgement(to, shown)
        what = [f"To be run: {result.what}"] if result.what else []
        show_lines(to, [*what, *([f"Saved: {result.folder}/"] if result.folder else [])])
        return
    report.show_judgement(to, result.report)
    lines = [f"Ran: {result.what}, from {result.launch_host}"]
    if result.expectation.source:
        lines.append(f"Expected: from {result.expectation.source}. {result.expectation.derivation}".rstrip())
    if kept_as:
        lines.append(kept_as)
    if result.folder is not None:
        lines.append(f"Saved: {result.folder}/ with report.html")
    show_lines(to, lines)
