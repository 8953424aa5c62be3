"""What an edit would change, as a unified diff of the lines that come and go."""

from __future__ import annotations

import difflib
from io import BytesIO

from clusterboot.printable import printable

from .known import Edit


def unified(edit: Edit) -> str:
    """Write an edit as a unified diff without context, so that equal changes of unequal files are equal.

    Returns: text with control characters made visible; empty where nothing changes.
    Source: diff(1), option ``-U0``; a missing last newline is marked as diff marks it.
    """
    before = _lines(edit.old.content if edit.old.kind == "file" else b"")
    after = _lines(b"" if edit.remove else edit.new)
    old_name = f"~/{edit.path}" if edit.old.kind == "file" else "/dev/null"
    new_name = "/dev/null" if edit.remove else f"~/{edit.path}"
    out = []
    for line in difflib.unified_diff(before, after, old_name, new_name, n=0):
        bare = line.removesuffix("\n")
        out.append(printable(bare))
        if bare == line and not line.startswith(("---", "+++", "@@")):
            out.append("\\ No newline at end of file")
    return "\n".join(out) + "\n" if out else ""


def _lines(content: bytes) -> list[str]:
    # Only a newline ends a line here, as for sshd; splitlines() knows many more.
    return [line.decode("utf-8", "replace") for line in BytesIO(content)]
