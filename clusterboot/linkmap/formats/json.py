"""Matrices in JSON: ``nodes`` and ``bandwidth_gbps``, alone or in a whole result of a link map."""

from __future__ import annotations

import json
from typing import Any, NoReturn

from .cells import Rows, bad
from .stored import Format, Table

# What a document calls the bandwidths: 10^9 bytes a second under either name.
_BANDWIDTH = ("bandwidth_gb_s", "bandwidth_gbps")
_ONE_WAY = ("one_way_gb_s", "one_way_gbps")


def _recognises(text: str) -> bool:
    return text.lstrip()[:1] in ("{", "[") and '"nodes"' in text


def _read(text: str, path: str) -> list[Table]:
    return [Table(read_json(text, path))]


def read_json(text: str, path: str) -> Rows:
    """Read an object with ``nodes``, the bandwidths and, where it has them, the further matrices.

    Errors: :class:`UsageError` for what is no JSON, or no such object.
    """
    try:
        document = json.loads(text, parse_constant=_refuse, object_pairs_hook=_without_doubles)
    except RecursionError:
        raise bad(path, "it is nested too deeply") from None
    except ValueError as problem:
        raise bad(path, f"it is not JSON: {problem}") from None
    if not isinstance(document, dict):
        raise bad(path, "it is not a JSON object with nodes and bandwidth_gbps")
    bandwidth, one_way = (
        next((key for key in keys if key in document), keys[-1]) for keys in (_BANDWIDTH, _ONE_WAY)
    )
    for key in ("nodes", bandwidth):
        if not isinstance(document.get(key), list):
            raise bad(path, f"it has no list {key}")
    for key in ("latency_us", one_way, "samples", "segments"):
        if document.get(key) is not None and not isinstance(document[key], list):
            raise bad(path, f"{key} is not a list of rows")
    return Rows(
        document["nodes"],
        document[bandwidth],
        document.get("latency_us"),
        document.get(one_way),
        document.get("samples"),
        document.get("segments"),
    )


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not a number")


def _without_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a key stands twice in one object")
    return found


JSON = Format("a matrix in JSON", _recognises, _read)
