"""Judged tests as the JSON that users and programs read."""

from __future__ import annotations

from collections.abc import Sequence

from clusterboot.programs.records import PLACEMENTS, BenchTest, LogReport, Placement, Problem, Row

Json = dict[str, object]

_TEST = ("collective", "tool", "layout", "version")
# The project's own program says what carried the data; a log of nccl-tests says neither.
_OWN = ("library", "shares_gpus")
_RANK = ("rank", "group", "pid", "host", "device", "bus_id", "name")
_ROW = ("size_bytes", "count", "dtype", "redop", "root")
_PLACEMENT = ("time_us", "algbw_gb_s", "busbw_gb_s", "wrong", "error")
_PROBLEM = ("kind", "host", "line", "text", "remedy", "rank")


def _members(record: object, names: Sequence[str]) -> Json:
    return {name: getattr(record, name) for name in names}


def _row(row: Row) -> Json:
    places: dict[str, Placement | None] = {name: row.placement(name) for name in PLACEMENTS}
    return {
        **_members(row, _ROW),
        **{name: None if place is None else _members(place, _PLACEMENT) for name, place in places.items()},
    }


def _problems(problems: Sequence[Problem]) -> list[Json]:
    return [_members(problem, _PROBLEM) for problem in problems]


def bench_test_to_json(test: BenchTest) -> Json:
    """Give one test in the form of ``tests[]``: what the log does not say is ``None``."""
    peak_gb_s, peak_bytes = test.peak or (None, None)
    return {
        **_members(test, (*_TEST, *_OWN) if test.library else _TEST),
        "ranks": [_members(rank, _RANK) for rank in test.ranks],
        "rows": [_row(row) for row in test.rows],
        "avg_busbw_gb_s": test.avg_busbw_gb_s,
        "peak_busbw_gb_s": peak_gb_s,
        "peak_size_bytes": peak_bytes,
        "out_of_bounds": test.out_of_bounds,
        "verdict": test.verdict,
        "problems": _problems(test.problems),
    }


def to_json(report: LogReport) -> Json:
    """Give one judged log in the form of ``files[]``."""
    tests = [bench_test_to_json(test) for test in report.tests]
    return {**_members(report, ("path", "verdict")), "tests": tests, "problems": _problems(report.problems)}
