"""What a command changed, or would change, on the nodes: each distinct change once, hosts folded."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from rich.console import Console
from rich.text import Text

from clusterboot.report.folding import by_value, fold
from clusterboot.report.say import say

if TYPE_CHECKING:
    from clusterboot.flows.bootstrap import Bootstrapped
    from clusterboot.keys import Edit


def host_trust(result: Bootstrapped, *, dry_run: bool) -> list[str]:
    """Say, in ``ca`` mode, what a dry run would do to sshd, and who is pinned all the same and why."""
    planned = [name for name, trust in result.host_trust.items() if trust.certified and trust.changed]
    reasons = {name: trust.reason for name, trust in result.host_trust.items() if not trust.certified}
    would = [f"Would give sshd on {fold(planned)} a certificate, in /etc/ssh"] if dry_run and planned else []
    return would + [
        f"Hosts: {fold(names)} pinned one by one, without host certificates: {reason}"
        for reason, names in by_value(reasons)
    ]


def _distinct(planned: Mapping[str, tuple[Edit, ...]]) -> list[tuple[str, str, list[str]]]:
    """Give each distinct change once: its file, its diff, and the hosts where it would be made."""
    from clusterboot.keys import unified

    changes: dict[tuple[str, str], list[str]] = {}
    for name, edits in planned.items():
        for edit in edits:
            changes.setdefault((edit.path, unified(edit)), []).append(name)
    return [(path, diff, names) for (path, diff), names in changes.items()]


def changes(planned: Mapping[str, tuple[Edit, ...]]) -> list[dict[str, str]]:
    """Give what a dry run would change, for the document: hosts, file and unified diff."""
    return [
        {"hosts": fold(names), "path": f"~/{path}", "diff": diff} for path, diff, names in _distinct(planned)
    ]


def show_changes(to: Console, planned: Mapping[str, tuple[Edit, ...]]) -> None:
    """Print what a dry run would change."""
    for _, diff, names in _distinct(planned):
        say(to, Text(f"# {fold(names)}", style="bold"))
        say(to, Text(diff.rstrip("\n")))


def folded(edits: Mapping[str, tuple[str, ...]]) -> dict[str, str]:
    """Give each host's changed files as one text."""
    return {name: ", ".join(f"~/{path}" for path in paths) for name, paths in edits.items()}
