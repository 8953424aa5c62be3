"""Matrices in JSON: ``nodes`` and ``bandwidth_gb_s``, alone or in a whole result of a link map."""

from __future__ import annotations

from clusterboot.document import parse

from .cells import Rows, bad
from .stored import Format, Table


def _recognises(text: str) -> bool:
    return text.lstrip()[:1] in ("{", "[") and '"nodes"' in text


def _read(text: str, path: str) -> list[Table]:
    return [Table(read_json(text, path))]


def read_json(text: str, path: str) -> Rows:
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
    for key in ("latency_us", "one_way_gb_s", "samples", "segments"):
        if document.get(key) is not None and not isinstance(document[key], list):
            raise bad(path, f"{key} is not a list of rows")
    return Rows(
        document["nodes"],
        document["bandwidth_gb_s"],
        document.get("latency_us"),
        document.get("one_way_gb_s"),
        document.get("samples"),
        document.get("segments"),
    )


JSON = Format("a matrix in JSON", _recognises, _read)
