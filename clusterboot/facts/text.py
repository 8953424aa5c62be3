"""What snippets and parsers share: ``key:value`` lines, and reading them without trust."""

from __future__ import annotations

import re
from collections.abc import Iterator

# Every snippet starts so. Builtins only: on a node, a process costs more than a file.
# `read` stops at the first line, and a file that is missing or refuses to be read
# (``speed`` of a link that is down) leaves the variable empty. Of a FIFO or a device in a file's
# place nothing is read: that might not end.
PRELUDE = r"""exec 2>/dev/null
show() {
  for f; do
    v=
    [ -f "$f" ] && read -r v <"$f"
    [ -n "$v" ] && printf '%s:%s\n' "$f" "$v"
  done
}
"""

_INTEGER = re.compile(r"-?[0-9]{1,18}")
_NUMBER = re.compile(r"-?[0-9]{1,18}(?:\.[0-9]{1,18})?")
_LONGEST = 400


def clean(text: str) -> str:
    """Make one line of what a node said: no control or direction characters, bounded length."""
    text = text[:_LONGEST]
    if not text.isprintable():
        text = "".join(char if char.isprintable() else " " for char in text)
    return text.strip()


def known(text: str | None) -> str | None:
    """Clean ``text``; give ``None`` for what tools print where they know nothing."""
    value = clean(text or "")
    return None if value.lower().strip("[]") in {"", "n/a", "none", "unknown", "not supported"} else value


def integer(text: str | None) -> int | None:
    """Read a decimal integer of at most 18 digits, or ``None``."""
    match = _INTEGER.fullmatch((text or "").strip())
    return int(match[0]) if match else None


def number(text: str | None) -> float | None:
    """Read a plain decimal number, or ``None``."""
    match = _NUMBER.fullmatch((text or "").strip())
    return float(match[0]) if match else None


def pairs(text: str) -> Iterator[tuple[str, str]]:
    """Give the ``key:value`` lines of ``text`` in order; what is no such line is passed over."""
    for line in text.split("\n"):
        key, colon, value = line.partition(":")
        if colon and key:
            yield key, value.strip()


def blocks(text: str) -> dict[str, str]:
    """Split ``text`` at lines ``@name``; text before the first belongs to none."""
    found: dict[str, str] = {}
    name = None
    for line in text.split("\n"):
        if line.startswith("@"):
            name = line[1:].strip()
            found.setdefault(name, "")
        elif name is not None:
            found[name] += line + "\n"
    return found


def absolute(path: str) -> str | None:
    """Give ``path`` if it is absolute and has nothing unprintable in it, else ``None``."""
    return path if path.startswith("/") and path == clean(path) else None


def cpu_list(text: str) -> frozenset[int]:
    """Read the kernel's list format, ``0-3,8``; malformed parts count for nothing.

    Source: the kernel's admin-guide/cputopology.
    """
    found: set[int] = set()
    for part in text.split(","):
        first, dash, last = part.partition("-")
        low = integer(first)
        high = integer(last) if dash else low
        if low is not None and high is not None and 0 <= low <= high < 65536:  # more CPUs than any kernel has
            found.update(range(low, high + 1))
    return frozenset(found)
