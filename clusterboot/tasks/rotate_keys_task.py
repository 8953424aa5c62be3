"""The command that replaces a cluster's credentials."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from rich.console import Console

from clusterboot.folding import fold
from clusterboot.headline import Ending
from clusterboot.report import ending as report

from .changes import below_home
from .cli.command import Call, Outcome, command
from .cli.options import SHARED, context, writer
from .failed_logins import failed_logins, pair_lines

if TYPE_CHECKING:
    from clusterboot.commands.rotate_keys import Rotated
    from clusterboot.report.about import About
    from clusterboot.session.context import Context

    from .documents import RotateKeysJson


@command("rotate-keys", shared=SHARED)
def rotate_keys_task(call: Call, shared: Mapping[str, Any]) -> Outcome:
    """Replace the cluster's credentials: new in, proven, old out."""
    from clusterboot.commands.rotate_keys import rotate

    at = context(call, shared)
    result = rotate(at)
    more: RotateKeysJson = {
        "keys": result.mode,
        "finished": result.finished,
        "changed_files": below_home(result.edits),
        "failed_logins": failed_logins(result.login_failures),
    }
    written = writer(shared)
    return Outcome(
        result.exit_code,
        result.hosts,
        more,
        ending=Ending(reason=result.stopped or "", dry_run=at.dry_run),
        next_step=_next_step(at, result, written),
        show=lambda to, about: _show_rotated(to, about, at, result),
    )


def _next_step(at: Context, result: Rotated, written: Callable[[str], str]) -> str | None:
    """Say what can help: hosts to mend, the rotation in earnest, the logins that fail."""
    from clusterboot.report.next_steps import mend_hosts

    mended = mend_hosts(result.hosts, "rotate-keys", written)
    if mended is not None:
        return mended
    if at.dry_run or not result.finished:
        return written("rotate-keys")
    return written("bootstrap --verify full") if result.login_failures else written("nccl-test")


def _show_rotated(to: Console, about: About, at: Context, result: Rotated) -> None:
    report.show_failures(to, result.hosts)
    names = [host.name for host in result.hosts if host.status == "ok"]
    good = fold(names)
    if not names:
        lines = []
    elif at.dry_run:
        lines = [f"Would replace the keys of {good}"]
    elif result.finished:
        lines = [f"Keys: new on {good}, each proven before the old one went"]
    else:
        lines = [result.stopped or "Keys: none replaced"]
    if result.finished:
        pairs = [each for each in result.login_failures if {each.source, each.target} <= set(names)]
        lines += pair_lines(pairs)
    report.show_lines(to, lines)
    report.show_headline(to, about.headline)
