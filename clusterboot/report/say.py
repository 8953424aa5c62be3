"""One line at a time: folded at words on a terminal, whole where a program may read it."""

from __future__ import annotations

from rich.console import Console
from rich.text import Text


def say(console: Console, line: Text) -> None:
    """Print a line; a pipe gets it without breaks, so that grep finds all of it."""
    console.print(line, soft_wrap=not console.is_terminal)
