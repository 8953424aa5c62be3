"""The task on saved results: the page of one, or of several side by side."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from datetime import datetime, timedelta, timezone
from pathlib import Path

from rich.console import Console
from rich.text import Text

from clusterboot.errors import UsageError
from clusterboot.report.about import About

from .cli.command import Call, Outcome, command
from .cli.options import SHARED, WRITING, here, lab_root, running_lab, whole
from .cli.plain_words import PlainWords

_UNITS = {
    "m": timedelta(minutes=1),
    "h": timedelta(hours=1),
    "d": timedelta(days=1),
    "w": timedelta(weeks=1),
}


@command(
    "report",
    iterable=("result",),
    words=PlainWords(
        "result",
        "[RESULT…]",
        "a result.json, a run's folder, a folder of runs or a quoted glob; several are put side by side",
    ),
    output="where the page goes (default report.html beside the result; comparison.html for several)",
    last="the newest N runs side by side",
    since="runs from then on side by side: 7d, 12h, or a day like 2026-01-31",
    results_dir=WRITING["results_dir"],
    cluster=SHARED["cluster"],
)
def report_task(  # noqa: PLR0917  # invoke passes them by name
    call: Call,
    result: Sequence[str] | None = None,
    output: str = "",
    last: str = "",
    since: str = "",
    results_dir: str = "",
    cluster: str = "",
) -> Outcome:
    """Render saved results as one HTML page that opens offline (default the newest result here)."""
    from clusterboot.report.pages import Kept, write_page
    from clusterboot.units import format_size

    kept = Kept(_roots(results_dir, cluster), whole("--last", last, 1), _since(since))
    if result and (last or since):
        raise UsageError("--last and --since choose results, and results are given", remedy="leave one out")
    path, runs = write_page(result or (), output, here(), kept)
    clusters = {run.cluster for run in runs}
    call.cluster = clusters.pop() if len(clusters) == 1 else None
    size_bytes = path.stat().st_size

    def show(to: Console, _: About) -> None:
        what = (
            f"{runs[0].command} of {runs[0].started}" if len(runs) == 1 else f"{len(runs)} runs side by side"
        )
        to.print(Text(f"Wrote {path}: {what}, {format_size(size_bytes)}"), soft_wrap=True)

    more = {"page": path, "size_bytes": size_bytes, "results": [run.name for run in runs]}
    return Outcome(more=more, show=show)


def _roots(results_dir: str, cluster: str) -> list[Path]:
    """List the folders that results may be below: one that is named, else the cluster file's and this one."""
    from clusterboot.inventory.locations import find, results_root

    environ = os.environ
    try:
        file = find(cluster or None, cwd=here(), environ=environ, running_lab=running_lab())
    except UsageError:
        if cluster:
            raise
        # Results may be read without a cluster.
        file = None
    named = results_dir or environ.get("CLUSTERBOOT_RESULTS")
    if not named and file is None:
        return [here()]
    root = results_root(results_dir or None, cwd=here(), environ=environ, cluster_file=file, labs=lab_root())
    return [root] if named else list(dict.fromkeys((root, here())))


def _since(text: str) -> datetime | None:
    """Read a time ago, or a day. Errors: :class:`UsageError` for anything else."""
    if not text:
        return None
    ago = re.fullmatch(r"([0-9]{1,5})([mhdw])", text)
    try:
        if ago:
            return datetime.now(timezone.utc) - int(ago[1]) * _UNITS[ago[2]]
        return datetime.strptime(text, "%Y-%m-%d").astimezone()
    except (ValueError, OverflowError):
        raise UsageError(f"--since {text}: not a time like 7d, 12h or 2026-01-31") from None
