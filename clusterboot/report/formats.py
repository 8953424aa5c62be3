"""Benchmark results for other programs: CSV, JUnit XML, Prometheus text; all pure."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from xml.etree import ElementTree

from clusterboot.bench.records import (
    PLACEMENTS,
    BenchTest,
    LogReport,
    Placement,
    PlacementName,
    Problem,
    Verdict,
)
from clusterboot.diagnose.bandwidth import plateaus
from clusterboot.printable import one_line
from clusterboot.report.escapes import csv_cell, prometheus_sample, xml_text

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
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(CSV_COLUMNS)
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
        writer.writerows([*head, *cells, *tail] for cells in _csv_cells(test))
    return out.getvalue()


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
    cases = list(_cases(report))
    failures = sum(verdict not in ("ok", *_ERRORS) for _, verdict, *_ in cases)
    errors = sum(verdict in _ERRORS for _, verdict, *_ in cases)
    counts = {"tests": str(len(cases)), "failures": str(failures), "errors": str(errors)}
    root = ElementTree.Element("testsuites", counts)
    suite = ElementTree.SubElement(root, "testsuite", {"name": "clusterboot.nccl", **counts, "skipped": "0"})
    for name, verdict, problems, time_s, about in cases:
        attributes = {
            "classname": xml_text(report.path or "nccl-tests"),
            "name": xml_text(name),
            "time": f"{time_s:.6f}",
        }
        case = ElementTree.SubElement(suite, "testcase", attributes)
        if about:
            properties = ElementTree.SubElement(case, "properties")
            for key, value in about.items():
                ElementTree.SubElement(properties, "property", {"name": key, "value": xml_text(value)})
        if verdict == "ok":
            continue
        kind = "error" if verdict in _ERRORS else "failure"
        message = one_line(problems[0].text, 300) if problems else verdict
        told = ElementTree.SubElement(case, kind, {"type": verdict, "message": xml_text(message)})
        told.text = xml_text("\n".join(_told(problem) for problem in problems))
    ElementTree.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ElementTree.tostring(root, encoding="unicode") + "\n"


_ERRORS: tuple[Verdict, ...] = ("inconclusive", "could-not-launch")


def _cases(report: LogReport) -> Iterator[tuple[str, Verdict, tuple[Problem, ...], float, dict[str, str]]]:
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
        yield shown, verdict, test.problems, _time_s(test), about
    if not worst_told:
        # What stands outside the tests decided: without a case of its own it would be lost.
        yield "log", report.verdict, report.problems, 0.0, {}


def _time_s(test: BenchTest) -> float:
    times = [place.time_us for row in test.rows for place in row.placements if place.time_us is not None]
    return sum(times) / 1e6


def _told(problem: Problem) -> str:
    where = "".join(
        (f"{problem.host}: " if problem.host else "", f"line {problem.line}: " if problem.line else "")
    )
    return f"{where}{problem.kind}: {one_line(problem.text, 300)}; {problem.remedy}"


def to_prometheus(report: LogReport) -> str:
    """Write a log's figures in Prometheus' text format, for the node exporter's textfile collector.

    ``clusterboot_nccl_verdict{path,test,collective,verdict}`` is 1 for a test's verdict and 0
    for the others; ``clusterboot_nccl_busbw_bytes_per_second`` and ``…_time_seconds`` with
    ``{path,test,collective,dtype,redop,root,size_bytes,placement}`` have each row of the largest size
    of each series; ``clusterboot_nccl_plateau_busbw_bytes_per_second{path,test,collective,placement}``
    the median sustained at the large end; ``clusterboot_nccl_wrong_values`` and
    ``clusterboot_nccl_problems{kind}`` count; ``clusterboot_nccl_shares_gpus`` is 1 where ranks
    shared a GPU, and then no bandwidth is given. Base units, as Prometheus asks for: bytes and seconds.
    Source: Prometheus' "Exposition formats" and "Metric and label naming".
    """
    families: dict[str, tuple[str, list[str]]] = {}
    for number, test in enumerate(report.tests, 1):
        base = {"path": report.path or "", "test": str(number), "collective": test.collective or "unknown"}
        for name, text, labels, value in _samples(test, base):
            families.setdefault(name, (text, []))[1].append(prometheus_sample(name, labels, value))
    overall = {"path": report.path or ""}
    name = "clusterboot_nccl_log_verdict"
    families[name] = ("1 for the verdict of the whole log.", [])
    for verdict in _VERDICTS:
        families[name][1].append(
            prometheus_sample(name, {**overall, "verdict": verdict}, float(verdict == report.verdict))
        )
    name = "clusterboot_nccl_problems"
    families[name] = ("Problems of the log, by kind.", [])
    for kind in sorted({problem.kind for problem in report.problems}):
        count = sum(problem.kind == kind for problem in report.problems)
        families[name][1].append(prometheus_sample(name, {**overall, "kind": kind}, float(count)))
    lines = []
    for name, (text, samples) in families.items():
        lines += [f"# HELP {name} {text}", f"# TYPE {name} gauge", *dict.fromkeys(samples)]
    return "\n".join(lines) + "\n"


def _samples(test: BenchTest, base: dict[str, str]) -> Iterator[tuple[str, str, dict[str, str], float]]:
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
