"""Documents of schema ``clusterboot/1``, which earlier versions wrote, given the names of today's schema.

Schema 1 wrote ``gbps`` for 10^9 bytes a second and for 10^9 bits a second, and called what a finding measured
over what was expected its ``severity``. Nothing else differs.
"""

from __future__ import annotations

from typing import Any

SCHEMA_1 = "clusterboot/1"

_NAMES = {
    **{
        f"{what}_gbps": f"{what}_gb_s"
        for what in (
            *("algbw", "busbw", "avg_busbw", "peak_busbw", "min_busbw", "expected_busbw", "runs", "median"),
            *("bandwidth", "one_way", "both", "alone", "together"),
        )
    },
    "severity": "fraction_of_expected",
    "rate_gbps": "rate_gbit_s",
    "speed_mbps": "speed_mbit_s",
}


def current_name(name: str) -> str:
    """Give today's name of a key or column of schema 1; any other name as it is."""
    return _NAMES.get(name, name)


def upgraded(document: Any, schema: str) -> Any:
    """Give a document of schema 1, or of no schema, as ``schema`` has it; any other as it is.

    Parameters: parsed JSON, of any shape; ``schema`` is the name of today's.
    """
    stated = document.get("schema", SCHEMA_1) if isinstance(document, dict) else None
    if stated != SCHEMA_1:
        return document
    found = _renamed(document)
    return {**found, "schema": schema} if "schema" in document else found


def _renamed(value: Any) -> Any:
    if isinstance(value, list):
        # Rows of numbers have nothing in them to rename.
        return [_renamed(item) if isinstance(item, dict | list) else item for item in value]
    if not isinstance(value, dict):
        return value
    return {_name(key, item, value): _renamed(item) for key, item in value.items()}


def _name(key: str, item: Any, among: dict[str, Any]) -> str:
    """Name a key as today; hosts and variables of the same name stay, and so does what would stand twice."""
    name = current_name(key)
    return name if name not in among and _is_figure(item) else key


def _is_figure(value: Any) -> bool:
    if isinstance(value, list):
        return not value or _is_figure(value[0])
    return value is None or isinstance(value, int | float)
