"""Judged tests as the JSON that users and programs read."""

from __future__ import annotations

from clusterboot.programs.records import BenchTest, LogReport, Placement, Problem, Rank, Row

Json = dict[str, object]


def _rank(rank: Rank) -> Json:
    return {
        "rank": rank.rank,
        "group": rank.group,
        "pid": rank.pid,
        "host": rank.host,
        "device": rank.device,
        "bus_id": rank.bus_id,
        "name": rank.name,
    }


def _placement(place: Placement | None) -> Json | None:
    if place is None:
        return None
    return {
        "time_us": place.time_us,
        "algbw_gb_s": place.algbw_gb_s,
        "busbw_gb_s": place.busbw_gb_s,
        "wrong": place.wrong,
        "error": place.error,
    }


def _row(row: Row) -> Json:
    return {
        "size_bytes": row.size_bytes,
        "count": row.count,
        "dtype": row.dtype,
        "redop": row.redop,
        "root": row.root,
        "out_of_place": _placement(row.out_of_place),
        "in_place": _placement(row.in_place),
    }


def _problem(problem: Problem) -> Json:
    return {
        "kind": problem.kind,
        "host": problem.host,
        "line": problem.line,
        "text": problem.text,
        "remedy": problem.remedy,
        "rank": problem.rank,
    }


def bench_test_to_json(test: BenchTest) -> Json:
    """Give one test in the form of ``tests[]``: what the log does not say is ``None``."""
    peak = test.peak
    # The project's own program says what carried the data; a log of nccl-tests says neither.
    own: Json = {"library": test.library, "shares_gpus": test.shares_gpus} if test.library else {}
    return {
        "collective": test.collective,
        "tool": test.tool,
        "layout": test.layout,
        "version": test.version,
        **own,
        "ranks": [_rank(rank) for rank in test.ranks],
        "rows": [_row(row) for row in test.rows],
        "avg_busbw_gb_s": test.avg_busbw_gb_s,
        "peak_busbw_gb_s": peak[0] if peak else None,
        "peak_size_bytes": peak[1] if peak else None,
        "out_of_bounds": test.out_of_bounds,
        "verdict": test.verdict,
        "problems": [_problem(problem) for problem in test.problems],
    }


def to_json(report: LogReport) -> Json:
    """Give one judged log in the form of ``files[]``."""
    return {
        "path": report.path,
        "verdict": report.verdict,
        "tests": [bench_test_to_json(test) for test in report.tests],
        "problems": [_problem(problem) for problem in report.problems],
    }
