"""A matrix and its findings as the machine formats have them."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..pair_matrix import SAMPLE_RATES, Finding, Flags, Inference, PairMatrix, Rates, Samples, Segments


def matrix_to_json(matrix: PairMatrix, inference: Inference) -> dict[str, Any]:
    """Give the part of a document that is a matrix's: nodes, cells, findings, verdict, notes.

    What was not measured is ``None``. ``where`` is there for groups alone, ``one_way_gb_s`` where
    ``bandwidth_gb_s`` was measured with both directions at once, ``samples`` and
    ``segments`` where they were kept.
    """
    one_way = {} if matrix.one_way_gb_s is None else {"one_way_gb_s": rows_to_json(matrix.one_way_gb_s)}
    samples = {} if matrix.samples is None else {"samples": _samples(matrix.samples)}
    segments = {} if matrix.segments is None else {"segments": _segments(matrix.segments)}
    return {
        "nodes": list(matrix.nodes),
        "bandwidth_gb_s": rows_to_json(matrix.bandwidth_gb_s),
        "latency_us": None if matrix.latency_us is None else rows_to_json(matrix.latency_us),
        **one_way,
        **samples,
        **segments,
        "findings": [_finding(finding) for finding in inference.findings],
        "verdict": inference.verdict,
        "notes": list(inference.notes),
    }


def _finding(finding: Finding) -> dict[str, Any]:
    where = {"where": finding.where} if finding.where else {}
    return {
        "kind": finding.kind,
        "hosts": list(finding.hosts),
        **where,
        "direction": finding.direction,
        "fraction_of_expected": finding.fraction_of_expected,
        "stability": finding.stability,
        "evidence": finding.evidence,
        "next_pairs": [list(pair) for pair in finding.next_pairs],
    }


def rows_to_json(cells: Rates) -> list[list[float | None]]:
    """Give a matrix as lists, ``None`` for what was not measured."""
    objects = cells.astype(object)
    objects[np.isnan(cells)] = None
    rows: list[list[float | None]] = objects.tolist()
    return rows


def _samples(samples: Samples) -> list[list[dict[str, Any] | None]]:
    """Give each measured cell's samples as an object, ``None`` for the others."""
    columns = {
        "n": samples.count.tolist(),
        **{name: rows_to_json(getattr(samples, field)) for name, field in SAMPLE_RATES.items()},
        "bytes": samples.bytes.tolist(),
    }
    return _objects(columns, samples.count > 0)


def _segments(segments: Segments) -> list[list[dict[str, Any] | None]]:
    columns = {"sent": segments.sent.tolist(), "resent": segments.resent.tolist()}
    return _objects(columns, segments.sent > 0)


def _objects(columns: dict[str, Any], known: Flags) -> list[list[dict[str, Any] | None]]:
    size = len(known)
    return [
        [
            {name: rows[one][other] for name, rows in columns.items()} if known[one, other] else None
            for other in range(size)
        ]
        for one in range(size)
    ]
