"""Facts as plain values, for nodes.json."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from typing import Any

from .node import NodeFacts


def to_json(facts: NodeFacts) -> dict[str, Any]:
    """Give the facts of one node as JSON's own types: objects by field name, tuples as lists.

    Every key is text; every number keeps the unit that its field's name says.
    """
    return {field.name: _plain(getattr(facts, field.name)) for field in fields(facts)}


def _plain(value: Any) -> Any:
    if is_dataclass(value):
        return {field.name: _plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (tuple, list)):
        return [_plain(item) for item in value]
    return value
