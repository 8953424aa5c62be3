"""What other machines say, made safe to show: a node's words never steer a terminal."""

from __future__ import annotations

import re
import unicodedata

# ECMA-48 control sequences, and the strings (OSC, DCS, PM, APC, SOS) that terminals swallow whole.
_SEQUENCE = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]|\x9b[0-?]*[ -/]*[@-~]"
    r"|(?:\x1b[\]PX^_]|[\x9d\x90\x98\x9e\x9f]).*?(?:\x07|\x1b\\|\x9c|$)"
    r"|\x1b[ -/]*[0-~]",
    re.DOTALL,
)


def printable(text: str | bytes) -> str:
    """Take out of ``text`` what could move a cursor, set a title, or reorder what is read.

    Parameters: text, or bytes that are read as UTF-8.
    Returns: the same text without control sequences, control, format and bidirectional
    characters and lone surrogates; line breaks and tabs stay.
    """
    if isinstance(text, bytes):
        text = text.decode("utf-8", "replace")
    text = _SEQUENCE.sub("", text).replace("\r\n", "\n")
    return "".join(
        char
        for char in text
        if char in "\n\t" or unicodedata.category(char) not in ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")
    )


def one_line(text: str | bytes, limit: int = 200) -> str:
    """Make ``text`` safe and fold it into one line of at most ``limit`` characters, its end kept."""
    words = " ".join(printable(text).split())
    return words if len(words) <= limit else "…" + words[1 - limit :]
