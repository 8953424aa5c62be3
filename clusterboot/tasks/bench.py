"""The tasks on benchmarks: launch one, and read what one has printed.

What they need is imported when they run: it would slow the start of all others.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.text import Text

from clusterboot.errors import ExitCode
from clusterboot.tasks.command import Outcome, Session, command
from clusterboot.tasks.options import SHARED


@command(
    "nccl-test",
    shared=SHARED,
    collective="which, separated by commas (default all_reduce)",
    backend="auto, nccl-tests, nccl or mpi (default auto: the first of them that all nodes have)",
    b="smallest size (default 8)",
    e="largest size (default 64M in host memory, 8G on GPUs)",
    f="factor between sizes (default 2)",
    n="iterations a size (default 20; the project's own program repeats until the rate is steady)",
    w="warm-up iterations (default 5)",
    c="1 to check the data, 0 not to (default 1)",
    dtype="float (default), double, int32; on GPUs also half, bfloat16 and what nccl-tests has",
    share_gpu="let ranks share a GPU, over sockets: a test of the way itself, no measure of bandwidth",
    min_busbw="GB/s that must be sustained at the large end of the sweep",
    baseline="a result.json to compare with",
    launch_from="the node to launch from, or head (default the first good one)",
    procs_per_node="ranks a node, in place of the hostfile's slots",
    repeat="run it so often, and judge the medians",
    no_progress="end a run that prints nothing for so many seconds (default 300)",
    time_limit="end a run after so many seconds (default 900)",
    format="csv, junit or prometheus on standard output, in place of the table",
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
    dtype: str = "",
    share_gpu: bool = False,
    min_busbw: str = "",
    baseline: str = "",
    launch_from: str = "",
    procs_per_node: str = "",
    repeat: str = "",
    no_progress: str = "",
    time_limit: str = "",
    format: str = "",  # noqa: A002  # the option's name
) -> Outcome:
    """Launch a collective benchmark with mpirun, stream it, parse it, judge it, save it."""
    from clusterboot.tasks import nccl_test

    asked = nccl_test.Asked(
        collective=collective,
        backend=backend,
        smallest=b,
        largest=e,
        factor=f,
        iterations=n,
        warmup=w,
        check=c,
        dtype=dtype,
        share_gpu=share_gpu,
        min_busbw=min_busbw,
        baseline=baseline,
        launch_from=launch_from,
        procs_per_node=procs_per_node,
        repeat=repeat,
        no_progress=no_progress,
        time_limit=time_limit,
        output=format,
    )
    return nccl_test.carry_out(session, shared, asked)


@command(
    "nccl-parse",
    log="a log: a file, a folder, a quoted glob, or - for standard input",
    format="csv, junit or prometheus on standard output",
)
def nccl_parse_task(_: Session, log: str, format: str = "") -> Outcome:  # noqa: A002  # the option's name
    """Read nccl-tests logs that anybody made and say what they say."""
    from clusterboot.bench.document import to_json
    from clusterboot.flows.logs import read_logs
    from clusterboot.report import bench as report
    from clusterboot.report.formats import FORMATS
    from clusterboot.tasks import formats

    output = formats.chosen(format, FORMATS)
    readings = read_logs(log, sys.stdin.buffer)
    formats.require_one(format, readings, "logs")

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
        show=output(readings[0].report) if output else show,
    )
