"""The task on stored matrices: what a link map, anybody's, says."""

from __future__ import annotations

import sys
from dataclasses import replace

from rich.console import Console

from clusterboot.errors import ExitCode
from clusterboot.headline import headline
from clusterboot.report.about import About

from .cli.command import Call, Outcome, command


@command(
    "diagnose",
    matrix="matrices or logs of pairs: a file, a folder, a quoted glob, or - for standard input",
    format="csv, junit or prometheus on standard output, instead of the table",
)
def diagnose_task(call: Call, matrix: str, format: str = "") -> Outcome:  # noqa: A002  # the option's name
    """Name the bad node, link or group in matrices of bandwidth between nodes, or in logs of their pairs."""
    from clusterboot.commands.inputs import read_inputs
    from clusterboot.linkmap.formats.json import matrix_to_json
    from clusterboot.linkmap.formats.reading import MOST_BYTES, read_matrices
    from clusterboot.linkmap.inference.infer import infer
    from clusterboot.linkmap.map_ending import map_ending
    from clusterboot.report.formats import MATRIX_FORMATS
    from clusterboot.report.matrix import show_matrix
    from clusterboot.report.next_steps import after_findings

    from .cli import output_format
    from .cli.options import next_command

    output = output_format.chosen(call, format, MATRIX_FORMATS)
    found = read_matrices(read_inputs(matrix, sys.stdin.buffer, MOST_BYTES + 1), matrix)
    output_format.require_one(format, found, "matrices")
    judged = []
    for stored in found:
        inference = infer(stored.matrix)
        judged.append((stored, replace(inference, notes=(*stored.notes, *inference.notes))))

    endings = [map_ending(stored.matrix, inference) for stored, inference in judged]
    bad = [at for at, ending in enumerate(endings) if ending.verdict != "ok"]
    steps = (after_findings(judged[at][1], judged[at][0].matrix.nodes) for at in bad)
    step = next(filter(None, steps), None)

    def show(to: Console, _: About) -> None:
        for (stored, inference), ending in zip(judged, endings, strict=True):
            title = f"{stored.path}: {stored.caption}" if stored.caption else stored.path
            show_matrix(to, title, stored.matrix, inference, headline((), 0, ending))

    return Outcome(
        ExitCode.VALIDATION if bad else ExitCode.OK,
        # How a stored matrix was measured, it does not say.
        more={
            "files": [
                {
                    "path": stored.path,
                    "caption": stored.caption,
                    "rounds": None,
                    "launches": None,
                    **matrix_to_json(stored.matrix, inference),
                }
                for stored, inference in judged
            ]
        },
        ending=endings[bad[0] if bad else 0],
        next_step=step(next_command) if step else None,
        show=show,
        export=output((judged[0][0].matrix, judged[0][1])),
    )
