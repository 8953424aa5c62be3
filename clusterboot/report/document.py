"""The one JSON document that every command prints with ``--json``."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from clusterboot.errors import ExitCode, HostResult
from clusterboot.printable import printable

SCHEMA = "clusterboot/1"


def document(
    command: str,
    *,
    cluster: str | None,
    started: str,
    duration_s: float,
    exit_code: ExitCode,
    hosts: Sequence[HostResult] = (),
    more: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Build a command's document.

    Parameters: the command's name; the cluster's, ``None`` where none is involved; when it
    began (RFC 3339) and how long it took in seconds; ``more`` is the command's own part.
    """
    return {
        "schema": SCHEMA,
        "command": command,
        "cluster": cluster,
        "started": started,
        "duration_s": round(duration_s, 3),
        "exit_code": int(exit_code),
        "hosts": [dataclasses.asdict(host) for host in hosts],
        **(more or {}),
    }


def render(document: Mapping[str, Any]) -> str:
    """Write a document as JSON text: strict JSON, free of characters that steer a terminal."""
    return json.dumps(_clean(document), indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def _clean(value: Any) -> Any:
    if isinstance(value, str | Path):
        return printable(str(value))
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return _clean(dataclasses.asdict(value))
    if isinstance(value, float):
        # JSON has no word for them; what is not a number was not measured.
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {printable(str(key)): _clean(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_clean(item) for item in value]
    return value
