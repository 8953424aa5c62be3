"""Link maps for other programs: CSV, JUnit XML, Prometheus text; all pure."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from xml.etree import ElementTree

import numpy as np

from clusterboot.diagnose.matrix.records import Finding, Inference, PairMatrix
from clusterboot.report.folding import fold
from clusterboot.report.formats import cell, sample, xml_text

PAIR_COLUMNS = ("path", "sender", "receiver", "bandwidth_gbps", "latency_us")
_VERDICTS = ("ok", "slow", "inconclusive")


def pairs_to_csv(path: str, matrix: PairMatrix, _: Inference) -> str:
    """Write a matrix as CSV, one line a measured direction, with one line of column names.

    Columns: ``path``; ``sender`` and ``receiver``; ``bandwidth_gbps`` in 10^9 bytes a second, 0
    for dead; ``latency_us``, empty where it was not measured. Source: RFC 4180.
    """
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(PAIR_COLUMNS)
    names = [cell(node) for node in matrix.nodes]
    for at, to in np.argwhere(~np.isnan(matrix.bandwidth_gbps)).tolist():
        latency = np.nan if matrix.latency_us is None else matrix.latency_us[at, to]
        figures = [float(matrix.bandwidth_gbps[at, to]), "" if np.isnan(latency) else float(latency)]
        writer.writerow([cell(path), names[at], names[to], *figures])
    return out.getvalue()


def findings_to_junit(path: str, matrix: PairMatrix, inference: Inference) -> str:
    """Write a map's findings as JUnit XML, for CI systems.

    One ``testsuite`` named ``clusterboot.links`` with one ``testcase`` a node, and one for each
    finding that is of no single node. A node that a certain finding names is a ``failure``; what
    is open, and a map from which nothing can be concluded, an ``error``. ``type`` is the finding's
    kind, ``message`` its evidence. Source: the schema that Jenkins and GitLab read.
    """
    cases = list(_cases(matrix, inference))
    counts = {
        "tests": str(len(cases)),
        "failures": str(sum(how == "failure" for _, how, _, _ in cases)),
        "errors": str(sum(how == "error" for _, how, _, _ in cases)),
    }
    root = ElementTree.Element("testsuites", counts)
    suite = ElementTree.SubElement(root, "testsuite", {"name": "clusterboot.links", **counts, "skipped": "0"})
    for name, how, kind, told in cases:
        attributes = {"classname": xml_text(path), "name": xml_text(name)}
        case = ElementTree.SubElement(suite, "testcase", attributes)
        if how:
            ElementTree.SubElement(case, how, {"type": kind, "message": xml_text(told)}).text = xml_text(told)
    ElementTree.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ElementTree.tostring(root, encoding="unicode") + "\n"


def _cases(matrix: PairMatrix, inference: Inference) -> Iterator[tuple[str, str, str, str]]:
    """Give each case: its name; ``failure``, ``error`` or nothing; the kind; what is told."""
    alone = {
        finding.hosts[0]: finding
        for finding in inference.findings
        if finding.kind == "node" and len(finding.hosts) == 1
    }
    for node in matrix.nodes:
        finding = alone.get(node)
        yield (node, _how(finding), finding.kind, finding.evidence) if finding else (node, "", "", "")
    for finding in inference.findings:
        if finding not in alone.values():
            name = f"{finding.kind} {_hosts(finding)} {finding.direction}"
            yield name, _how(finding), finding.kind, finding.evidence
    if inference.verdict == "inconclusive" and not inference.findings:
        yield "map", "error", "inconclusive", "; ".join(inference.notes) or "nothing can be concluded"


def _how(finding: Finding) -> str:
    return "error" if finding.next_pairs or finding.severity is None else "failure"


def _hosts(finding: Finding) -> str:
    return "-".join(finding.hosts) if finding.kind == "link" else fold(finding.hosts)


def matrix_to_prometheus(path: str, matrix: PairMatrix, inference: Inference) -> str:
    """Write a map's figures in Prometheus' text format, for the node exporter's textfile collector.

    ``clusterboot_links_verdict{path,verdict}`` is 1 for the verdict and 0 for the others;
    ``clusterboot_links_severity{path,kind,hosts,direction}`` a finding's measured over expected,
    NaN where nothing was measured; ``clusterboot_links_bandwidth_bytes_per_second{path,node,direction}``
    the median of what a node sends (``out``) and receives (``in``).
    """
    verdict, severity, bandwidth = (
        f"clusterboot_links_{name}" for name in ("verdict", "severity", "bandwidth_bytes_per_second")
    )
    lines = _head(verdict, "1 for the verdict of the map.")
    for name in _VERDICTS:
        lines.append(sample(verdict, {"path": path, "verdict": name}, float(name == inference.verdict)))
    lines += _head(severity, "Measured over expected of each finding.")
    for finding in inference.findings:
        labels = {"kind": finding.kind, "hosts": _hosts(finding), "direction": finding.direction}
        value = float("nan") if finding.severity is None else finding.severity
        lines.append(sample(severity, {"path": path, **labels}, value))
    lines += _head(bandwidth, "Median of a node's pairs.")
    for direction, rows in (("out", matrix.bandwidth_gbps), ("in", matrix.bandwidth_gbps.T)):
        for node, row in zip(matrix.nodes, rows, strict=True):
            known = row[~np.isnan(row)]
            if known.size:
                labels = {"path": path, "node": node, "direction": direction}
                lines.append(sample(bandwidth, labels, float(np.median(known)) * 1e9))
    return "\n".join(lines) + "\n"


def _head(name: str, text: str) -> list[str]:
    return [f"# HELP {name} {text}", f"# TYPE {name} gauge"]
