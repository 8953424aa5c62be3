"""The task on benchmarks' logs, whoever ran them.

What it needs is imported when it runs: it would slow the start of all others.
"""

from __future__ import annotations

import sys

from rich.console import Console
from rich.text import Text

from clusterboot.errors import ExitCode
from clusterboot.tasks.command import Outcome, Session, command


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
