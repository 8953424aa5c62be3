"""What must hold before a launch: keys in place, one MPI everywhere, a benchmark to run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Literal

from clusterboot.bench.collectives import COLLECTIVES
from clusterboot.bench.options import BenchOptions
from clusterboot.errors import PartialError, UsageError, ValidationError
from clusterboot.facts.records import Mpi, NodeFacts
from clusterboot.flows.survey import Surveyed
from clusterboot.flows.visit import Visit
from clusterboot.report.folding import fold

Backend = Literal["nccl-tests", "mpi"]
BackendChoice = Literal["auto", "nccl-tests", "mpi"]


def require_keys(visit: Visit, surveyed: Mapping[str, Surveyed]) -> None:
    """Put out every host that was not bootstrapped for this cluster."""
    for host in visit.good:
        found = surveyed[host.name].keys
        if found.public_key is None or found.own_config.kind == "absent":
            error = PartialError(
                "it has no keys of this cluster", stage="keys", remedy="run bootstrap for this cluster first"
            )
            visit.ledger.fail(host.name, error)


def agree_on_mpi(visit: Visit, facts: Mapping[str, NodeFacts]) -> Mpi:
    """Find the MPI that the nodes have in common, and put out the nodes without it.

    Each node counts with the first MPI that a non-interactive shell finds there.
    Returns: the MPI that most nodes have, as the first of them has it.
    Errors: :class:`ValidationError` where no node has any.
    """
    first = {host.name: facts[host.name].mpi[0] for host in visit.good if facts[host.name].mpi}
    if not first:
        raise ValidationError(
            "no node has an MPI that a non-interactive shell finds",
            stage="launch",
            remedy="install one, or name its folder as clusterboot.mpi.prefix in the cluster file",
        )
    (kind, version), _ = Counter((mpi.kind, mpi.version) for mpi in first.values()).most_common(1)[0]
    common = next(mpi for mpi in first.values() if (mpi.kind, mpi.version) == (kind, version))
    for host in visit.good:
        found = first.get(host.name)
        if found is None:
            cause, remedy = "it has no mpirun", f"install {kind} {version} there, as on the other nodes"
        elif (found.kind, found.version) != (kind, version):
            cause = f"it has {found.kind} {found.version}, the others {kind} {version}"
            remedy = "install the same version on all nodes"
        else:
            continue
        visit.ledger.fail(host.name, PartialError(cause, stage="launch", remedy=remedy))
    return common


def choose_backend(
    wanted: BackendChoice, options: BenchOptions, visit: Visit, facts: Mapping[str, NodeFacts]
) -> Backend:
    """Choose the benchmark: nccl-tests where every node has GPUs and its programs, else the project's own.

    Errors: :class:`UsageError` where the one asked for cannot run.
    """
    lacking = [host.name for host in visit.good if not _has_nccl_tests(facts[host.name], options)]
    if wanted == "mpi" or (wanted == "auto" and lacking):
        return "mpi"
    if lacking:
        raise UsageError(
            f"nccl-tests cannot run: no GPU or not its programs on {fold(lacking)}",
            stage="launch",
            remedy="name its folder as clusterboot.nccl.tests_dir, or use --backend mpi",
        )
    return "nccl-tests"


def _has_nccl_tests(node: NodeFacts, options: BenchOptions) -> bool:
    programs = {COLLECTIVES[name].program for name in options.collectives}
    return bool(node.gpu.gpus) and programs <= set(node.software.nccl_tests)
