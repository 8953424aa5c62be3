"""The task on links: every pair measured, the bad node, link or group named.

What it needs is imported when it runs: it would slow the start of all others.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from rich.console import Console

from clusterboot.headline import Ending

from .cli.command import Call, Outcome, command
from .cli.options import LAUNCHING, choice, context, number, size, writer

if TYPE_CHECKING:
    from clusterboot.linkmap.endpoints import By
    from clusterboot.linkmap.mapped import LinkMapped
    from clusterboot.linkmap.measurement_plan import MapMode
    from clusterboot.report.about import About

    from .documents import LinkMapJson

# Enough for the plateau of NVLink.
_GPU_BYTES = 64 * 1024**2
_MODES = ("adaptive", "full")


@command(
    "link-map",
    shared=LAUNCHING,
    mode="adaptive or full (default adaptive: some pairs in full, and then what settles it)",
    budget="seconds that the measuring may take",
    e="largest message (default 4M, 64M in GPU memory)",
    by="node or gpu (default node): gpu maps rank to rank, so that a bad NVLink, slot or rail shows",
    backend="auto, nccl or mpi (default auto: nccl for --by gpu where all nodes can, else mpi)",
    resume="an earlier result.json: only what it lacks is measured",
)
def link_map_task(  # noqa: PLR0917  # invoke passes them by name
    call: Call,
    shared: Mapping[str, Any],
    mode: str = "adaptive",
    budget: str = "",
    e: str = "",
    by: str = "node",
    backend: str = "auto",
    resume: str = "",
) -> Outcome:
    """Measure every pair of nodes in one launch, draw the matrix, name the bad node, link or group."""
    from clusterboot.commands.link_map import link_map
    from clusterboot.linkmap.map_ending import map_ending
    from clusterboot.linkmap.map_plan import LinkMapOptions
    from clusterboot.programs.collbench.pairs_options import PairsOptions
    from clusterboot.programs.registered import PAIRS
    from clusterboot.report.formats import MATRIX_FORMATS
    from clusterboot.report.next_steps import after_map
    from clusterboot.report.pages import publish

    from .cli import output_format

    choice("--mode", mode, _MODES)
    choice("--by", by, ("node", "gpu"))
    choice("--backend", backend, ("auto", *(each.name for each in PAIRS)))
    largest_bytes = size("-e", e or "4M")
    budget_s = number("--budget", budget)
    output = output_format.chosen(call, shared["format"], MATRIX_FORMATS)
    at = context(call, shared)
    options = LinkMapOptions(
        cast("MapMode", mode),
        PairsOptions(max_bytes=largest_bytes),
        budget_s,
        Path(resume) if resume else None,
        shared["launch_from"] or None,
        cast("By", by),
        backend,
        shared["share_gpu"],
        None if e else _GPU_BYTES,
    )
    result = link_map(at, options)
    folder = result.folder
    matrix = result.state.matrix
    ending = map_ending(matrix, result.inference, result.cut_short)
    if folder is None:
        verdict = None if at.dry_run else "inconclusive"
        ending = Ending(verdict, "nothing was measured", cut_short=result.cut_short, dry_run=at.dry_run)
    written = writer(shared)
    return Outcome(
        result.exit_code,
        result.hosts,
        _document(result, options.mode),
        ending=ending,
        next_step=after_map(result, written, dry_run=at.dry_run),
        show=partial(_show, result=result),
        export=output((matrix, result.inference) if folder else None),
        save=(lambda text: publish(folder, text)) if folder else None,
    )


def _document(result: LinkMapped, mode: MapMode) -> LinkMapJson:
    from clusterboot.report.factlines import fact_lines

    return {
        **result.state.to_json(result.inference),
        "mode": mode,
        "what": result.what,
        "cost": result.cost,
        "backend": result.backend,
        "mpi": result.mpi,
        "launch_host": result.launch_host,
        "node_facts": list(fact_lines(result.facts)),
        "files": list(result.files),
        "folder": result.folder,
    }


def _show(to: Console, about: About, result: LinkMapped) -> None:
    from clusterboot.report.ending import show_failures, show_headline, show_lines
    from clusterboot.report.matrix import show_matrix

    show_failures(to, result.hosts)
    if result.folder is None:
        show_headline(to, about.headline)
        return
    to.print()
    show_matrix(to, "Link map", result.state.matrix, result.inference, about.headline)
    saved = f"Saved: {result.folder}/ with report.html"
    show_lines(to, [f"Ran: {result.what}, from {result.launch_host}", saved])
