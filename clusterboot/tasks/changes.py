"""What a command changed, or would change, on the nodes: each distinct change once, hosts folded."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from rich.console import Console
from rich.text import Text

from clusterboot.folding import fold
from clusterboot.report.ending import say

if TYPE_CHECKING:
    from clusterboot.trust.homes.known import Edit

    from .documents import ChangeJson


def _distinct(planned: Mapping[str, tuple[Edit, ...]]) -> list[tuple[str, str, list[str]]]:
    """Give each distinct change once: its file, its diff, and the hosts where it would be made."""
    from clusterboot.trust.homes.diff import unified

    changes: dict[tuple[str, str], list[str]] = {}
    for name, edits in planned.items():
        for edit in edits:
            changes.setdefault((edit.path, unified(edit)), []).append(name)
    return [(path, diff, names) for (path, diff), names in changes.items()]


def changes(planned: Mapping[str, tuple[Edit, ...]]) -> list[ChangeJson]:
    """Give what a dry run would change, for the document: hosts, file and unified diff."""
    return [
        {"hosts": fold(names), "path": f"~/{path}", "diff": diff} for path, diff, names in _distinct(planned)
    ]


def show_changes(to: Console, planned: Mapping[str, tuple[Edit, ...]]) -> None:
    """Print what a dry run would change."""
    for _, diff, names in _distinct(planned):
        say(to, Text(f"# {fold(names)}", style="bold"))
        say(to, Text(diff.rstrip("\n")))


def below_home(edits: Mapping[str, tuple[str, ...]]) -> dict[str, list[str]]:
    """Give each host's changed files as a user writes them."""
    return {name: [f"~/{path}" for path in paths] for name, paths in edits.items()}


def folded(edits: Mapping[str, tuple[str, ...]]) -> dict[str, str]:
    """Give each host's changed files as one text."""
    return {name: ", ".join(paths) for name, paths in below_home(edits).items()}
