"""``--format``: benchmark results for other programs, on standard output."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from rich.console import Console

from clusterboot.bench.records import LogReport
from clusterboot.errors import UsageError
from clusterboot.report.formats import to_csv, to_junit, to_prometheus
from clusterboot.tasks.command import Show
from clusterboot.tasks.options import choice

if TYPE_CHECKING:
    from clusterboot.diagnose.matrix.records import Inference, PairMatrix

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


def chosen_for_maps(name: str) -> Callable[[str, PairMatrix, Inference], Show] | None:
    """Give what prints a link map in a format; ``None`` where none was asked for.

    Errors: :class:`UsageError` for a format that there is not.
    """
    if not name:
        return None
    from clusterboot.report import matrix_formats

    formats: dict[str, Callable[[str, PairMatrix, Inference], str]] = {
        "csv": matrix_formats.pairs_to_csv,
        "junit": matrix_formats.findings_to_junit,
        "prometheus": matrix_formats.matrix_to_prometheus,
    }
    render = formats[choice("--format", name, tuple(formats))]

    def printing(path: str, matrix: PairMatrix, inference: Inference) -> Show:
        def show(to: Console) -> None:
            to.file.write(render(path, matrix, inference))

        return show

    return printing
