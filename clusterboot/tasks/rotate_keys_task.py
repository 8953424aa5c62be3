"""The command that replaces a cluster's credentials."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from rich.console import Console

from clusterboot.folding import fold
from clusterboot.report import ending as report

from .changes import below_home
from .command import Call, Outcome, command
from .failed_logins import failed_logins, pair_lines
from .options import SHARED, context

if TYPE_CHECKING:
    from clusterboot.commands.rotate_keys import Rotated
    from clusterboot.session.context import Context

    from .documents import RotateKeysJson


@command("rotate-keys", shared=SHARED)
def rotate_keys_task(call: Call, shared: Mapping[str, Any]) -> Outcome:
    """Replace the cluster's credentials: new in, proven, old out."""
    from clusterboot.commands.rotate_keys import rotate

    at = context(call, shared)
    result = rotate(at)
    more: RotateKeysJson = {
        "dry_run": at.dry_run,
        "keys": result.mode,
        "finished": result.finished,
        "changed_files": below_home(result.edits),
        "failed_logins": failed_logins(result.login_failures),
    }
    return Outcome(result.exit_code, result.hosts, more, lambda to: _show_rotated(to, at, result))


def _show_rotated(to: Console, at: Context, result: Rotated) -> None:
    report.show_failures(to, result.hosts)
    names = [host.name for host in result.hosts if host.status == "ok"]
    good = fold(names)
    if at.dry_run:
        lines = [f"Would replace the keys of {good}", "Nothing was changed (--dry-run)"]
    elif result.finished:
        lines = [f"Keys: new on {good}, each proven before the old one went"]
    else:
        lines = [result.stopped or "Keys: none replaced"]
    if result.finished:
        pairs = [each for each in result.login_failures if {each.source, each.target} <= set(names)]
        lines += pair_lines(pairs)
    report.show_summary(to, lines, None)
