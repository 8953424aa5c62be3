"""The task on benchmarks' logs, whoever ran them.

What it needs is imported when it runs: it would slow the start of all others.
"""

from __future__ import annotations

import sys

from rich.console import Console
from rich.text import Text

from clusterboot.errors import ExitCode
from clusterboot.headline import Ending, headline
from clusterboot.report.about import About

from .cli.command import Call, Outcome, command


@command(
    "nccl-parse",
    log="a log: a file, a folder, a quoted glob, or - for standard input",
    format="csv, junit or prometheus on standard output",
)
def nccl_parse_task(call: Call, log: str, format: str = "") -> Outcome:  # noqa: A002  # the option's name
    """Read nccl-tests logs that anybody made and say what they say."""
    from clusterboot.commands.nccl_parse import read_logs
    from clusterboot.report.benchmark import bars, show_judgement
    from clusterboot.report.ending import show_headline
    from clusterboot.report.formats import FORMATS
    from clusterboot.verdict.as_json import to_json

    from .cli import output_format

    output = output_format.chosen(call, format, FORMATS)
    reports = read_logs(log, sys.stdin.buffer)
    output_format.require_one(format, reports, "logs")

    endings = [Ending(report.verdict, report.judgement.overall.reason) for report in reports]
    worst = next((each for each in endings if each.verdict != "ok"), endings[0] if endings else Ending())

    def show(to: Console, _: About) -> None:
        for report, ending in zip(reports, endings, strict=True):
            to.print(Text(f"{report.path}", style="bold"))
            for test in report.tests:
                name = test.collective or "unknown collective"
                to.print(f"{name}, layout {test.layout}: {len(test.rows)} rows")
                for line in bars(test.rows):
                    to.print(Text(line))
            show_headline(to, headline((), 0, ending))
            show_judgement(to, report)

    good = all(report.verdict == "ok" for report in reports)
    return Outcome(
        ExitCode.OK if good else ExitCode.VALIDATION,
        more={"files": [to_json(report) for report in reports]},
        ending=worst,
        show=show,
        export=output(reports[0]),
    )
