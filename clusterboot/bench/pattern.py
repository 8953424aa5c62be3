"""One kind of line that tells of a failure, and the words in which tables of them are written."""

from __future__ import annotations

import re
from dataclasses import dataclass

from clusterboot.bench.records import ProblemKind

# A host's name or address, as a pattern's group.
HOST = r"(?P<host>[A-Za-z0-9][A-Za-z0-9._-]*)"
KILLED = "look at that host's kernel log and memory at that time"


@dataclass(frozen=True)
class Pattern:
    """One kind of line.

    ``hint`` is a word that every such line has: looked for first, because it is fast. ``weak``
    ones count only where nothing else explains the end. ``running`` ones prove that a rank had
    got as far as the benchmark. ``in_midrun`` is the kind where a test had begun by then.
    """

    kind: ProblemKind
    hint: str
    regex: re.Pattern[str]
    remedy: str
    weak: bool = False
    running: bool = False
    in_midrun: ProblemKind | None = None


def pattern(
    kind: ProblemKind,
    hint: str,
    regex: str,
    remedy: str,
    *,
    weak: bool = False,
    running: bool = False,
    in_midrun: ProblemKind | None = None,
) -> Pattern:
    """Write one line of a table; the parameters are those of :class:`Pattern`, the regex as text."""
    return Pattern(kind, hint, re.compile(regex), remedy, weak, running, in_midrun)
