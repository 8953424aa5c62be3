"""The benchmark's binary on every node: built where the launch starts, then copied node to node."""

from __future__ import annotations

from collections.abc import Mapping

from clusterboot.checks.ready import Ready
from clusterboot.errors import ValidationError
from clusterboot.facts.node import NodeFacts
from clusterboot.mpi.launchers import LAUNCHERS
from clusterboot.nodes.script import new_nonce
from clusterboot.nodes.sessions import Session
from clusterboot.programs.collbench.build import BUILD_ARGS, Build, building, sources
from clusterboot.programs.collbench.spread import Copied, copying
from clusterboot.session.visit import UnfitError, Visit

_NAME = "collbench"


def provide(visit: Visit, ready: Ready) -> str:
    """Build the project's benchmark on the launching node and give it to every other node that lacks it.

    Returns: the program's path, seen from a home directory. A node that did not get it is out.
    Errors: :class:`ValidationError` where it cannot be built.
    """
    start, mpi, facts, ip = ready.node(visit), ready.mpi, ready.facts, ready.ip
    if mpi.mpicc is None:
        package = LAUNCHERS[mpi.kind].development
        raise ValidationError(
            f"{mpi.kind} {mpi.version} has no mpicc here, so the benchmark cannot be built",
            host=start,
            stage="launch",
            remedy="install the MPI's development files on this node" + (package and f" (Debian: {package})"),
        )
    build = Build(_NAME, sources(), mpi, BUILD_ARGS)
    name = visit.cluster.name
    others = {
        ip[host.name]: host.name
        for host in visit.good
        if host.name != start and not _same_home(facts[host.name], facts[start])
    }

    def make(session: Session) -> tuple[Copied, ...]:
        session.ask(building(build, name))
        if not others:
            return ()
        return session.ask(copying(name, build.digest, _NAME, tuple(others), nonce=new_nonce()))

    outcomes = visit.stage("benchmark compiled", [host for host in visit.good if host.name == start], make)
    if start not in outcomes:
        failed = visit.ledger[start]
        raise ValidationError(failed.cause or "", host=start, stage="launch", remedy=failed.remedy)
    failed_copies = {others[each.target]: each.error or "" for each in outcomes[start] if each.error}
    _build_there(visit, build, start, failed_copies)
    return build.path(name)


def _build_there(visit: Visit, build: Build, start: str, failed: Mapping[str, str]) -> None:
    """Have nodes build the program that ``start`` says it could not copy to them; who cannot is out."""

    def make(session: Session) -> str | None:
        try:
            session.ask(building(build, visit.cluster.name))
        except ValidationError as error:
            return error.cause
        return None

    hosts = [host for host in visit.good if host.name in failed]
    for name, cause in (visit.stage("benchmark compiled", hosts, make) if hosts else {}).items():
        if cause is not None:
            told = (
                f"the benchmark could not be copied to it from {start} ({failed[name]}), nor built: {cause}"
            )
            error = UnfitError(
                "missing-executable", told, stage="launch", remedy="see its disk and its quota"
            )
            visit.ledger.fail(name, error)


def _same_home(one: NodeFacts, other: NodeFacts) -> bool:
    return one.home is not None and other.home is not None and one.home.identity == other.home.identity
