"""Faults of the network, of login and of shells, and what bootstrap says of the node that has one.

They stand in ``told_faults.txt``, a line each: a new case is a new line. A fault of the head is told once for
all that is behind it.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

UNREACHABLE, FAILED = "unreachable", "failed"


@dataclass(frozen=True)
class Told:
    """A fault of a node or of the head, and what is said of it: status, stage, cause, remedy."""

    of: str
    fault: str
    status: str
    stage: str
    cause: str
    remedy: str


_LINES = Path(__file__).with_suffix(".txt").read_text(encoding="utf-8").splitlines()
_ALL = [Told(*map(str.strip, line.split(" | "))) for line in _LINES if not line.startswith("#")]
TABLE = [told for told in _ALL if told.of == "node"]
HEAD = [told for told in _ALL if told.of == "head"]

HARMLESS = ["csh", "fish", "noisy-shell", "big-banner", "max-sessions", "few-tries"]

# What stands between n1, where a launch would start, and the node, while others reach it.
BETWEEN = {"one-way": "filtered", "dead-pair": "filtered"}
