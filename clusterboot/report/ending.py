"""Lines for people: one at a time, and those after a command on a cluster: failures, what to try next."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.text import Text

from clusterboot.errors import HostResult
from clusterboot.folding import by_value, fold
from clusterboot.printable import one_line


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


def count_states(hosts: Sequence[HostResult]) -> str:
    """Say how many hosts are in which state: ``7 ok, 1 unreachable``."""
    counts = by_value({host.name: host.status for host in hosts})
    return ", ".join(f"{len(names)} {status}" for status, names in counts)


def show_summary(console: Console, lines: Sequence[str], next_command: str | None) -> None:
    """Print the closing lines of a command, and what to try next."""
    for line in lines:
        say(console, Text(line))
    if next_command:
        say(console, Text.assemble("Next: ", (next_command, "bold cyan")))
