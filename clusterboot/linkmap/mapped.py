"""What a link map came to: its matrix, its findings, and the nodes that are good by them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from clusterboot.checks.ready import Ready
from clusterboot.errors import ExitCode, HostResult
from clusterboot.facts.node import NodeFacts
from clusterboot.headline import CutShort
from clusterboot.hostfiles.outputs import render_all, slots_of
from clusterboot.mpi.launcher import Mpi
from clusterboot.programs.collbench.pairs_options import Cost
from clusterboot.run.runend import RunEnd, measured_code
from clusterboot.session.visit import Visit

from .endpoints import host_of
from .pair_matrix import Inference
from .progress import LinkState


@dataclass(frozen=True)
class LinkMapped:
    """What a link map came to.

    ``cost`` is what the first launch was expected to take, ``launched`` how many there were;
    ``files`` are the hostfiles that changed; ``cut_short`` says what ended it before it was done.
    """

    hosts: tuple[HostResult, ...]
    exit_code: ExitCode
    state: LinkState
    inference: Inference
    what: str = ""
    cost: Cost | None = None
    mpi: Mpi | None = None
    launch_host: str | None = None
    launched: int = 0
    folder: Path | None = None
    files: tuple[str, ...] = ()
    facts: Mapping[str, NodeFacts] = field(default_factory=dict)
    backend: str | None = None
    cut_short: CutShort | None = None


def conclude_map(
    visit: Visit, state: LinkState, ends: Sequence[RunEnd] = (), *, budgeted: bool = False
) -> LinkMapped:
    """Judge a map, measured or not; a node that could not take part is one of its findings.

    Parameters: how its launches ended; whether a budget bounded them: then a pair that was not measured was
    cut off by it.
    """
    for host in visit.ledger.rows:
        if host.status != "ok":
            for place in state.nodes:
                if host_of(place) == host.name:
                    state.set_aside[place] = f"{host.stage}: {host.cause}"
    cut_short = next((end.cut_short for end in ends if end.cut_short), None)
    if cut_short is None and visit.fleet.watchdog.out_of_time:
        cut_short = "deadline"
    if (
        cut_short is None
        and budgeted
        and state.lacks([each for each in state.nodes if each not in state.set_aside])
    ):
        cut_short = "budget"
    inference = state.inference()
    if cut_short:
        # What was not measured may be at fault as well.
        inference = replace(inference, verdict="inconclusive")
    code = measured_code(visit.ledger.rows, ends, is_good=inference.verdict == "ok")
    return LinkMapped(visit.ledger.rows, code, state, inference, cut_short=cut_short)


def good_hostfiles(visit: Visit, ready: Ready, inference: Inference) -> dict[str, str]:
    """Write hostfiles, by their names, without the nodes that are named bad for certain."""
    bad = {
        host_of(finding.hosts[0])
        for finding in inference.findings
        if finding.kind == "node" and not finding.next_pairs
    }
    slots = [slot for slot in slots_of(visit, ready.facts, ready.addresses) if slot.host not in bad]
    return {f"{kind}-good": text for kind, text in render_all(slots).items()}
