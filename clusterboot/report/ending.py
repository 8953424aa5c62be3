"""Lines for people: one at a time, and those after a command: what it came to, failures, what to do next."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.text import Text

from clusterboot.errors import HostResult
from clusterboot.folding import by_value, fold
from clusterboot.headline import Headline, State
from clusterboot.printable import one_line

_STYLES: dict[State, str] = {
    "ok": "bold green",
    "partial": "bold yellow",
    "bad": "bold red",
    "inconclusive": "bold yellow",
    "dry run": "bold",
}


def say(console: Console, line: Text) -> None:
    """Print a line; a pipe gets it without breaks, so that grep finds all of it."""
    console.print(line, soft_wrap=not console.is_terminal)


def show_failures(console: Console, hosts: Sequence[HostResult]) -> None:
    """Print each distinct failure once, with the hosts that have it folded."""
    bad = {host.name: host for host in hosts if host.status not in ("ok", "skipped")}
    kinds = {name: (host.status, host.stage, host.cause, host.remedy) for name, host in bad.items()}
    for (status, stage, cause, remedy), names in by_value(kinds):
        told = f" {stage}: {one_line(cause or '', 400)}"
        line = Text.assemble((fold(names), "bold"), " ", (status, "red"), told)
        if remedy:
            line.append(f"; {remedy}", style="dim")
        say(console, line)


def show_headline(console: Console, line: Headline) -> None:
    """Print what a command came to."""
    say(console, Text(line.text, style=_STYLES[line.state]))


def show_lines(console: Console, lines: Sequence[str]) -> None:
    """Print the closing lines of a command."""
    for line in lines:
        say(console, Text(line))


def show_next(console: Console, next_step: str | None) -> None:
    """Print what can help next, where anything can."""
    if next_step:
        say(console, Text.assemble("Next: ", (next_step, "bold cyan")))
