"""Logins between nodes that failed, in a command's document and for people."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from clusterboot.trust.verify import LoginFailure

    from .documents import FailedLogin

# So many of one kind are named on the terminal; the document has all.
MOST_NAMED = 8


def failed_logins(failures: Sequence[LoginFailure]) -> list[FailedLogin]:
    """Give failed logins for the document."""
    return [
        {"from": f.source, "to": f.target, "cause": f.cause, "text": f.text, "remedy": f.remedy}
        for f in failures
    ]


def pair_lines(pairs: Sequence[LoginFailure]) -> list[str]:
    """Say of which pairs neither node is out."""
    from clusterboot.trust.blaming import pair_in_words

    return [f"Logins: {pair_in_words(pair)}" for pair in pairs[:MOST_NAMED]]
