"""The tasks on benchmarks: launch one, and read what one has printed."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from rich.console import Console
from rich.text import Text

from clusterboot.bench.document import bench_test_to_json, to_json
from clusterboot.bench.options import BenchOptions
from clusterboot.diagnose.expectation import Expectation, baseline_from_json
from clusterboot.errors import ExitCode, UsageError
from clusterboot.flows.logs import read_logs
from clusterboot.flows.nccl_test import Benchmarked, NcclTestOptions, nccl_test
from clusterboot.flows.preflight import BackendChoice
from clusterboot.flows.results import save
from clusterboot.report import bench as report
from clusterboot.report.cluster import show_failures, show_summary
from clusterboot.tasks.command import Outcome, Session, command
from clusterboot.tasks.options import SHARED, choice, context, next_command, number, whole
from clusterboot.units import parse_size

_BACKENDS = ("auto", "nccl-tests", "mpi")
# Twenty iterations of 64 MiB over a gigabit link would take half a minute a placement.
_SIZE_CAP_S = 2.0
# Where the plateau of today's fabrics surely is; nccl-tests takes less where memory is short.
_GPU_END_BYTES = 8 * 1024**3


@command(
    "nccl-test",
    shared=SHARED,
    collective="which, separated by commas (default all_reduce)",
    backend="auto, nccl-tests or mpi (default auto)",
    b="smallest size (default 8)",
    e="largest size (default 64M in host memory, 8G on GPUs)",
    f="factor between sizes (default 2)",
    n="iterations a size (default 20, fewer where a size would take long)",
    w="warm-up iterations (default 5)",
    c="1 to check the data, 0 not to (default 1)",
    min_busbw="GB/s that the plateau must reach",
    baseline="a result.json to compare with",
    launch_from="the node to launch from (default the first good one)",
    procs_per_node="ranks a node, in place of the hostfile's slots",
)
def nccl_test_task(  # noqa: PLR0917  # invoke passes them by name
    session: Session,
    shared: Mapping[str, Any],
    collective: str = "all_reduce",
    backend: str = "auto",
    b: str = "8",
    e: str = "",
    f: str = "2",
    n: str = "",
    w: str = "5",
    c: str = "1",
    min_busbw: str = "",
    baseline: str = "",
    launch_from: str = "",
    procs_per_node: str = "",
) -> Outcome:
    """Launch a collective benchmark with mpirun, stream it, parse it, judge it, save it."""
    bench = BenchOptions(
        collectives=tuple(name.strip() for name in collective.split(",")),
        begin_bytes=_size("-b", b),
        end_bytes=_size("-e", e or "64M"),
        factor=whole("-f", f, 2) or 2,
        iterations=whole("-n", n, 1) or 20,
        warmup=_count("-w", w),
        check=_count("-c", c),
        cap_s=None if n else _SIZE_CAP_S,
    )
    choice("--backend", backend, _BACKENDS)
    expectation = _expectation(number("--min-busbw", min_busbw), baseline)
    ranks_per_node = whole("--procs-per-node", procs_per_node, 1)
    at = context(session, shared)
    names = [host.name for host in at.cluster.hosts]
    if launch_from and launch_from not in names:
        raise UsageError(
            f"--launch-from {launch_from}: no such host", remedy=f"name one of the cluster's, as {names[0]}"
        )
    if at.cluster.options.expected_busbw_gbps and expectation == Expectation():
        expectation = Expectation(at.cluster.options.expected_busbw_gbps, source="the cluster file")
    options = NcclTestOptions(
        bench,
        backend=cast(BackendChoice, backend),
        expectation=expectation,
        launch_from=launch_from or None,
        ranks_per_node=ranks_per_node,
        end_bytes_on_gpus=None if e else _GPU_END_BYTES,
    )
    result = nccl_test(at, options)
    more = _document(result)
    folder = result.folder
    return Outcome(
        result.exit_code,
        result.hosts,
        more,
        lambda to: _show(to, result, next_command("bootstrap", shared["cluster"])),
        save=(lambda text: save(folder, text)) if folder else None,
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
    if min_busbw_gbps is not None:
        return Expectation(min_busbw_gbps, source="--min-busbw")
    if not baseline:
        return Expectation()
    try:
        document = json.loads(Path(baseline).read_text(encoding="utf-8"))
    except (OSError, ValueError) as problem:
        raise UsageError(
            f"--baseline {baseline}: {problem}", remedy="give an earlier run's result.json"
        ) from None
    return Expectation(baseline=baseline_from_json(document), source=baseline)


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
        "network": result.network,
        "tests": [bench_test_to_json(test) for test in result.report.tests],
        "problems": list(result.report.problems),
        "folder": result.folder,
    }


def _show(to: Console, result: Benchmarked, before: str) -> None:
    show_failures(to, result.hosts)
    if result.report is None or result.judgement is None:
        show_summary(to, ["No node could be benchmarked"], before)
        return
    for test in (each for each in result.report.tests if each.rows):
        to.print()
        to.print(Text(f"{test.collective}: busbw over size, the better placement", style="bold"))
        for line in report.bars(test.rows):
            to.print(Text(line))
    to.print()
    report.show_verdict(to, result.report, result.judgement)
    lines = [f"Ran: {result.what}, from {result.launch_host}"]
    if result.folder is not None:
        lines.append(f"Saved: {result.folder}/")
    show_summary(to, lines, None)


@command("nccl-parse", log="a log: a file, a folder, a quoted glob, or - for standard input")
def nccl_parse_task(_: Session, log: str) -> Outcome:
    """Read nccl-tests logs that anybody made and say what they say."""
    readings = read_logs(log, sys.stdin.buffer)

    def show(to: Console) -> None:
        for reading in readings:
            to.print(Text(f"{reading.report.path}", style="bold"))
            for test in reading.report.tests:
                name = test.collective or "unknown collective"
                to.print(f"{name}, layout {test.layout}: {len(test.rows)} rows")
                for line in report.bars(test.rows):
                    to.print(Text(line))
            report.show_verdict(to, reading.report, reading.judgement)

    good = all(reading.report.verdict == "ok" for reading in readings)
    return Outcome(
        ExitCode.OK if good else ExitCode.VALIDATION,
        more={"files": [to_json(reading.report) for reading in readings]},
        show=show,
    )
