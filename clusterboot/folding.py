"""Many hosts in few words: ``n[1-62]`` instead of sixty-two names."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
from typing import TypeVar

from ClusterShell.NodeSet import NodeSet, NodeSetParseError

K = TypeVar("K", bound=Hashable)


def fold(names: Iterable[str]) -> str:
    """Write host names as a folded node set, or plainly where they do not fold."""
    names = list(names)
    try:
        return str(NodeSet.fromlist(names))
    except NodeSetParseError:
        return ",".join(names)


def by_value(values: Mapping[str, K]) -> list[tuple[K, list[str]]]:
    """Group hosts that have the same value, the largest group first."""
    groups: dict[K, list[str]] = {}
    for name, value in values.items():
        groups.setdefault(value, []).append(name)
    return sorted(groups.items(), key=lambda item: -len(item[1]))
