"""What other machines say, made safe to show: a node's words never steer a terminal."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

# ECMA-48 control sequences, and the strings (OSC, DCS, PM, APC, SOS) that terminals swallow whole.
# A string that has no end takes its line with it, and no more: a node must not hide what follows.
_SEQUENCE = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]"
    r"|(?:\x1b[\]PX^_]|[\x9d\x90\x98\x9e\x9f])[^\x07\x1b\x9c\n]*(?:\x07|\x1b\\|\x9c)?"
    r"|\x1b[ -/]*[0-~]"
)

# Categories that are no text: controls, format characters, surrogates, private use, unassigned,
# line and paragraph separators.
_UNSAFE = frozenset(("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"))
# Of the format characters, those without which words of some scripts, and emoji, fall apart.
# Neither reorders anything: Unicode Standard, section 23.2.
_JOINERS = "\u200c\u200d"
# More marks than any script puts on one letter spill over the lines around: "Zalgo".
_MOST_MARKS = 8
_MARKS = frozenset(("Mn", "Me"))
_PLAIN = re.compile(r"[\n\t -~]*")


def printable(text: str | bytes) -> str:
    """Take out of ``text`` what could move a cursor, set a title, or reorder what is read.

    Parameters: text, or bytes that are read as UTF-8.
    Returns: the same text without control sequences, control, format and bidirectional
    characters, tags and lone surrogates; line breaks and tabs stay, and so do letters of every
    script with their marks and joiners.
    """
    if isinstance(text, bytes):
        text = text.decode("utf-8", "replace")
    if _PLAIN.fullmatch(text):
        return text
    text = _SEQUENCE.sub("", text.replace("\r\n", "\n"))
    kept: list[str] = []
    marks = 0
    for char in text:
        category = unicodedata.category(char)
        marks = marks + 1 if category in _MARKS else 0
        joins = char in _JOINERS and bool(kept) and not kept[-1].isspace() and kept[-1] not in _JOINERS
        if char in "\n\t" or joins or (category not in _UNSAFE and marks <= _MOST_MARKS):
            kept.append(char)
    return "".join(kept)


def one_line(text: str | bytes, limit: int = 200) -> str:
    """Make ``text`` safe and fold it into one line of at most ``limit`` characters, its end kept."""
    # A node may have said megabytes; what is shown of them is in the last few.
    text = text[-16 * limit :] if len(text) > 64 * limit else text
    words = " ".join(printable(text).split())
    return words if len(words) <= limit else "…" + words[1 - limit :]


def listed(words: Sequence[str], most: int, separator: str = ", ") -> str:
    """Join words, at most so many of them: ``n1, n2 and 3 more``."""
    more = f" and {len(words) - most} more" if len(words) > most else ""
    return separator.join(words[:most]) + more
