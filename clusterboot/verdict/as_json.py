"""Judged tests as the JSON that users and programs read."""

from __future__ import annotations

from typing import Any, TypeVar, cast

from typing_extensions import NotRequired, TypedDict

from clusterboot.programs.records import (
    PLACEMENTS,
    BenchTest,
    Layout,
    LogReport,
    Problem,
    ProblemKind,
    Row,
    Tool,
    Verdict,
)

T = TypeVar("T")


class ProblemJson(TypedDict):
    """Something in a log that an administrator has to know."""

    kind: ProblemKind
    host: str | None
    """Who says it, or whom it is about; null where the log does not say."""
    line: int | None
    """Line of the log, from 1; null where nothing is there to point at."""
    text: str
    remedy: str
    rank: int | None


class RankJson(TypedDict):
    """One rank as the benchmark's own list of devices has it; null where that says nothing."""

    rank: int
    group: int | None
    """Which of several jobs it belongs to."""
    pid: int | None
    host: str | None
    device: int | None
    bus_id: str | None
    name: str | None
    """Of the device."""


class PlacementJson(TypedDict):
    """One half of a row. What the log does not say is null, never 0."""

    time_us: float | None
    """Microseconds."""
    algbw_gb_s: float | None
    """Algorithm bandwidth, 10^9 bytes a second."""
    busbw_gb_s: float | None
    """Bus bandwidth, 10^9 bytes a second."""
    wrong: int | None
    """How many elements were wrong; null where the data were not checked, and in layouts 1 and 2.0."""
    error: float | None
    """The largest deviation, which layouts 1 and 2.0 print."""


class RowJson(TypedDict):
    """One message size of one test."""

    size_bytes: int
    count: int | None
    """Elements."""
    dtype: str
    redop: str | None
    root: int | None
    """As printed: -1 is any."""
    out_of_place: PlacementJson | None
    in_place: PlacementJson | None


class BenchTestJson(TypedDict):
    """One table of a log."""

    collective: str | None
    tool: Tool
    layout: Layout | None
    """The table's form, called after the version of nccl-tests that brought it."""
    version: str | None
    """Of nccl-tests, where the log has it."""
    library: NotRequired[str]
    """What carried the data, where the log says so."""
    shares_gpus: NotRequired[bool]
    """Whether several ranks used one GPU: then nothing is said of bandwidths."""
    ranks: list[RankJson]
    rows: list[RowJson]
    avg_busbw_gb_s: float | None
    """The log's own average of all rows, 10^9 bytes a second."""
    peak_busbw_gb_s: float | None
    """The best of both placements, 10^9 bytes a second."""
    peak_size_bytes: int | None
    """The size of the best."""
    out_of_bounds: int | None
    verdict: Verdict | None
    problems: list[ProblemJson]


class LogJson(TypedDict):
    """One log: its tests, the worst verdict, and all problems, also those outside of its tests."""

    path: str | None
    verdict: Verdict
    tests: list[BenchTestJson]
    problems: list[ProblemJson]


def _members(kind: type[T], record: object, **others: Any) -> T:
    """Give a record in the form of ``kind``: members of the same names, others as they are given."""
    names = [name for name in kind.__annotations__ if name not in others]
    return cast("T", {name: getattr(record, name) for name in names} | others)


def _row(row: Row) -> RowJson:
    places = {name: row.placement(name) for name in PLACEMENTS}
    found = {name: place and _members(PlacementJson, place) for name, place in places.items()}
    return _members(RowJson, row, **found)


def problem_to_json(problem: Problem) -> ProblemJson:
    """Give one problem in the form of ``problems[]``."""
    return _members(ProblemJson, problem)


def bench_test_to_json(test: BenchTest) -> BenchTestJson:
    """Give one test in the form of ``tests[]``: what the log does not say is ``None``."""
    peak_gb_s, peak_bytes = test.peak or (None, None)
    found = _members(
        BenchTestJson,
        test,
        ranks=[_members(RankJson, rank) for rank in test.ranks],
        rows=[_row(row) for row in test.rows],
        peak_busbw_gb_s=peak_gb_s,
        peak_size_bytes=peak_bytes,
        problems=[problem_to_json(problem) for problem in test.problems],
    )
    if not test.library:
        # A log of nccl-tests does not say what carried the data, and not whether ranks shared GPUs.
        del found["library"], found["shares_gpus"]
    return found


def to_json(report: LogReport) -> LogJson:
    """Give one judged log in the form of ``files[]``."""
    return {
        "path": report.path,
        "verdict": report.verdict,
        "tests": [bench_test_to_json(test) for test in report.tests],
        "problems": [problem_to_json(problem) for problem in report.problems],
    }
