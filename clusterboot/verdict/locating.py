"""Wrong data traced to its host: the same collective again, on smaller and smaller groups."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from clusterboot.hostfiles import Slot
from clusterboot.programs.bench_options import BenchOptions
from clusterboot.programs.nccl_tests.parser import parse_log
from clusterboot.programs.records import BenchTest, LogReport
from clusterboot.run.runend import RunEnd
from clusterboot.run.runlog import LineLog
from clusterboot.session.visit import Visit

from .benchmarked import Judged
from .culprit import narrow, with_culprits

# Runs a benchmark on some nodes, with its output going to the log.
Trial = Callable[[Sequence[Slot], BenchOptions, LineLog], RunEnd]


def locate_wrong_data(
    visit: Visit, judged: Judged, slots: Sequence[Slot], options: BenchOptions, *, log: LineLog, trial: Trial
) -> Judged:
    """Run what gave wrong values again on parts of the nodes, to name the host that they come from.

    Parameters: the run that had them; its nodes and options; a log for the trials.
    Returns: the run with the hosts named, or as it was where they cannot be told.
    """
    found = _where_wrong(judged.report)
    if found is None or len(slots) < 2 or judged.ended.how != "exited":
        return judged
    collective, size_bytes = found
    small = replace(
        options,
        collectives=(collective,),
        begin_bytes=size_bytes,
        end_bytes=size_bytes,
        iterations=1,
        warmup=0,
        check=max(1, options.check),
    )
    by_host = {slot.host: slot for slot in slots}
    visit.events.note("wrong data: running it on parts of the nodes, to see where it comes from")
    stopped = False

    def is_wrong(hosts: Sequence[str]) -> bool:
        nonlocal stopped
        if stopped:
            return False
        part = LineLog(log.path, lambda _: None, log.scrubber)
        before = len(log.content)
        end = trial([by_host[host] for host in hosts], small, part)
        stopped = end.how != "exited"
        tests = parse_log(log.content[before:]).tests
        return any(test.out_of_bounds or _wrong_size(test) is not None for test in tests)

    suspects = narrow(list(by_host), is_wrong)
    if stopped:
        return judged
    overall = with_culprits(judged.report.judgement.overall, suspects, len(slots))
    return replace(judged, report=judged.report.with_overall(overall))


def _where_wrong(report: LogReport) -> tuple[str, int] | None:
    for test in report.tests:
        size_bytes = _wrong_size(test)
        if size_bytes and test.collective:
            return test.collective, size_bytes
    return None


def _wrong_size(test: BenchTest) -> int | None:
    return next((row.size_bytes for row in test.rows if any(place.wrong for place in row.placements)), None)
