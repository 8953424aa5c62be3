"""The command that takes back what bootstrap put on the nodes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from rich.console import Console

from clusterboot.folding import by_value, fold
from clusterboot.headline import Ending
from clusterboot.report import ending as report

from .changes import below_home, changes, folded, show_changes
from .cli.command import Call, Outcome, command
from .cli.options import SHARED, context, writer

if TYPE_CHECKING:
    from clusterboot.commands.teardown import TornDown
    from clusterboot.report.about import About
    from clusterboot.session.context import Context

    from .documents import TeardownJson


@command("teardown", shared=SHARED)
def teardown_task(call: Call, shared: Mapping[str, Any]) -> Outcome:
    """Take back exactly what bootstrap put on the nodes."""
    from clusterboot.commands.teardown import teardown

    at = context(call, shared)
    result = teardown(at)
    more: TeardownJson = {
        "changed_files": below_home(result.edits),
        "changes": changes(result.planned),
        "still_to_do": list(result.still_to_do),
    }
    return Outcome(
        result.exit_code,
        result.hosts,
        more,
        ending=Ending(dry_run=at.dry_run),
        next_step=_next_step(at, result, writer(shared)),
        show=lambda to, about: _show_teardown(to, about, at, result),
    )


def _next_step(at: Context, result: TornDown, written: Callable[[str], str]) -> str | None:
    """Say what takes back the rest, or in earnest what a dry run showed."""
    from clusterboot.report.next_steps import lost_hosts

    if lost := lost_hosts(result.hosts):
        first = lost[0].remedy or "look at what stopped there"
        return f"{fold(host.name for host in lost)}: {first}; then {written('teardown')}"
    return written("teardown") if at.dry_run or result.still_to_do else None


def _show_teardown(to: Console, about: About, at: Context, result: TornDown) -> None:
    report.show_failures(to, result.hosts)
    word = "Would take back" if at.dry_run else "Took back"
    lines = [f"{word} on {fold(names)}: {paths}" for paths, names in by_value(folded(result.edits))]
    done = [host.name for host in result.hosts if host.status == "ok"]
    if not lines and done:
        lines.append(f"Nothing of this cluster's is on {fold(done)}")
    if at.dry_run:
        show_changes(to, result.planned)
    if result.still_to_do:
        lines.append(f"Still to do on {fold(result.still_to_do)}: run this again when they can be reached")
    report.show_lines(to, lines)
    report.show_headline(to, about.headline)
