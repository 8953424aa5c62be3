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
    ``None`` where it is no JSON object at all. What was cut off in the middle of a value is
    left out, never completed.
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
    open_: list[str] = []
    safe, safe_open = 0, ""
    at = 0
    while match := _TOKEN.match(text, at):
        at = match.end()
        string, mark, word = match.groups()
        if word is not None and at == len(text):
            # A number at the very end may have lost digits.
            break
        parts.append(string or mark or ("null" if _BARE.fullmatch(word) else word))
        if mark in _CLOSERS:
            open_.append(mark)
        elif mark in ("}", "]"):
            if not open_ or _CLOSERS[open_.pop()] != mark:
                break
            if not open_:
                return parts, not text[at:].strip()
        if _is_end_of_value(parts, mark):
            safe, safe_open = len(parts), "".join(open_)
    return [*parts[:safe], *(_CLOSERS[mark] for mark in reversed(safe_open))], False


def _is_end_of_value(parts: list[str], mark: str | None) -> bool:
    """Tell whether the document can be closed here: behind a comma's or colon's value, or an opening."""
    if mark is not None:
        return mark not in (":", ",")
    # A string may be a key: it is a value only behind a colon, or in a list.
    before = parts[-2] if len(parts) > 1 else ""
    return before == ":" or (before in ("[", ",") and _in_list(parts))


def _in_list(parts: list[str]) -> bool:
    depth = 0
    for part in reversed(parts[:-1]):
        if part in ("}", "]"):
            depth += 1
        elif part in ("{", "["):
            if depth == 0:
                return part == "["
            depth -= 1
    return False


def number(value: object) -> float | None:
    """Give a finite number of a document; ``None`` for anything else."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return float(value) if math.isfinite(value) else None
