"""The task on stored matrices: what a link map, anybody's, says."""

from __future__ import annotations

import sys

from rich.console import Console

from clusterboot.errors import ExitCode, UsageError
from clusterboot.tasks.command import Outcome, Session, command


@command(
    "diagnose",
    matrix="a matrix: a file, a folder, a quoted glob, or - for standard input",
    format="csv, junit or prometheus on standard output, instead of the table",
)
def diagnose_task(_: Session, matrix: str, format: str = "") -> Outcome:  # noqa: A002  # the option's name
    """Name the bad node, link or group in matrices of bandwidth between nodes."""
    from clusterboot.diagnose.matrix.document import matrix_to_json
    from clusterboot.diagnose.matrix.infer import infer
    from clusterboot.diagnose.matrix.reading import read_matrix
    from clusterboot.flows.inputs import read_inputs
    from clusterboot.report.matrix import show_matrix
    from clusterboot.tasks.matrix_format import matrix_format
    from clusterboot.tasks.options import next_command

    output = matrix_format(format)
    found = [(path, read_matrix(data, path)) for path, data in read_inputs(matrix, sys.stdin.buffer)]
    if output and len(found) > 1:
        raise UsageError(
            f"--format {format}: {len(found)} matrices are too many", remedy="give one matrix at a time"
        )
    judged = [(path, cells, infer(cells)) for path, cells in found]

    def show(to: Console) -> None:
        for path, cells, inference in judged:
            show_matrix(to, path, cells, inference, next_command)

    good = all(inference.verdict == "ok" for _, _, inference in judged)
    return Outcome(
        ExitCode.OK if good else ExitCode.VALIDATION,
        # How a stored matrix was measured, it does not say.
        more={
            "files": [
                {"path": path, "rounds": None, "launches": None, **matrix_to_json(cells, inference)}
                for path, cells, inference in judged
            ]
        },
        show=output(judged[0][1], judged[0][2]) if output else show,
    )
