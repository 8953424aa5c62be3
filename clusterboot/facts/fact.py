"""What a fact is: what a node is asked, and how the record's fields are read from what it says."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from clusterboot.inventory.cluster import Options


@dataclass(frozen=True)
class Fact:
    """One question of the many that a survey asks in one round trip; ``FACTS`` in ``collect.py`` lists them.

    ``name`` is that of its file; its section's is ``facts.NAME``. ``script`` is POSIX ``sh``, or writes
    it by what the cluster file says of where to look; it has no input, and what it prints is all that
    counts. ``read`` gives of that the fields of :class:`clusterboot.facts.node.NodeFacts` by name,
    whatever the text is; of a name that is no field's the value is kept in ``more``, which tables and JSON
    show as they show the others.
    """

    name: str
    script: str | Callable[[Options], str]
    read: Callable[[str], Mapping[str, Any]]

    def body(self, options: Options) -> str:
        """Write the script."""
        return self.script if isinstance(self.script, str) else self.script(options)
