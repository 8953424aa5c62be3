"""``--format``: benchmark results for other programs, on standard output."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from rich.console import Console

from clusterboot.bench.records import LogReport
from clusterboot.errors import UsageError
from clusterboot.report.formats import to_csv, to_junit, to_prometheus
from clusterboot.tasks.command import Show
from clusterboot.tasks.options import choice

_FORMATS: dict[str, Callable[[LogReport], str]] = {
    "csv": to_csv,
    "junit": to_junit,
    "prometheus": to_prometheus,
}


def chosen(name: str) -> Callable[[Sequence[LogReport]], Show] | None:
    """Give what prints reports in a format; ``None`` where none was asked for.

    Errors: :class:`UsageError` for a format that there is not, and later for several reports:
    each of these formats is one document.
    """
    if not name:
        return None
    render = _FORMATS[choice("--format", name, tuple(_FORMATS))]

    def printing(reports: Sequence[LogReport]) -> Show:
        if len(reports) > 1:
            raise UsageError(
                f"--format {name}: {len(reports)} logs are too many", remedy="give one log at a time"
            )

        def show(to: Console) -> None:
            to.file.write(render(reports[0]))

        return show

    return printing
