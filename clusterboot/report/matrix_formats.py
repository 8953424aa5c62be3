"""Link maps for other programs: CSV, JUnit XML, Prometheus text; all pure."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from xml.etree import ElementTree

import numpy as np

from clusterboot.diagnose.matrix.records import Finding, Inference, MatrixVerdict, PairMatrix, Rates
from clusterboot.printable import one_line
from clusterboot.report.escapes import csv_cell, prometheus_sample, xml_text

CSV_COLUMNS = ("sender", "receiver", "bandwidth_gbps", "one_way_gbps", "latency_us")
_VERDICTS: tuple[MatrixVerdict, ...] = ("ok", "slow", "inconclusive")


def matrix_to_csv(matrix: PairMatrix) -> str:
    """Write each measured direction of each pair on a line, under one line of column names.

    ``bandwidth_gbps`` and ``one_way_gbps`` are 10^9 bytes a second, 0 for dead; what is not known
    is empty. The findings are in the other formats. Source: RFC 4180.
    """
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(CSV_COLUMNS)
    further = [matrix.one_way_gbps, matrix.latency_us]
    for at, to in _measured(matrix):
        cells = [matrix.bandwidth_gbps[at, to], *(_figure(rates, at, to) for rates in further)]
        names = [csv_cell(matrix.nodes[at]), csv_cell(matrix.nodes[to])]
        writer.writerow([*names, *("" if np.isnan(cell) else f"{cell:.10g}" for cell in cells)])
    return out.getvalue()


def matrix_to_junit(matrix: PairMatrix, inference: Inference) -> str:
    """Write the findings as JUnit XML, for CI systems.

    One ``testsuite`` named ``clusterboot.link-map`` with a ``testcase`` a node, and one a link or
    group that is at fault. A finding is a ``failure``, one that is not certain or not measured an
    ``error``; a verdict that no finding bears out has a case of its own, ``map``.
    Source: the schema that Jenkins and GitLab read.
    """
    cases = list(_cases(matrix, inference))
    counts = {
        "tests": str(len(cases)),
        "failures": str(sum(kind == "failure" for _, kind, _ in cases)),
        "errors": str(sum(kind == "error" for _, kind, _ in cases)),
    }
    root = ElementTree.Element("testsuites", counts)
    suite = ElementTree.SubElement(
        root, "testsuite", {"name": "clusterboot.link-map", **counts, "skipped": "0"}
    )
    for name, kind, told in cases:
        attributes = {"classname": "link-map", "name": xml_text(name)}
        case = ElementTree.SubElement(suite, "testcase", attributes)
        if kind:
            words = {"type": inference.verdict, "message": xml_text(one_line(told, 300))}
            ElementTree.SubElement(case, kind, words).text = xml_text(told)
    ElementTree.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ElementTree.tostring(root, encoding="unicode") + "\n"


def matrix_to_prometheus(matrix: PairMatrix, inference: Inference) -> str:
    """Write the map in Prometheus' text format, for the node exporter's textfile collector.

    ``clusterboot_link_verdict{verdict}`` is 1 for the map's verdict and 0 for the others;
    ``clusterboot_link_finding_severity{kind,hosts,where,direction,certain}`` is measured over
    expected, 0 for dead and -1 for not measured; ``clusterboot_link_bandwidth_bytes_per_second`` and
    ``clusterboot_link_latency_seconds`` with ``{sender,receiver}`` have the pairs. Base units: bytes
    and seconds. Source: Prometheus' "Exposition formats" and "Metric and label naming".
    """
    families: dict[str, tuple[str, list[str]]] = {}
    for name, text, labels, value in _samples(matrix, inference):
        families.setdefault(name, (text, []))[1].append(prometheus_sample(name, labels, value))
    lines = []
    for name, (text, samples) in families.items():
        lines += [f"# HELP {name} {text}", f"# TYPE {name} gauge", *dict.fromkeys(samples)]
    return "\n".join(lines) + "\n"


def _measured(matrix: PairMatrix) -> Iterator[tuple[int, int]]:
    return ((int(at), int(to)) for at, to in np.argwhere(~np.isnan(matrix.bandwidth_gbps)))


def _figure(rates: Rates | None, at: int, to: int) -> float:
    return float("nan") if rates is None else float(rates[at, to])


def _cases(matrix: PairMatrix, inference: Inference) -> Iterator[tuple[str, str, str]]:
    """Give each case's name, its kind where it did not pass, and what is said then."""
    alone = {each.hosts[0]: each for each in inference.findings if _is_of_one_node(each)}
    for node in matrix.nodes:
        yield (node, _kind(alone[node]), alone[node].evidence) if node in alone else (node, "", "")
    for finding in inference.findings:
        if not _is_of_one_node(finding):
            yield f"{finding.kind} {'-'.join(finding.hosts)}", _kind(finding), finding.evidence
    if inference.verdict != "ok" and not inference.findings:
        yield "map", "error", "; ".join(inference.notes) or inference.verdict


def _is_of_one_node(finding: Finding) -> bool:
    return finding.kind == "node" and len(finding.hosts) == 1


def _kind(finding: Finding) -> str:
    return "error" if finding.next_pairs or finding.severity is None else "failure"


def _samples(matrix: PairMatrix, inference: Inference) -> Iterator[tuple[str, str, dict[str, str], float]]:
    labels: dict[str, str]
    for verdict in _VERDICTS:
        labels = {"verdict": verdict}
        is_it = float(verdict == inference.verdict)
        yield "clusterboot_link_verdict", "1 for the map's verdict.", labels, is_it
    for finding in inference.findings:
        labels = {
            "kind": finding.kind,
            "hosts": ",".join(finding.hosts),
            "where": finding.where or "",
            "direction": finding.direction,
            "certain": "0" if finding.next_pairs else "1",
        }
        severity = -1.0 if finding.severity is None else finding.severity
        yield "clusterboot_link_finding_severity", "Measured over expected.", labels, severity
    for at, to in _measured(matrix):
        labels = {"sender": matrix.nodes[at], "receiver": matrix.nodes[to]}
        rate = float(matrix.bandwidth_gbps[at, to]) * 1e9
        yield "clusterboot_link_bandwidth_bytes_per_second", "Bandwidth, 0 for dead.", labels, rate
        latency_us = _figure(matrix.latency_us, at, to)
        if not np.isnan(latency_us):
            yield "clusterboot_link_latency_seconds", "Latency one way.", labels, latency_us / 1e6
