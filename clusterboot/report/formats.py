"""Benchmark results for other programs: CSV, JUnit XML, Prometheus text; all pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from clusterboot.printable import one_line
from clusterboot.programs.records import (
    PLACEMENTS,
    BenchTest,
    LogReport,
    Placement,
    PlacementName,
    Problem,
    Verdict,
)
from clusterboot.verdict.bandwidth import plateaus

from .writers import Case, Sample, csv_cell, csv_text, junit_text, prometheus_text

CSV_COLUMNS = (
    *(
        "path",
        "test",
        "collective",
        "layout",
        "verdict",
        "ranks",
        "size_bytes",
        "count",
        "dtype",
        "redop",
        "root",
    ),
    *("placement", "time_us", "algbw_gbps", "busbw_gbps", "wrong", "error"),
    *("library", "shares_gpus"),
)
_VERDICTS: tuple[Verdict, ...] = (
    *("ok", "slow", "wrong-data", "failed", "hung", "could-not-launch", "inconclusive"),
)


def to_csv(report: LogReport) -> str:
    """Write a log's rows as CSV, one line a size and placement, with one line of column names.

    Columns: ``path``; ``test``, counted from 1; ``collective``, ``layout``, ``verdict`` and
    ``ranks`` of the test; ``size_bytes``, ``count``, ``dtype``, ``redop``, ``root``;
    ``placement`` (``out_of_place``, ``in_place``); ``time_us``; ``algbw_gbps`` and
    ``busbw_gbps`` in 10^9 bytes a second; ``wrong``, a count; ``error``. What the log does not
    say is empty. ``library`` is what carried the data where the log names it; ``shares_gpus`` is
    ``yes`` where several ranks used one GPU, whose bandwidth measures nothing. A test without
    rows has one line without figures.
    Source: RFC 4180; text that a spreadsheet would take for a formula is preceded by ``'``.
    """
    return csv_text(CSV_COLUMNS, _csv_rows(report))


def _csv_rows(report: LogReport) -> Iterator[list[object]]:
    for number, test in enumerate(report.tests, 1):
        head = [
            csv_cell(report.path),
            number,
            csv_cell(test.collective),
            test.layout or "",
            test.verdict or "",
            len(test.ranks),
        ]
        tail = [csv_cell(test.library), "yes" if test.shares_gpus else ""]
        yield from ([*head, *cells, *tail] for cells in _csv_cells(test))


def _csv_cells(test: BenchTest) -> Iterator[list[object]]:
    if not test.rows:
        yield [""] * (len(CSV_COLUMNS) - 8)
    for row in test.rows:
        for name in PLACEMENTS:
            place = row.placement(name)
            if place is not None:
                what = [
                    row.size_bytes,
                    row.count,
                    csv_cell(row.dtype),
                    csv_cell(row.redop),
                    _blank(row.root),
                    name,
                ]
                yield [*what, *_figures(place)]


def _figures(place: Placement) -> list[object]:
    return [
        _blank(value)
        for value in (place.time_us, place.algbw_gbps, place.busbw_gbps, place.wrong, place.error)
    ]


def _blank(value: object) -> object:
    return "" if value is None else value


def to_junit(report: LogReport) -> str:
    """Write a log's verdicts as JUnit XML, for CI systems.

    One ``testsuite`` named ``clusterboot.nccl`` with one ``testcase`` a test, or one for a
    log without any; ``classname`` is the log's path, ``name`` the collective, numbered where it
    comes again. A ``property`` named ``library`` says what carried the data, ``shares_gpus`` that
    ranks used one GPU, whose bandwidth measures nothing. ``ok`` passes; ``inconclusive`` and
    ``could-not-launch`` are ``error``; the others are ``failure``. ``type`` is the verdict,
    ``message`` the first problem, the text all
    of them with host, line and remedy. ``time`` is the sum of the rows' times in seconds.
    Source: the schema that Jenkins and GitLab read.
    """
    return junit_text("clusterboot.nccl", report.path or "nccl-tests", list(_cases(report)))


_ERRORS: tuple[Verdict, ...] = ("inconclusive", "could-not-launch")


def _cases(report: LogReport) -> Iterator[Case]:
    seen: dict[str, int] = {}
    worst_told = report.verdict == "ok"
    for test in report.tests:
        name = test.collective or "unknown"
        seen[name] = seen.get(name, 0) + 1
        verdict = test.verdict or "inconclusive"
        worst_told = worst_told or verdict == report.verdict
        about = {"library": test.library} if test.library else {}
        about |= {"shares_gpus": "no measure of bandwidth"} if test.shares_gpus else {}
        shown = f"{name} {seen[name]}" if seen[name] > 1 else name
        yield _case(shown, verdict, test.problems, _time_s(test), about)
    if not worst_told:
        # What stands outside the tests decided: without a case of its own it would be lost.
        yield _case("log", report.verdict, report.problems, 0.0, {})


def _case(
    name: str, verdict: Verdict, problems: tuple[Problem, ...], time_s: float, about: dict[str, str]
) -> Case:
    if verdict == "ok":
        return Case(name, time_s=time_s, properties=about)
    kind: Literal["error", "failure"] = "error" if verdict in _ERRORS else "failure"
    message = problems[0].text if problems else verdict
    text = "\n".join(_told(problem) for problem in problems)
    return Case(name, kind, verdict, message, text, time_s, about)


def _time_s(test: BenchTest) -> float:
    times = [place.time_us for row in test.rows for place in row.placements if place.time_us is not None]
    return sum(times) / 1e6


def _told(problem: Problem) -> str:
    return f"{problem.where}{problem.kind}: {one_line(problem.text, 300)}; {problem.remedy}"


def to_prometheus(report: LogReport) -> str:
    """Write a log's figures in Prometheus' text format, for the node exporter's textfile collector.

    ``clusterboot_nccl_verdict{path,test,collective,verdict}`` is 1 for a test's verdict and 0
    for the others; ``clusterboot_nccl_busbw_bytes_per_second`` and ``…_time_seconds`` with
    ``{path,test,collective,dtype,redop,root,size_bytes,placement}`` have each row of the largest size
    of each series; ``clusterboot_nccl_plateau_busbw_bytes_per_second{path,test,collective,placement}``
    the median sustained at the large end; ``clusterboot_nccl_wrong_values`` and
    ``clusterboot_nccl_problems{kind}`` count; ``clusterboot_nccl_shares_gpus`` is 1 where ranks
    shared a GPU, and then no bandwidth is given. Base units, as Prometheus asks for: bytes and seconds.
    """
    return prometheus_text(_all_samples(report))


def _all_samples(report: LogReport) -> Iterator[Sample]:
    for number, test in enumerate(report.tests, 1):
        base = {"path": report.path or "", "test": str(number), "collective": test.collective or "unknown"}
        yield from _samples(test, base)
    overall = {"path": report.path or ""}
    for verdict in _VERDICTS:
        labels = {**overall, "verdict": verdict}
        text = "1 for the verdict of the whole log."
        yield "clusterboot_nccl_log_verdict", text, labels, float(verdict == report.verdict)
    for kind in sorted({problem.kind for problem in report.problems}):
        count = sum(problem.kind == kind for problem in report.problems)
        labels = {**overall, "kind": kind}
        yield "clusterboot_nccl_problems", "Problems of the log, by kind.", labels, float(count)


def _samples(test: BenchTest, base: dict[str, str]) -> Iterator[Sample]:
    for verdict in _VERDICTS:
        labels = {**base, "verdict": verdict}
        yield "clusterboot_nccl_verdict", "1 for the test's verdict.", labels, float(test.verdict == verdict)
    name = "clusterboot_nccl_shares_gpus"
    yield name, "1 where ranks shared a GPU: no measure of bandwidth.", base, float(test.shares_gpus)
    for plateau in () if test.shares_gpus else plateaus(test):
        labels = {**base, "placement": plateau.placement}
        name = "clusterboot_nccl_plateau_busbw_bytes_per_second"
        text = "Median bus bandwidth sustained at the large end of the sweep."
        yield name, text, labels, plateau.busbw_gbps * 1e9
    for labels, place in _largest(test, base):
        if place.busbw_gbps is not None and not test.shares_gpus:
            name = "clusterboot_nccl_busbw_bytes_per_second"
            yield name, "Bus bandwidth at the largest size.", labels, place.busbw_gbps * 1e9
        if place.time_us is not None:
            yield "clusterboot_nccl_time_seconds", "Time of the largest size.", labels, place.time_us / 1e6
    wrong = [place.wrong for row in test.rows for place in row.placements if place.wrong is not None]
    if wrong:
        yield "clusterboot_nccl_wrong_values", "Wrong values of all rows.", base, float(sum(wrong))


def _largest(test: BenchTest, base: dict[str, str]) -> Iterator[tuple[dict[str, str], Placement]]:
    """Give the last row of the largest size of each type, op and root."""
    rows = {}
    for row in sorted(test.rows, key=lambda row: row.size_bytes):
        rows[row.dtype, row.redop, row.root] = row
    for row in rows.values():
        for name in PLACEMENTS:
            place = row.placement(name)
            if place is not None:
                yield {**base, **_row_labels(row.dtype, row.redop, row.root, row.size_bytes, name)}, place


def _row_labels(
    dtype: str, redop: str | None, root: int | None, size_bytes: int, placement: PlacementName
) -> dict[str, str]:
    return {
        "dtype": dtype,
        "redop": redop or "",
        "root": "" if root is None else str(root),
        "size_bytes": str(size_bytes),
        "placement": placement,
    }


FORMATS = {"csv": to_csv, "junit": to_junit, "prometheus": to_prometheus}
