"""``nccl-test``: its options made into a run, and the run's result shown."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

from rich.console import Console
from rich.text import Text

from clusterboot.bench.document import bench_test_to_json
from clusterboot.bench.options import BenchOptions
from clusterboot.diagnose.expectation import Expectation, baseline_from_json, expected_to_json
from clusterboot.errors import UsageError
from clusterboot.flows.backends import BackendChoice
from clusterboot.flows.benchmarked import Benchmarked, Judged
from clusterboot.flows.launcher import launch_place
from clusterboot.flows.nccl_test import STALL_S, TIMEOUT_S, NcclTestOptions, nccl_test
from clusterboot.flows.pages import publish
from clusterboot.report import bench as report
from clusterboot.report.cluster import show_failures, show_summary
from clusterboot.report.factlines import fact_lines
from clusterboot.report.formats import FORMATS
from clusterboot.tasks import formats
from clusterboot.tasks.command import Outcome, Session
from clusterboot.tasks.options import choice, context, next_command, number, whole
from clusterboot.units import parse_size

_BACKENDS = ("auto", "nccl-tests", "nccl", "mpi")
# collbench repeats until the rate is steady; of 64 MiB over a gigabit link it can do that only a few times.
_SIZE_CAP_S = 2.0
_LONGEST_S = 7 * 24 * 3600
_MOST_RUNS = 1000
# Where the plateau of today's fabrics surely is; nccl-tests takes less where memory is short.
_GPU_END_BYTES = 8 * 1024**3


@dataclass(frozen=True)
class Asked:
    """The task's own options as text, as they were given."""

    collective: str
    backend: str
    smallest: str
    largest: str
    factor: str
    iterations: str
    warmup: str
    check: str
    dtype: str
    share_gpu: bool
    min_busbw: str
    baseline: str
    launch_from: str
    procs_per_node: str
    repeat: str
    no_progress: str
    time_limit: str
    output: str


def carry_out(session: Session, shared: Mapping[str, Any], asked: Asked) -> Outcome:
    """Check every option, then run the benchmark.

    Errors: :class:`UsageError` for an option or a cluster file, before anything is contacted.
    """
    bench = BenchOptions(
        collectives=tuple(name.strip() for name in asked.collective.split(",")),
        begin_bytes=_size("-b", asked.smallest),
        end_bytes=_size("-e", asked.largest or "64M"),
        factor=whole("-f", asked.factor, 2) or 2,
        iterations=whole("-n", asked.iterations, 1) or 20,
        warmup=_count("-w", asked.warmup),
        check=_count("-c", asked.check),
        cap_s=None if asked.iterations else _SIZE_CAP_S,
        dtype=asked.dtype or None,
    )
    choice("--backend", asked.backend, _BACKENDS)
    output = formats.chosen(asked.output, FORMATS)
    expectation = _expectation(number("--min-busbw", asked.min_busbw), asked.baseline)
    ranks_per_node = whole("--procs-per-node", asked.procs_per_node, 1)
    at = context(session, shared)
    start = launch_place(at.cluster, asked.launch_from or None)
    if at.cluster.options.expected_busbw_gbps and expectation == Expectation():
        expectation = Expectation(at.cluster.options.expected_busbw_gbps, source="the cluster file")
    options = NcclTestOptions(
        bench,
        backend=cast(BackendChoice, asked.backend),
        expectation=expectation,
        launch_from=start,
        ranks_per_node=ranks_per_node,
        end_bytes_on_gpus=None if asked.largest or asked.share_gpu else _GPU_END_BYTES,
        share_gpu=asked.share_gpu,
        timeout_s=whole("--time-limit", asked.time_limit, 1, _LONGEST_S) or TIMEOUT_S,
        stall_s=number("--no-progress", asked.no_progress) or STALL_S,
        repeat=whole("--repeat", asked.repeat, 1, _MOST_RUNS) or 1,
    )
    if output:
        session.leave_output_to_format()
        at = replace(at, events=session.terminal)
    result = nccl_test(at, options)
    more = _document(result)
    folder = result.folder
    return Outcome(
        result.exit_code,
        result.hosts,
        more,
        output(result.report)
        if output and result.report
        else lambda to: _show(to, result, next_command("bootstrap", shared["cluster"])),
        save=(lambda text: publish(folder, at.scrubber(text))) if folder else None,
    )


def _size(option: str, text: str) -> int:
    try:
        return parse_size(text)
    except ValueError as error:
        raise UsageError(f"{option}: {error}") from None


def _count(option: str, text: str) -> int:
    value = whole(option, text, 0)
    return 0 if value is None else value


def _expectation(min_busbw_gbps: float | None, baseline: str) -> Expectation:
    minimum = (
        Expectation(min_busbw_gbps, source="--min-busbw") if min_busbw_gbps is not None else Expectation()
    )
    if not baseline:
        return minimum
    try:
        document = json.loads(Path(baseline).read_text(encoding="utf-8"))
    except (OSError, ValueError) as problem:
        raise UsageError(
            f"--baseline {baseline}: {problem}", remedy="give an earlier run's result.json"
        ) from None
    source = f"--min-busbw and {baseline}" if minimum.source else baseline
    return replace(minimum, baseline=baseline_from_json(document), source=source)


def _document(result: Benchmarked) -> dict[str, Any]:
    if result.report is None or result.judgement is None:
        return {"verdict": None, "tests": []}
    overall = result.judgement.overall
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
        "problems": list(result.report.problems),
        "runs": [_run(run) for run in result.runs],
        "spreads": [{**dataclasses.asdict(spread), "wide": spread.wide} for spread in result.spreads],
        "counters": dict(result.counters),
        "folder": result.folder,
    }


def _run(run: Judged) -> dict[str, Any]:
    return {
        "verdict": run.report.verdict,
        "reason": run.judgement.overall.reason,
        "log": run.log,
        "tests": [bench_test_to_json(test) for test in run.report.tests],
    }


def _show(to: Console, result: Benchmarked, before: str) -> None:
    show_failures(to, result.hosts)
    if result.report is None or result.judgement is None:
        show_summary(to, ["No node could be benchmarked"], before)
        return
    for test in (each for each in result.report.tests if each.rows):
        to.print()
        title = f"{test.collective}: busbw over size, the better placement"
        mark = "; ranks shared a GPU: no measure of bandwidth" if test.shares_gpus else ""
        to.print(Text(title + mark, style="bold"))
        for line in report.bars(test.rows):
            to.print(Text(line))
    to.print()
    if not result.launched:
        # Hosts' failures are told above, by node set.
        told = any(host.status == "failed" for host in result.hosts)
        shown = replace(result.report, problems=()) if told else result.report
        report.show_verdict(to, shown, result.judgement)
        what = [f"To be run: {result.what}"] if result.what else []
        show_summary(to, [*what, f"Saved: {result.folder}/"], None)
        return
    report.show_verdict(to, result.report, result.judgement)
    lines = [f"Ran: {result.what}, from {result.launch_host}"]
    if result.expectation.source:
        lines.append(f"Expected: from {result.expectation.source}. {result.expectation.derivation}".rstrip())
    if result.folder is not None:
        lines.append(f"Saved: {result.folder}/ with report.html")
    show_summary(to, lines, None)
