"""Matrices in JSON: ``nodes`` and ``bandwidth_gb_s``, alone or in a whole result of a link map."""

from __future__ import annotations

from typing import Any

import numpy as np

from clusterboot.document import parse

from ..pair_matrix import SAMPLE_RATES, Finding, Flags, Inference, PairMatrix, Rates
from .cells import Rows, bad
from .stored import Format, Table

# In the order of the fields of ``Rows``.
_FURTHER = ("latency_us", "one_way_gb_s", "samples", "segments")


def _recognises(text: str) -> bool:
    return text.lstrip()[:1] in ("{", "[") and '"nodes"' in text


def _read(text: str, path: str) -> list[Table]:
    """Read an object with ``nodes``, the bandwidths and, where it has them, the further matrices.

    Errors: :class:`UsageError` for what is no JSON, or no such object.
    """
    try:
        document = parse(text)
    except ValueError as problem:
        raise bad(path, str(problem)) from None
    if not isinstance(document, dict):
        raise bad(path, "it is not a JSON object with nodes and bandwidth_gb_s")
    for key in ("nodes", "bandwidth_gb_s"):
        if not isinstance(document.get(key), list):
            raise bad(path, f"it has no list {key}")
    for key in _FURTHER:
        if document.get(key) is not None and not isinstance(document[key], list):
            raise bad(path, f"{key} is not a list of rows")
    further = (document.get(key) for key in _FURTHER)
    return [Table(Rows(document["nodes"], document["bandwidth_gb_s"], *further))]


JSON = Format("a matrix in JSON", _recognises, _read)


def matrix_to_json(matrix: PairMatrix, inference: Inference) -> dict[str, Any]:
    """Give the part of a document that is a matrix's: nodes, cells, findings, verdict, notes.

    What was not measured is ``None``. ``where`` is there for groups alone, ``one_way_gb_s`` where
    ``bandwidth_gb_s`` was measured with both directions at once, ``samples`` and
    ``segments`` where they were kept.
    """
    further: dict[str, Any] = {}
    if matrix.one_way_gb_s is not None:
        further["one_way_gb_s"] = rows_to_json(matrix.one_way_gb_s)
    if (samples := matrix.samples) is not None:
        columns = {"n": samples.count.tolist()}
        columns |= {name: rows_to_json(getattr(samples, name)) for name in SAMPLE_RATES}
        further["samples"] = _objects({**columns, "bytes": samples.bytes.tolist()}, samples.count > 0)
    if (segments := matrix.segments) is not None:
        columns = {"sent": segments.sent.tolist(), "resent": segments.resent.tolist()}
        further["segments"] = _objects(columns, segments.sent > 0)
    return {
        "nodes": list(matrix.nodes),
        "bandwidth_gb_s": rows_to_json(matrix.bandwidth_gb_s),
        "latency_us": None if matrix.latency_us is None else rows_to_json(matrix.latency_us),
        **further,
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


def _objects(columns: dict[str, Any], known: Flags) -> list[list[dict[str, Any] | None]]:
    size = len(known)
    return [
        [
            {name: rows[one][other] for name, rows in columns.items()} if known[one, other] else None
            for other in range(size)
        ]
        for one in range(size)
    ]
