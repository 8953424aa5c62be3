"""Which benchmark runs: the one that is asked for, or the first that all nodes can run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TypeVar

from clusterboot.errors import PartialError, UsageError, ValidationError
from clusterboot.programs.bench_options import BenchOptions
from clusterboot.programs.program import Allocation, Program
from clusterboot.session.visit import Visit

ProgramT = TypeVar("ProgramT", bound=Program)


def asked(
    wanted: str, programs: Sequence[ProgramT], options: BenchOptions | None = None, *, share_gpu: bool = False
) -> list[ProgramT]:
    """Give the benchmarks that were asked for, before anything is contacted.

    Parameters: the choice that was asked for, ``auto`` for any; the benchmarks in question; what they are to
    do, where that is theirs to do or not; whether ranks are to share GPUs.
    Errors: :class:`UsageError` where none of them can do that.
    """
    named = [each for each in programs if wanted in ("auto", each.name)]
    able = [each for each in named if each.shares_gpus or not share_gpu]
    if not able:
        sharing = " or ".join(each.title for each in programs if each.shares_gpus)
        raise UsageError(f"--share-gpu is for {sharing}, not for --backend {wanted}")
    lacks = [each.lacks(options) if options else None for each in able]
    if all(lacks) and (lack := lacks[-1]):
        raise UsageError(lack.cause, remedy=lack.remedy)
    return [each for each, lack in zip(able, lacks, strict=True) if lack is None]


def choose(
    visit: Visit, on: Allocation, programs: Sequence[ProgramT], collectives: Sequence[str] = ()
) -> tuple[ProgramT, str]:
    """Choose the benchmark.

    Parameters: what it is to run on; the benchmarks that were :func:`asked` for, the first choice first, and
    what they are to run.
    Returns: the choice, and why no benchmark of GPU memory runs where there are GPUs. A node with another
    version of its library than most is put out.
    Errors: :class:`ValidationError` where none of them can run on the nodes.
    """
    reason = ""
    for program in programs:
        obstacle = program.available(on, collectives)
        if obstacle is None:
            _agree(visit, on, program)
            any_gpu = any(node.gpu.gpus for node in on.facts.values())
            return program, reason if any_gpu and not program.on_gpu else ""
        reason = f"not {program.title}: {obstacle.cause}"
        error = ValidationError(
            f"{program.title} cannot run: {obstacle.cause}", stage="launch", remedy=obstacle.remedy
        )
    raise error


def _agree(visit: Visit, on: Allocation, program: Program) -> None:
    """Put out the nodes whose library is of another version than most have; unknown ones stay."""
    found = {host.name: program.version(on.facts[host.name]) for host in visit.good if host.name in on.facts}
    known = Counter(version for version in found.values() if version)
    common = known.most_common(1)[0][0] if known else None
    for host, version in found.items():
        if version and version != common:
            cause = f"it has {program.title} {version}, the others {common}"
            remedy = "install the same version on all nodes"
            visit.ledger.fail(host, PartialError(cause, stage="launch", remedy=remedy))
