"""Matrices in JSON: ``nodes`` and ``bandwidth_gb_s``, alone or in a whole result of a link map."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from typing_extensions import NotRequired, TypedDict

from clusterboot.document import parse

from ..pair_matrix import (
    SAMPLE_RATES,
    Direction,
    Finding,
    Flags,
    Inference,
    Kind,
    MatrixVerdict,
    PairMatrix,
    Rates,
    Samples,
    Stability,
    Where,
)
from .cells import Rows, bad
from .stored import Format, Table

# In the order of the fields of ``Rows``.
_FURTHER = ("latency_us", "one_way_gb_s", "samples", "segments", "one_way_samples")


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

# A row a sender, a column a receiver; null for what was not measured.
MatrixRows: TypeAlias = list[list[float | None]]


class FindingJson(TypedDict):
    """One fault of a node, a link or a group."""

    kind: Kind
    """Bad with most partners, one pair among good ones, or a set that is fine inside and bad across."""
    hosts: list[str]
    """The node, the two ends, or the smaller side of a group; with next_pairs, all candidates."""
    where: NotRequired[Where]
    """For a group: across or inside."""
    direction: Direction
    """As seen from the node, from the group, or from the first of a link's two hosts to the second."""
    fraction_of_expected: float | None
    """Measured over expected, 0 for dead, null for not measured."""
    stability: Stability
    """Swinging where single measurements of one pair differ by more than the fleet's do."""
    evidence: str
    next_pairs: list[list[str]]
    """The fewest further pairs whose results would tell the candidates apart; empty where it is certain."""


class SamplesJson(TypedDict):
    """The single measurements of one direction of one pair; rates in 10^9 bytes a second."""

    n: int
    """How many there were."""
    median_gb_s: float | None
    min_gb_s: float | None
    max_gb_s: float | None
    q1_gb_s: float | None
    """A quarter of them was below."""
    q3_gb_s: float | None
    """A quarter of them was above."""
    bytes: int
    """What they carried together."""
    low: NotRequired[int]
    """How many of them were below half of the upper quartile."""


class SegmentsJson(TypedDict):
    """What TCP sent in one direction of one pair: segments with data, and those that it sent again."""

    sent: int
    resent: int


class MatrixJson(TypedDict):
    """A matrix of pairs, and what is found in it.

    Row is the sender, column the receiver; null is not measured, 0 is measured and dead.
    """

    nodes: list[str]
    bandwidth_gb_s: MatrixRows
    """10^9 bytes a second."""
    latency_us: MatrixRows | None
    """Microseconds, one way."""
    one_way_gb_s: NotRequired[MatrixRows]
    """What pairs give in one direction by itself, where bandwidth_gb_s is both at once."""
    samples: NotRequired[list[list[SamplesJson | None]]]
    """Those that bandwidth_gb_s rests on."""
    one_way_samples: NotRequired[list[list[SamplesJson | None]]]
    """Those that one_way_gb_s rests on."""
    segments: NotRequired[list[list[SegmentsJson | None]]]
    findings: list[FindingJson]
    """The worst first."""
    verdict: MatrixVerdict
    notes: list[str]


def matrix_to_json(matrix: PairMatrix, inference: Inference) -> MatrixJson:
    """Give the part of a document that is a matrix's: nodes, cells, findings, verdict, notes.

    What was not measured is ``None``. ``where`` is there for groups alone, ``one_way_gb_s`` where
    ``bandwidth_gb_s`` was measured with both directions at once, ``samples``, ``one_way_samples``
    and ``segments`` where they were kept.
    """
    found: MatrixJson = {
        "nodes": list(matrix.nodes),
        "bandwidth_gb_s": rows_to_json(matrix.bandwidth_gb_s),
        "latency_us": None if matrix.latency_us is None else rows_to_json(matrix.latency_us),
        "findings": [_finding(finding) for finding in inference.findings],
        "verdict": inference.verdict,
        "notes": list(inference.notes),
    }
    if matrix.one_way_gb_s is not None:
        found["one_way_gb_s"] = rows_to_json(matrix.one_way_gb_s)
    if matrix.samples is not None:
        found["samples"] = _samples(matrix.samples)
    if matrix.one_way_samples is not None:
        found["one_way_samples"] = _samples(matrix.one_way_samples)
    if (segments := matrix.segments) is not None:
        columns = {"sent": segments.sent.tolist(), "resent": segments.resent.tolist()}
        found["segments"] = _objects(columns, segments.sent > 0)
    return found


def _samples(samples: Samples) -> list[list[SamplesJson | None]]:
    rates = {name: rows_to_json(getattr(samples, name)) for name in SAMPLE_RATES}
    counts = {"bytes": samples.bytes.tolist(), "low": samples.low.tolist()}
    return _objects({"n": samples.count.tolist(), **rates, **counts}, samples.count > 0)


def _finding(finding: Finding) -> FindingJson:
    told: FindingJson = {
        "kind": finding.kind,
        "hosts": list(finding.hosts),
        "direction": finding.direction,
        "fraction_of_expected": finding.fraction_of_expected,
        "stability": finding.stability,
        "evidence": finding.evidence,
        "next_pairs": [list(pair) for pair in finding.next_pairs],
    }
    if finding.where:
        told["where"] = finding.where
    return told


def rows_to_json(cells: Rates) -> MatrixRows:
    """Give a matrix as lists, ``None`` for what was not measured."""
    objects = cells.astype(object)
    objects[np.isnan(cells)] = None
    rows: MatrixRows = objects.tolist()
    return rows


def _objects(columns: dict[str, Any], known: Flags) -> list[list[Any]]:
    size = len(known)
    return [
        [
            {name: rows[one][other] for name, rows in columns.items()} if known[one, other] else None
            for other in range(size)
        ]
        for one in range(size)
    ]
