"""Benchmarks and link maps in Prometheus' text format, for the node exporter's textfile collector.

Every sample has the labels ``cluster`` and ``backend``; of a run there are, also where it measured nothing:
``clusterboot_run_success``, 1 where the exit code is 0; ``clusterboot_run_exit_code``;
``clusterboot_run_state``, 1 for the headline's state and 0 for the others; ``clusterboot_run_info``, 1 with
the headline; ``clusterboot_run_timestamp_seconds``, when it ended; ``clusterboot_run_duration_seconds``;
``clusterboot_run_hosts`` by status; ``clusterboot_host_ok`` of each host, and
``clusterboot_host_failure_info`` with status, stage and cause of each that is not. Base units: bytes and
seconds. The collector takes no times of samples, so that the time is a sample itself.

Sources: Prometheus' "Exposition formats" and "Metric and label naming"; the node exporter's README.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import get_args

import numpy as np

from clusterboot.errors import Status
from clusterboot.headline import State
from clusterboot.linkmap.pair_matrix import Inference, PairMatrix, Rates, row_middles
from clusterboot.printable import one_line, printable
from clusterboot.programs.records import PLACEMENTS, BenchTest, LogReport, Placement, Verdict
from clusterboot.verdict.bandwidth import plateaus

from .about import About
from .measured_cells import figure, measured

#: A metric's name, what it is in words, its labels and its value.
Sample = tuple[str, str, Mapping[str, str], float]

_MATRIX_VERDICTS = ("ok", "slow", "inconclusive")
# A map of more nodes has no series for each pair: those of 1,000 would be two million.
_MOST_NODES_WITH_PAIRS = 32


def to_prometheus(about: About, report: LogReport | None) -> str:
    """Write a benchmark's figures.

    ``clusterboot_collective_verdict{test,collective,verdict}`` is 1 for a test's verdict and 0
    for the others; ``clusterboot_collective_busbw_bytes_per_second`` and ``…_time_seconds`` with
    ``{test,collective,dtype,redop,root,size_bytes,placement}`` have each row of the largest size
    of each series; ``clusterboot_collective_plateau_busbw_bytes_per_second{test,collective,placement}``
    the median sustained at the large end; ``clusterboot_collective_wrong_values`` and
    ``clusterboot_run_problems{kind}`` count; ``clusterboot_collective_shares_gpus`` is 1 where ranks
    shared a GPU, and then no bandwidth is given. ``backend`` says what was measured; a log that somebody made
    has a ``path`` as well.
    """
    return _prometheus((*_of_run(about), *(_of_log(about, report) if report else ())))


def _of_run(about: About) -> Iterator[Sample]:
    backend = {"backend": about.backend or ""}
    base = {"cluster": about.cluster or "", "command": about.command}
    line = about.headline
    yield "run_success", "1 where the command's exit code was 0.", base | backend, about.exit_code == 0
    yield "run_exit_code", "The command's exit code.", base | backend, about.exit_code
    for state in get_args(State):
        is_it = state == line.state
        yield "run_state", "1 for what the command came to.", {**base, **backend, "state": state}, is_it
    words = {"headline": line.text, "cut_short": about.ending.cut_short or ""}
    yield "run_info", "What the command came to, in words.", {**base, **backend, **words}, 1
    if about.started_s is not None:
        ended_s = about.started_s + (about.duration_s or 0.0)
        yield "run_timestamp_seconds", "When the command ended, since 1970.", base | backend, ended_s
    if about.duration_s is not None:
        yield "run_duration_seconds", "How long the command took.", base | backend, about.duration_s
    states = Counter(host.status for host in about.hosts)
    for status in get_args(Status):
        yield "run_hosts", "Hosts of the command, by status.", {**base, "status": status}, states[status]
    for host in about.hosts:
        of_host = {**base, "host": host.name}
        yield "host_ok", "1 where all was done on the host.", of_host, host.status == "ok"
        if host.status != "ok":
            cause = {"status": host.status, "stage": host.stage or "", "cause": one_line(host.cause or "")}
            yield "host_failure_info", "Why all was not done on the host.", of_host | cause, 1


def _of_log(about: About, report: LogReport) -> Iterator[Sample]:
    overall = {"cluster": about.cluster or "", "backend": about.backend or ""}
    path = {"path": report.path} if report.path else {}
    for number, test in enumerate(report.tests, 1):
        backend = about.backend or _backend(test)
        names = {"test": str(number), "collective": test.collective or "unknown"}
        yield from _of_test(test, {**overall, "backend": backend, **path, **names})
    for kind, count in sorted(Counter(problem.kind for problem in report.problems).items()):
        yield "run_problems", "Problems of the output, by kind.", {**overall, **path, "kind": kind}, count


def _backend(test: BenchTest) -> str:
    """Name what ran a test of a log that somebody made, as ``--backend`` has it."""
    if test.tool != "collbench":
        return test.tool
    return "mpi" if (test.library or "").startswith("MPI") else "nccl"


def _of_test(test: BenchTest, base: Mapping[str, str]) -> Iterator[Sample]:
    yield from _verdicts("collective_verdict", "the test's verdict", base, get_args(Verdict), test.verdict)
    text = "1 where ranks shared a GPU: no measure of bandwidth."
    yield "collective_shares_gpus", text, base, test.shares_gpus
    for plateau in () if test.shares_gpus else plateaus(test):
        text = "Median bus bandwidth sustained at the large end of the sweep."
        labels = {**base, "placement": plateau.placement}
        yield "collective_plateau_busbw_bytes_per_second", text, labels, plateau.busbw_gb_s * 1e9
    for labels, place in _largest(test, base):
        if place.busbw_gb_s is not None and not test.shares_gpus:
            text = "Bus bandwidth at the largest size."
            yield "collective_busbw_bytes_per_second", text, labels, place.busbw_gb_s * 1e9
        if place.time_us is not None:
            yield "collective_time_seconds", "Time of the largest size.", labels, place.time_us / 1e6
    wrong = [place.wrong for row in test.rows for place in row.placements if place.wrong is not None]
    if wrong:
        yield "collective_wrong_values", "Wrong values of all rows.", base, sum(wrong)


def _largest(test: BenchTest, base: Mapping[str, str]) -> Iterator[tuple[dict[str, str], Placement]]:
    """Give the last row of the largest size of each type, op and root."""
    by_size = sorted(test.rows, key=lambda row: row.size_bytes)
    for row in {(row.dtype, row.redop, row.root): row for row in by_size}.values():
        root = "" if row.root is None else str(row.root)
        labels = {**base, "dtype": row.dtype, "redop": row.redop or "", "root": root}
        for name in PLACEMENTS:
            if (place := row.placement(name)) is not None:
                yield {**labels, "size_bytes": str(row.size_bytes), "placement": name}, place


def matrix_to_prometheus(about: About, mapped: tuple[PairMatrix, Inference] | None) -> str:
    """Write a map.

    ``clusterboot_link_verdict{verdict}`` is 1 for the map's verdict and 0 for the others;
    ``clusterboot_link_finding_of_expected_ratio{kind,hosts,where,direction,certain}`` is measured over
    expected, 0 for dead and -1 for not measured; ``clusterboot_link_pairs{state}`` counts the pairs that were
    measured, are dead, and were not measured. ``clusterboot_node_median_bandwidth_bytes_per_second`` and
    ``clusterboot_node_median_latency_seconds`` with ``{node,direction}`` have the median of each node's
    pairs. Up to 32 nodes ``clusterboot_link_bandwidth_bytes_per_second`` and
    ``clusterboot_link_latency_seconds`` with ``{sender,receiver}`` have the pairs.
    """
    return _prometheus((*_of_run(about), *(_of_matrix(about, *mapped) if mapped else ())))


def _of_matrix(about: About, matrix: PairMatrix, inference: Inference) -> Iterator[Sample]:
    base = {"cluster": about.cluster or "", "backend": about.backend or ""}
    yield from _verdicts("link_verdict", "the map's verdict", base, _MATRIX_VERDICTS, inference.verdict)
    for finding in inference.findings:
        labels = {"kind": finding.kind, "hosts": ",".join(finding.hosts), "where": finding.where or ""}
        labels |= {"direction": finding.direction, "certain": "0" if finding.next_pairs else "1"}
        fraction = -1.0 if finding.fraction_of_expected is None else finding.fraction_of_expected
        yield "link_finding_of_expected_ratio", "Measured over expected.", base | labels, fraction
    yield from _counts(matrix, base)
    yield from _medians(matrix, base)
    if len(matrix.nodes) > _MOST_NODES_WITH_PAIRS:
        return
    for at, to in measured(matrix):
        labels = {**base, "sender": matrix.nodes[at], "receiver": matrix.nodes[to]}
        rate = float(matrix.bandwidth_gb_s[at, to]) * 1e9
        yield "link_bandwidth_bytes_per_second", "Bandwidth, 0 for dead.", labels, rate
        latency_us = figure(matrix.latency_us, at, to)
        if not np.isnan(latency_us):
            yield "link_latency_seconds", "Latency one way.", labels, latency_us / 1e6


def _counts(matrix: PairMatrix, base: Mapping[str, str]) -> Iterator[Sample]:
    known, pairs = matrix.measured
    is_dead = np.nan_to_num(matrix.bandwidth_gb_s, nan=1.0) == 0
    dead = int(np.count_nonzero(np.triu(is_dead | is_dead.T, 1)))
    for state, count in (("measured", known), ("dead", dead), ("not_measured", pairs - known)):
        yield (
            "link_pairs",
            "Pairs of nodes; those that are dead were measured.",
            {**base, "state": state},
            count,
        )


def _medians(matrix: PairMatrix, base: Mapping[str, str]) -> Iterator[Sample]:
    def of(name: str, text: str, rates: Rates, scale: float) -> Iterator[Sample]:
        for direction, cells in (("out", rates), ("in", rates.T)):
            for node, middle in zip(matrix.nodes, row_middles(cells).tolist(), strict=True):
                if not np.isnan(middle):
                    yield name, text, {**base, "node": node, "direction": direction}, middle * scale

    text = "Median bandwidth of the node's pairs."
    yield from of("node_median_bandwidth_bytes_per_second", text, matrix.bandwidth_gb_s, 1e9)
    if matrix.latency_us is not None:
        text = "Median latency of the node's pairs, one way."
        yield from of("node_median_latency_seconds", text, matrix.latency_us, 1e-6)


def _verdicts(
    name: str, what: str, base: Mapping[str, str], verdicts: Iterable[str], is_it: str | None
) -> Iterator[Sample]:
    for verdict in verdicts:
        yield name, f"1 for {what}.", {**base, "verdict": verdict}, verdict == is_it


def _prometheus(samples: Iterable[Sample]) -> str:
    """Write samples, those of a metric together."""
    families: dict[str, dict[str, None]] = {}
    for name, text, labels, value in samples:
        words = ",".join(f'{label}="{_label(said)}"' for label, said in labels.items())
        head = f"# HELP clusterboot_{name} {text}\n# TYPE clusterboot_{name} gauge"
        shown = f"{value:.3f}" if name == "run_timestamp_seconds" else f"{float(value):.10g}"
        families.setdefault(head, {})[f"clusterboot_{name}{{{words}}} {shown}"] = None
    return "".join("\n".join((head, *lines)) + "\n" for head, lines in families.items())


def _label(text: str) -> str:
    return printable(text).replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
