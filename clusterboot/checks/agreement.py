"""The one MPI that all nodes of a launch have."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace

from clusterboot.errors import UnsettledError, ValidationError
from clusterboot.facts.node import NodeFacts
from clusterboot.mpi.launcher import Mpi
from clusterboot.session.visit import UnfitError, Visit


def agree_on_mpi(visit: Visit, facts: Mapping[str, NodeFacts]) -> tuple[Mpi, dict[str, NodeFacts]]:
    """Find the MPI that the nodes have in common, and put out the nodes without it.

    Returns: the MPI that most nodes have; of several the one that most find first, as the
    first of them has it; and the facts with that MPI first.
    Errors: :class:`ValidationError` where no node has any; :class:`UnsettledError` where as many nodes find
    one as another first, and neither is on all nodes.
    """
    first = Counter(
        (facts[host.name].mpi[0].kind, facts[host.name].mpi[0].version)
        for host in visit.good
        if facts[host.name].mpi
    )
    if not first:
        problems = [problem for host in visit.good if (problem := facts[host.name].mpi_problem)]
        raise ValidationError(
            problems[0] if problems else "no node has an MPI that a non-interactive shell finds",
            stage="launch",
            remedy="install one, or name its folder as clusterboot.mpi.prefix or its module as .module",
        )
    kind, version = _most_common(first, [facts[host.name] for host in visit.good])
    common: Mpi | None = None
    agreed = dict(facts)
    for host in visit.good:
        node = facts[host.name]
        found = next((mpi for mpi in node.mpi if (mpi.kind, mpi.version) == (kind, version)), None)
        if found is None:
            visit.ledger.fail(host.name, _without(node, kind, version, visit.cluster.options.mpi.prefix))
        else:
            common = common or found
            agreed[host.name] = replace(node, mpi=(found, *(mpi for mpi in node.mpi if mpi is not found)))
    assert common is not None  # noqa: S101  # the counter had it from one of them
    return common, agreed


def _most_common(first: Counter[tuple[str, str]], nodes: Sequence[NodeFacts]) -> tuple[str, str]:
    """Choose of what most nodes find first what most nodes have; the hosts' order must not decide."""
    having = Counter((mpi.kind, mpi.version) for node in nodes for mpi in node.mpi)
    tied = [each for each, count in first.items() if count == max(first.values())]
    best = [each for each in tied if having[each] == max(having[one] for one in tied)]
    if len(best) == 1 or having[best[0]] == len(nodes):
        return best[0]
    kinds = list(dict.fromkeys(kind for kind, _ in best))
    lines = [f"mpi: {{kind: {kind}}}" for kind in kinds] if len(kinds) > 1 else ["mpi: {prefix: FOLDER}"]
    told = f"write under clusterboot in the cluster file {' or '.join(lines)}"
    raise UnsettledError(
        f"as many nodes have one MPI as another: {', '.join(f'{kind} {version}' for kind, version in best)}",
        stage="launch",
        remedy=f"{told}, or install one on all nodes",
    )


def _without(node: NodeFacts, kind: str, version: str, prefix: str | None) -> UnfitError:
    """Say what a node has instead of the MPI of the others."""
    same_kind = next((mpi for mpi in node.mpi if mpi.kind == kind), None)
    if node.mpi_problem:
        return UnfitError(
            "missing-executable", node.mpi_problem, stage="launch", remedy="see its modulefiles"
        )
    if same_kind:
        cause, remedy = (
            f"it has {kind} {same_kind.version}, the others {kind} {version}",
            "install the same version",
        )
        return UnfitError("mpi-launch", cause, stage="launch", remedy=f"{remedy} on all nodes")
    also = f", only {node.mpi[0].kind} {node.mpi[0].version}" if node.mpi else ""
    cause = f"it has no mpirun{f' in {prefix}' if prefix else ''} of {kind}{also}"
    remedy = f"install {kind} {version} there, as on the other nodes"
    return UnfitError("missing-executable", cause, stage="launch", remedy=remedy)
