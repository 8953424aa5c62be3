"""The command that takes back what bootstrap put on the nodes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from rich.console import Console

from clusterboot.errors import ExitCode
from clusterboot.folding import by_value, fold
from clusterboot.report import ending as report

from .changes import below_home, changes, folded, show_changes
from .command import Call, Outcome, command
from .options import SHARED, context

if TYPE_CHECKING:
    from clusterboot.commands.teardown import TornDown
    from clusterboot.session.context import Context

    from .documents import TeardownJson


@command("teardown", shared=SHARED)
def teardown_task(call: Call, shared: Mapping[str, Any]) -> Outcome:
    """Take back exactly what bootstrap put on the nodes."""
    from clusterboot.commands.teardown import teardown

    at = context(call, shared)
    result = teardown(at)
    more: TeardownJson = {
        "dry_run": at.dry_run,
        "changed_files": below_home(result.edits),
        "changes": changes(result.planned),
        "still_to_do": list(result.still_to_do),
    }
    return Outcome(result.exit_code, result.hosts, more, lambda to: _show_teardown(to, at, result))


def _show_teardown(to: Console, at: Context, result: TornDown) -> None:
    report.show_failures(to, result.hosts)
    word = "Would take back" if at.dry_run else "Took back"
    lines = [f"{word} on {fold(names)}: {paths}" for paths, names in by_value(folded(result.edits))]
    if not lines:
        lines.append("Nothing of this cluster's is on the nodes that were reached")
    if at.dry_run:
        show_changes(to, result.planned)
    if result.still_to_do:
        lines.append(f"Still to do on {fold(result.still_to_do)}: run this again when they can be reached")
    report.show_summary(to, lines, None)
    if result.exit_code is ExitCode.OK and at.dry_run:
        to.print("Nothing was changed (--dry-run)")
