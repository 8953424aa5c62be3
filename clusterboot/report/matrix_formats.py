"""Link maps for other programs: CSV, JUnit XML, Prometheus text; all pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import numpy as np

from clusterboot.linkmap.pair_matrix import Finding, Inference, MatrixVerdict, PairMatrix, Rates

from .writers import Case, Sample, csv_cell, csv_text, junit_text, prometheus_text

CSV_COLUMNS = ("sender", "receiver", "bandwidth_gbps", "one_way_gbps", "latency_us")
_VERDICTS: tuple[MatrixVerdict, ...] = ("ok", "slow", "inconclusive")


def matrix_to_csv(matrix: PairMatrix) -> str:
    """Write each measured direction of each pair on a line, under one line of column names.

    ``bandwidth_gbps`` and ``one_way_gbps`` are 10^9 bytes a second, 0 for dead; what is not known
    is empty. The findings are in the other formats.
    """
    further = [matrix.one_way_gbps, matrix.latency_us]
    names = [csv_cell(node) for node in matrix.nodes]
    rows = (
        (names[at], names[to], matrix.bandwidth_gbps[at, to], *(_figure(rates, at, to) for rates in further))
        for at, to in _measured(matrix)
    )
    written = (
        (at, to, *("" if np.isnan(figure) else f"{figure:.10g}" for figure in figures))
        for at, to, *figures in rows
    )
    return csv_text(CSV_COLUMNS, written)


def matrix_to_junit(matrix: PairMatrix, inference: Inference) -> str:
    """Write the findings as JUnit XML, for CI systems.

    One ``testsuite`` named ``clusterboot.link-map`` with a ``testcase`` a node, and one a link or
    group that is at fault. A finding is a ``failure``, one that is not certain or not measured an
    ``error``; a verdict that no finding bears out has a case of its own, ``map``.
    """
    return junit_text("clusterboot.link-map", "link-map", list(_cases(matrix, inference)))


def matrix_to_prometheus(matrix: PairMatrix, inference: Inference) -> str:
    """Write the map in Prometheus' text format, for the node exporter's textfile collector.

    ``clusterboot_link_verdict{verdict}`` is 1 for the map's verdict and 0 for the others;
    ``clusterboot_link_finding_severity{kind,hosts,where,direction,certain}`` is measured over
    expected, 0 for dead and -1 for not measured; ``clusterboot_link_bandwidth_bytes_per_second`` and
    ``clusterboot_link_latency_seconds`` with ``{sender,receiver}`` have the pairs. Base units: bytes
    and seconds.
    """
    return prometheus_text(_samples(matrix, inference))


def _measured(matrix: PairMatrix) -> Iterator[tuple[int, int]]:
    return ((int(at), int(to)) for at, to in np.argwhere(~np.isnan(matrix.bandwidth_gbps)))


def _figure(rates: Rates | None, at: int, to: int) -> float:
    return float("nan") if rates is None else float(rates[at, to])


def _cases(matrix: PairMatrix, inference: Inference) -> Iterator[Case]:
    alone = {each.hosts[0]: each for each in inference.findings if _is_of_one_node(each)}
    for node in matrix.nodes:
        yield _of_finding(node, alone[node], inference) if node in alone else Case(node)
    for finding in inference.findings:
        if not _is_of_one_node(finding):
            yield _of_finding(f"{finding.kind} {'-'.join(finding.hosts)}", finding, inference)
    if inference.verdict != "ok" and not inference.findings:
        told = "; ".join(inference.notes) or inference.verdict
        yield Case("map", "error", inference.verdict, told, told)


def _of_finding(name: str, finding: Finding, inference: Inference) -> Case:
    unsure = finding.next_pairs or finding.severity is None
    kind: Literal["error", "failure"] = "error" if unsure else "failure"
    return Case(name, kind, inference.verdict, finding.evidence, finding.evidence)


def _is_of_one_node(finding: Finding) -> bool:
    return finding.kind == "node" and len(finding.hosts) == 1


def _samples(matrix: PairMatrix, inference: Inference) -> Iterator[Sample]:
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


MATRIX_FORMATS = {
    "csv": lambda matrix, _: matrix_to_csv(matrix),
    "junit": matrix_to_junit,
    "prometheus": matrix_to_prometheus,
}
