"""The task on stored matrices: what a link map, anybody's, says."""

from __future__ import annotations

import sys

from rich.console import Console

from clusterboot.errors import ExitCode
from clusterboot.tasks.command import Outcome, Session, command


@command("diagnose", matrix="a matrix: a file, a folder, a quoted glob, or - for standard input")
def diagnose_task(_: Session, matrix: str) -> Outcome:
    """Name the bad node, link or group in matrices of bandwidth between nodes."""
    from clusterboot.diagnose.matrix.document import matrix_to_json
    from clusterboot.diagnose.matrix.infer import infer
    from clusterboot.diagnose.matrix.reading import read_matrix
    from clusterboot.flows.inputs import read_inputs
    from clusterboot.report.matrix import show_matrix

    found = [(path, read_matrix(data, path)) for path, data in read_inputs(matrix, sys.stdin.buffer)]
    judged = [(path, cells, infer(cells)) for path, cells in found]

    def show(to: Console) -> None:
        for path, cells, inference in judged:
            show_matrix(to, path, cells, inference)

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
        show=show,
    )
