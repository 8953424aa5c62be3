"""OpenSSH's patterns: ``*``, ``?``, negation with ``!`` (ssh_config(5), PATTERNS)."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache


class PatternSet:
    """Patterns of which one must match, and negated ones of which none may.

    Parameters: the patterns, negated ones with their ``!``.
    """

    def __init__(self, patterns: Iterable[str]) -> None:
        wanted: list[str] = []
        unwanted: list[str] = []
        for pattern in patterns:
            (unwanted if pattern.startswith("!") else wanted).append(_expression(pattern.removeprefix("!")))
        self._wanted = re.compile("|".join(wanted), re.DOTALL) if wanted else None
        self._unwanted = re.compile("|".join(unwanted), re.DOTALL) if unwanted else None

    def matches(self, text: str) -> bool:
        """Say whether the whole text is matched."""
        if self._wanted is None or not self._wanted.fullmatch(text):
            return False
        return self._unwanted is None or not self._unwanted.fullmatch(text)


@lru_cache(maxsize=1024)
def pattern_list(text: str) -> PatternSet:
    """Read a list of patterns that is split by commas, as ``Match`` takes it."""
    return PatternSet(text.split(","))


def _expression(pattern: str) -> str:
    parts = re.split(r"(\*+|\?)", pattern)
    return "".join(".*" if p.startswith("*") else "." if p == "?" else re.escape(p) for p in parts)
