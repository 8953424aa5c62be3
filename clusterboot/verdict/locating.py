"""Wrong data traced to its host: the same collective again, on smaller and smaller groups."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from clusterboot.programs.records import BenchTest, Judgement
from clusterboot.run.bench_plan import BenchPlan, run_once
from clusterboot.run.runlog import LineLog
from clusterboot.scrub import Scrubber
from clusterboot.session.visit import Visit

from .benchmarked import Judged

# More than so many suspects are no help to anybody.
_MOST_NAMED = 4
_CHECK = (
    "check its memory, processors and network adapters (ECC counters, dmesg, dcgmi diag), and keep it out"
)


def locate_wrong_data(
    visit: Visit, plan: BenchPlan, judged: Judged, file: Path, scrubber: Scrubber
) -> Judged:
    """Run what gave wrong values again on parts of the nodes, to name the host that they come from.

    Parameters: what was run; the run of it; the log for the trials, and what takes secrets out of it.
    Returns: the run with the hosts named, or as it was where they cannot be told or nothing was wrong.
    """
    if judged.report.verdict != "wrong-data":
        return judged
    slots, options = plan.slots, plan.bench
    sizes = ((test.collective, _wrong_size(test)) for test in judged.report.tests)
    collective, size_bytes = next(((name, size) for name, size in sizes if name and size), (None, None))
    if not collective or not size_bytes or len(slots) < 2 or judged.ended.how != "exited":
        return judged
    small = replace(options, collectives=(collective,), begin_bytes=size_bytes, end_bytes=size_bytes)
    small = replace(small, iterations=1, warmup=0, check=max(1, options.check))
    by_host = {slot.host: slot for slot in slots}
    visit.events.note("wrong data: running it on parts of the nodes, to see where it comes from")
    stopped = False

    def is_wrong(hosts: Sequence[str]) -> bool:
        nonlocal stopped
        if stopped:
            return False
        log = LineLog(file, lambda _: None, scrubber)
        before = len(log.content)
        end = run_once(visit, plan.of([by_host[host] for host in hosts], small), log)
        stopped = end.how != "exited"
        tests = plan.program.parse(log.content[before:]).tests
        return any(test.out_of_bounds or _wrong_size(test) is not None for test in tests)

    suspects = narrow(list(by_host), is_wrong)
    if stopped:
        return judged
    overall = with_culprits(judged.report.judgement.overall, suspects, len(slots))
    return replace(judged, report=judged.report.with_overall(overall))


def _wrong_size(test: BenchTest) -> int | None:
    return next((row.size_bytes for row in test.rows if any(place.wrong for place in row.placements)), None)


def narrow(hosts: Sequence[str], is_wrong: Callable[[Sequence[str]], bool]) -> tuple[str, ...]:
    """Narrow down who is at fault, by halves.

    Parameters: hosts that together show the fault; whether a part of them shows it too.
    Returns: the smallest group found that shows it. It stays with a group where both of its
    halves show the fault, or where neither does: there it takes some of either.
    """
    suspects = tuple(hosts)
    while len(suspects) > 1:
        middle = (len(suspects) + 1) // 2
        wrong = [half for half in (suspects[:middle], suspects[middle:]) if is_wrong(half)]
        if len(wrong) != 1:
            break
        suspects = wrong[0]
    return suspects


def with_culprits(judgement: Judgement, suspects: Sequence[str], of_hosts: int) -> Judgement:
    """Name the hosts that wrong data comes from in a judgement, where they are few of all.

    Parameters: the judgement; the smallest group that shows the fault; how many hosts ran.
    """
    if not suspects or len(suspects) > _MOST_NAMED or len(suspects) >= of_hosts > 1:
        return judgement
    together = ", ".join(suspects)
    words = f"it comes from {together}" if len(suspects) == 1 else f"it comes with {together} together"
    found = [problem for problem in judgement.problems if problem.kind == "wrong-data"][:1]
    rest = tuple(problem for problem in judgement.problems if problem not in found)
    told = tuple(
        replace(problem, text=f"{problem.text}; {words}", remedy=_CHECK, host=host)
        for problem in found
        for host in suspects
    )
    return replace(judgement, reason=f"{judgement.reason}; {words}", problems=(*told, *rest))
