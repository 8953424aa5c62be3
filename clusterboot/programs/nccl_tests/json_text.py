"""JSON as programs write it that print it by hand: with bare ``inf``, and cut off in the middle."""

from __future__ import annotations

import json
import math
import re
from typing import Any

# One token of JSON, or anything else. An unfinished string is not a token.
_TOKEN = re.compile(r'\s*(?:("(?:[^"\\]|\\.)*")|([{}\[\]:,])|(-?(?:inf|nan)\b|[-+.\w]+))', re.IGNORECASE)
_BARE = re.compile(r"[-+]?(?:inf|nan)", re.IGNORECASE)
_CLOSERS = {"{": "}", "[": "]"}


def load_json(text: str) -> tuple[Any, bool] | None:
    """Read one document, or what is left of one.

    Returns: its value, with ``None`` where a number is not finite, and whether it was whole;
    ``None`` where it is no JSON object at all. Of what was cut off all stays that is before its
    last comma or bracket.
    """
    if not text.lstrip().startswith("{"):
        return None
    parts, whole = _tokens(text)
    try:
        return json.loads("".join(parts)), whole
    except (ValueError, RecursionError):
        return None


def _tokens(text: str) -> tuple[list[str], bool]:
    """Give the tokens of the longest beginning that can be closed, closed; true where nothing had to be."""
    parts: list[str] = []
    closers: list[str] = []
    safe: list[str] = []
    at = kept = 0
    while match := _TOKEN.match(text, at):
        at = match.end()
        string, mark, word = match.groups()
        if mark == ",":
            kept, safe = len(parts), closers[::-1]
        parts.append(string or mark or ("null" if _BARE.fullmatch(word) else word))
        if mark in _CLOSERS:
            closers.append(_CLOSERS[mark])
        elif mark in ("}", "]"):
            if not closers or closers.pop() != mark:
                break
            if not closers:
                return parts, not text[at:].strip()
        if mark and mark in "{}[]":
            kept, safe = len(parts), closers[::-1]
    return [*parts[:kept], *safe], False


def number(value: object) -> float | None:
    """Give a finite number of a document; ``None`` for anything else."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return float(value) if math.isfinite(value) else None
