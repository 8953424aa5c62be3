"""The task on saved results: the page of one, or of several side by side."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.text import Text

from .command import Call, Outcome, command
from .options import here
from .plain_words import PlainWords


@command(
    "report",
    iterable=("result",),
    words=PlainWords(
        "result",
        "[RESULT…]",
        "a result.json, a run's folder, a folder of runs or a quoted glob; several are put side by side",
    ),
    output="where the page goes (default report.html beside the result, or here for several)",
)
def report_task(call: Call, result: Sequence[str] | None = None, output: str = "") -> Outcome:
    """Render saved results as one HTML page that opens offline (default the newest result here)."""
    from clusterboot.report.pages import write_page
    from clusterboot.units import format_size

    path, runs = write_page(result or (), output, here())
    clusters = {run.cluster for run in runs}
    call.cluster = clusters.pop() if len(clusters) == 1 else None
    size_bytes = path.stat().st_size

    def show(to: Console) -> None:
        what = (
            f"{runs[0].command} of {runs[0].started}" if len(runs) == 1 else f"{len(runs)} runs side by side"
        )
        to.print(Text(f"Wrote {path}: {what}, {format_size(size_bytes)}"), soft_wrap=True)

    more = {"page": path, "size_bytes": size_bytes, "results": [run.name for run in runs]}
    return Outcome(more=more, show=show)
