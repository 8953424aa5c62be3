"""Benchmarks and link maps for other programs: CSV, JUnit XML, Prometheus text; all pure.

Sources: RFC 4180; the JUnit schema that Jenkins and GitLab read; Prometheus' "Exposition formats" and
"Metric and label naming".
"""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple
from xml.etree import ElementTree

import numpy as np

from clusterboot.linkmap.pair_matrix import Finding, Inference, PairMatrix, Rates
from clusterboot.printable import one_line, printable
from clusterboot.programs.records import PLACEMENTS, BenchTest, LogReport, Placement, Problem
from clusterboot.verdict.bandwidth import plateaus

CSV_COLUMNS = (
    *("path", "test", "collective", "layout", "verdict", "ranks", "size_bytes", "count", "dtype", "redop"),
    *("root", "placement", "time_us", "algbw_gb_s", "busbw_gb_s", "wrong", "error", "library", "shares_gpus"),
)
MATRIX_COLUMNS = ("sender", "receiver", "bandwidth_gb_s", "one_way_gb_s", "latency_us")
_VERDICTS = ("ok", "slow", "wrong-data", "failed", "hung", "could-not-launch", "inconclusive")
_MATRIX_VERDICTS = ("ok", "slow", "inconclusive")
# These are an ``error`` of JUnit's, every other bad verdict a ``failure``.
_ERRORS = ("inconclusive", "could-not-launch")
# What a cell may not begin with, because spreadsheets would run it.
_FORMULA = ("=", "+", "-", "@")
# XML 1.0 has no way to write these.
_NOT_XML = re.compile("[^\\t\\n\\r\\x20-\\ud7ff\\ue000-\\ufffd\\U00010000-\\U0010ffff]")

#: A metric's name, what it is in words, its labels and its value.
Sample = tuple[str, str, Mapping[str, str], float]


class _Case(NamedTuple):
    """A test case of JUnit's. ``kind`` is ``None`` where it passed, else ``failure`` or ``error``."""

    name: str
    kind: str | None = None
    type: str = ""
    message: str = ""
    text: str = ""
    time_s: float | None = None
    properties: Mapping[str, str] = {}


def to_csv(report: LogReport) -> str:
    """Write a log's rows as CSV, one line a size and placement, with one line of column names.

    Columns: ``path``; ``test``, counted from 1; ``collective``, ``layout``, ``verdict`` and
    ``ranks`` of the test; ``size_bytes``, ``count``, ``dtype``, ``redop``, ``root``;
    ``placement`` (``out_of_place``, ``in_place``); ``time_us``; ``algbw_gb_s`` and
    ``busbw_gb_s`` in 10^9 bytes a second; ``wrong``, a count; ``error``. What the log does not
    say is empty. ``library`` is what carried the data where the log names it; ``shares_gpus`` is
    ``yes`` where several ranks used one GPU, whose bandwidth measures nothing. A test without
    rows has one line without figures. Text that a spreadsheet would take for a formula is preceded by ``'``.
    """
    lines = []
    for number, test in enumerate(report.tests, 1):
        head = [report.path, number, test.collective, test.layout, test.verdict, len(test.ranks)]
        tail = [test.library, "yes" if test.shares_gpus else ""]
        cells: list[list[object]] = [
            [
                *(row.size_bytes, row.count, row.dtype, row.redop, row.root, name),
                *(place.time_us, place.algbw_gb_s, place.busbw_gb_s, place.wrong, place.error),
            ]
            for row in test.rows
            for name in PLACEMENTS
            if (place := row.placement(name)) is not None
        ]
        cells = cells if test.rows else [[None] * (len(CSV_COLUMNS) - len(head) - len(tail))]
        lines += [[_cell(value) for value in (*head, *each, *tail)] for each in cells]
    return _csv(CSV_COLUMNS, lines)


def matrix_to_csv(matrix: PairMatrix) -> str:
    """Write each measured direction of each pair on a line, under one line of column names.

    ``bandwidth_gb_s`` and ``one_way_gb_s`` are 10^9 bytes a second, 0 for dead; what is not known
    is empty. The findings are in the other formats.
    """
    of_pair = (matrix.bandwidth_gb_s, matrix.one_way_gb_s, matrix.latency_us)
    names = [_cell(node) for node in matrix.nodes]
    pairs = ((at, to, (_figure(rates, at, to) for rates in of_pair)) for at, to in _measured(matrix))
    rows = (
        (names[at], names[to], *("" if np.isnan(figure) else f"{figure:.10g}" for figure in figures))
        for at, to, figures in pairs
    )
    return _csv(MATRIX_COLUMNS, rows)


def _csv(columns: Sequence[str], rows: Iterable[Iterable[object]]) -> str:
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(columns)
    writer.writerows(rows)
    return out.getvalue()


def _cell(value: object) -> object:
    if not isinstance(value, str):
        return value
    clean = one_line(value, 4000)
    return f"'{clean}" if clean.startswith(_FORMULA) else clean


def to_junit(report: LogReport) -> str:
    """Write a log's verdicts as JUnit XML, for CI systems.

    One ``testsuite`` named ``clusterboot.nccl`` with one ``testcase`` a test, or one for a
    log without any; ``classname`` is the log's path, ``name`` the collective, numbered where it
    comes again. A ``property`` named ``library`` says what carried the data, ``shares_gpus`` that
    ranks used one GPU, whose bandwidth measures nothing. ``ok`` passes; ``inconclusive`` and
    ``could-not-launch`` are ``error``; the others are ``failure``. ``type`` is the verdict,
    ``message`` the first problem, the text all
    of them with host, line and remedy. ``time`` is the sum of the rows' times in seconds.
    """
    cases: list[_Case] = []
    seen: Counter[str] = Counter()
    for test in report.tests:
        name = test.collective or "unknown"
        seen[name] += 1
        about = {"library": test.library} if test.library else {}
        about |= {"shares_gpus": "no measure of bandwidth"} if test.shares_gpus else {}
        times = [place.time_us for row in test.rows for place in row.placements if place.time_us is not None]
        shown = f"{name} {seen[name]}" if seen[name] > 1 else name
        cases.append(_case(shown, test.verdict or "inconclusive", test.problems, sum(times) / 1e6, about))
    if report.verdict not in ("ok", *(test.verdict or "inconclusive" for test in report.tests)):
        # What stands outside the tests decided: without a case of its own it would be lost.
        cases.append(_case("log", report.verdict, report.problems, 0.0, {}))
    return _junit("clusterboot.nccl", report.path or "nccl-tests", cases)


def _case(
    name: str, verdict: str, problems: Sequence[Problem], time_s: float, about: Mapping[str, str]
) -> _Case:
    if verdict == "ok":
        return _Case(name, time_s=time_s, properties=about)
    text = "\n".join(f"{p.where}{p.kind}: {one_line(p.text, 300)}; {p.remedy}" for p in problems)
    kind = "error" if verdict in _ERRORS else "failure"
    return _Case(name, kind, verdict, problems[0].text if problems else verdict, text, time_s, about)


def matrix_to_junit(matrix: PairMatrix, inference: Inference) -> str:
    """Write the findings as JUnit XML, for CI systems.

    One ``testsuite`` named ``clusterboot.link-map`` with a ``testcase`` a node, and one a link or
    group that is at fault. A finding is a ``failure``, one that is not certain or not measured an
    ``error``; a verdict that no finding bears out has a case of its own, ``map``.
    """

    def of_finding(name: str, finding: Finding) -> _Case:
        unsure = finding.next_pairs or finding.fraction_of_expected is None
        kind = "error" if unsure else "failure"
        return _Case(name, kind, inference.verdict, finding.evidence, finding.evidence)

    single = [each for each in inference.findings if each.kind == "node" and len(each.hosts) == 1]
    of_node = {each.hosts[0]: each for each in single}
    cases = [of_finding(node, of_node[node]) if node in of_node else _Case(node) for node in matrix.nodes]
    cases += [
        of_finding(f"{each.kind} {'-'.join(each.hosts)}", each)
        for each in inference.findings
        if each not in single
    ]
    if inference.verdict != "ok" and not inference.findings:
        told = "; ".join(inference.notes) or inference.verdict
        cases.append(_Case("map", "error", inference.verdict, told, told))
    return _junit("clusterboot.link-map", "link-map", cases)


def _junit(suite: str, classname: str, cases: Sequence[_Case]) -> str:
    counts = {
        "tests": str(len(cases)),
        "failures": str(sum(case.kind == "failure" for case in cases)),
        "errors": str(sum(case.kind == "error" for case in cases)),
    }
    root = ElementTree.Element("testsuites", counts)
    inside = ElementTree.SubElement(root, "testsuite", {"name": suite, **counts, "skipped": "0"})
    for case in cases:
        about = {"classname": _xml(classname), "name": _xml(case.name)}
        about |= {} if case.time_s is None else {"time": f"{case.time_s:.6f}"}
        element = ElementTree.SubElement(inside, "testcase", about)
        if case.properties:
            properties = ElementTree.SubElement(element, "properties")
            for name, value in case.properties.items():
                ElementTree.SubElement(properties, "property", {"name": name, "value": _xml(value)})
        if case.kind:
            words = {"type": case.type, "message": _xml(one_line(case.message, 300))}
            ElementTree.SubElement(element, case.kind, words).text = _xml(case.text)
    ElementTree.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ElementTree.tostring(root, encoding="unicode") + "\n"


def _xml(text: str) -> str:
    return _NOT_XML.sub("", printable(text))


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
    return _prometheus("clusterboot_nccl_", _samples(report))


def _samples(report: LogReport) -> Iterator[Sample]:
    overall = {"path": report.path or ""}
    for number, test in enumerate(report.tests, 1):
        of_test = {**overall, "test": str(number), "collective": test.collective or "unknown"}
        yield from _of_test(test, of_test)
    yield from _verdicts("log_verdict", "the verdict of the whole log", overall, _VERDICTS, report.verdict)
    for kind, count in sorted(Counter(problem.kind for problem in report.problems).items()):
        yield "problems", "Problems of the log, by kind.", {**overall, "kind": kind}, count


def _of_test(test: BenchTest, base: Mapping[str, str]) -> Iterator[Sample]:
    yield from _verdicts("verdict", "the test's verdict", base, _VERDICTS, test.verdict)
    yield "shares_gpus", "1 where ranks shared a GPU: no measure of bandwidth.", base, test.shares_gpus
    for plateau in () if test.shares_gpus else plateaus(test):
        text = "Median bus bandwidth sustained at the large end of the sweep."
        labels = {**base, "placement": plateau.placement}
        yield "plateau_busbw_bytes_per_second", text, labels, plateau.busbw_gb_s * 1e9
    for labels, place in _largest(test, base):
        if place.busbw_gb_s is not None and not test.shares_gpus:
            text = "Bus bandwidth at the largest size."
            yield "busbw_bytes_per_second", text, labels, place.busbw_gb_s * 1e9
        if place.time_us is not None:
            yield "time_seconds", "Time of the largest size.", labels, place.time_us / 1e6
    wrong = [place.wrong for row in test.rows for place in row.placements if place.wrong is not None]
    if wrong:
        yield "wrong_values", "Wrong values of all rows.", base, sum(wrong)


def _largest(test: BenchTest, base: Mapping[str, str]) -> Iterator[tuple[dict[str, str], Placement]]:
    """Give the last row of the largest size of each type, op and root."""
    by_size = sorted(test.rows, key=lambda row: row.size_bytes)
    for row in {(row.dtype, row.redop, row.root): row for row in by_size}.values():
        root = "" if row.root is None else str(row.root)
        labels = {**base, "dtype": row.dtype, "redop": row.redop or "", "root": root}
        for name in PLACEMENTS:
            if (place := row.placement(name)) is not None:
                yield {**labels, "size_bytes": str(row.size_bytes), "placement": name}, place


def matrix_to_prometheus(matrix: PairMatrix, inference: Inference) -> str:
    """Write the map in Prometheus' text format, for the node exporter's textfile collector.

    ``clusterboot_link_verdict{verdict}`` is 1 for the map's verdict and 0 for the others;
    ``clusterboot_link_finding_of_expected_ratio{kind,hosts,where,direction,certain}`` is measured over
    expected, 0 for dead and -1 for not measured; ``clusterboot_link_bandwidth_bytes_per_second`` and
    ``clusterboot_link_latency_seconds`` with ``{sender,receiver}`` have the pairs. Base units: bytes
    and seconds.
    """
    return _prometheus("clusterboot_link_", _of_matrix(matrix, inference))


def _of_matrix(matrix: PairMatrix, inference: Inference) -> Iterator[Sample]:
    yield from _verdicts("verdict", "the map's verdict", {}, _MATRIX_VERDICTS, inference.verdict)
    for finding in inference.findings:
        labels = {"kind": finding.kind, "hosts": ",".join(finding.hosts), "where": finding.where or ""}
        labels |= {"direction": finding.direction, "certain": "0" if finding.next_pairs else "1"}
        fraction = -1.0 if finding.fraction_of_expected is None else finding.fraction_of_expected
        yield "finding_of_expected_ratio", "Measured over expected.", labels, fraction
    for at, to in _measured(matrix):
        labels = {"sender": matrix.nodes[at], "receiver": matrix.nodes[to]}
        rate = float(matrix.bandwidth_gb_s[at, to]) * 1e9
        yield "bandwidth_bytes_per_second", "Bandwidth, 0 for dead.", labels, rate
        latency_us = _figure(matrix.latency_us, at, to)
        if not np.isnan(latency_us):
            yield "latency_seconds", "Latency one way.", labels, latency_us / 1e6


def _measured(matrix: PairMatrix) -> Iterator[tuple[int, int]]:
    return ((int(at), int(to)) for at, to in np.argwhere(~np.isnan(matrix.bandwidth_gb_s)))


def _figure(rates: Rates | None, at: int, to: int) -> float:
    return float("nan") if rates is None else float(rates[at, to])


def _verdicts(
    name: str, what: str, base: Mapping[str, str], verdicts: Iterable[str], is_it: str | None
) -> Iterator[Sample]:
    for verdict in verdicts:
        yield name, f"1 for {what}.", {**base, "verdict": verdict}, verdict == is_it


def _prometheus(prefix: str, samples: Iterable[Sample]) -> str:
    """Write samples, those of a metric together."""
    families: dict[str, dict[str, None]] = {}
    for name, text, labels, value in samples:
        words = ",".join(f'{label}="{_label(said)}"' for label, said in labels.items())
        head = f"# HELP {prefix}{name} {text}\n# TYPE {prefix}{name} gauge"
        families.setdefault(head, {})[f"{prefix}{name}{{{words}}} {float(value):.10g}"] = None
    return "".join("\n".join((head, *lines)) + "\n" for head, lines in families.items())


def _label(text: str) -> str:
    return printable(text).replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


FORMATS = {"csv": to_csv, "junit": to_junit, "prometheus": to_prometheus}
MATRIX_FORMATS: dict[str, Callable[[PairMatrix, Inference], str]] = {
    "csv": lambda matrix, _: matrix_to_csv(matrix),
    "junit": matrix_to_junit,
    "prometheus": matrix_to_prometheus,
}
