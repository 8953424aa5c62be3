"""``--format`` of link maps: for other programs, on standard output."""

from __future__ import annotations

from collections.abc import Callable

from rich.console import Console

from clusterboot.diagnose.matrix.records import Inference, PairMatrix
from clusterboot.report.matrix_formats import matrix_to_csv, matrix_to_junit, matrix_to_prometheus
from clusterboot.tasks.command import Show
from clusterboot.tasks.options import choice

Render = Callable[[PairMatrix, Inference], str]

_FORMATS: dict[str, Render] = {
    "csv": lambda matrix, _: matrix_to_csv(matrix),
    "junit": matrix_to_junit,
    "prometheus": matrix_to_prometheus,
}


def matrix_format(name: str) -> Callable[[PairMatrix, Inference], Show] | None:
    """Give what prints a map in a format; ``None`` where none was asked for.

    Errors: :class:`UsageError` for a format that there is not.
    """
    if not name:
        return None
    render = _FORMATS[choice("--format", name, tuple(_FORMATS))]

    def printing(matrix: PairMatrix, inference: Inference) -> Show:
        def show(to: Console) -> None:
            to.file.write(render(matrix, inference))

        return show

    return printing
