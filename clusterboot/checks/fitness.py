"""What each node must have before ranks are started on it, found out before anything is launched."""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from functools import partial

from clusterboot.errors import ValidationError
from clusterboot.facts.node import NodeFacts
from clusterboot.hostfiles import Slot
from clusterboot.nodes.question import Question
from clusterboot.nodes.sessions import Session
from clusterboot.printable import listed
from clusterboot.programs.records import ProblemKind
from clusterboot.session.visit import UnfitError, Visit
from clusterboot.units import format_size

from . import ports
from .ready import Ready
from .room import Fitness, fitness_section, other_mpi, parse_fitness

# NCCL and MPI register buffers of hundreds of MiB a rank; systemd's default is 8 MiB.
_LEAST_MEMLOCK_KIB = 1024 * 1024
_LISTED = 3
_LET_THROUGH = f"let the nodes reach each other's TCP ports {ports.PORTS[0]} to {ports.PORTS[1]}"


def require_slots(visit: Visit, facts: Mapping[str, NodeFacts], slots: Sequence[Slot], *, gpus: bool) -> None:
    """Put out each node that has not room for as many ranks as the others will have.

    Parameters: the facts; the slots that are to be filled; ``gpus`` is true where each rank
    needs a GPU of its own. As many ranks as most nodes have slots: of two, as the one with more.
    """
    counts = Counter(slot.slots for slot in slots)
    ranks = max(counts, key=lambda count: (counts[count], count))
    for slot in slots:
        has = len(facts[slot.host].gpu.gpus)
        if slot.slots > ranks:
            cause = f"it has {slot.slots} slots, and most nodes have {ranks}"
        elif gpus and has < ranks:
            cause = f"it has {has} GPUs for {ranks} ranks"
        elif slot.slots < ranks:
            cause = f"it has {slot.slots} slots for {ranks} ranks, since it has {has} GPUs"
        else:
            continue
        remedy = "find its missing GPUs (nvidia-smi there), or give --procs-per-node or --exclude"
        visit.ledger.fail(slot.host, UnfitError("no-slots", cause, stage="launch", remedy=remedy))


def require_memlock(visit: Visit, facts: Mapping[str, NodeFacts]) -> None:
    """Put out each node with RDMA whose ranks could not register memory with it."""
    for host in visit.good:
        node = facts[host.name]
        limit_kib = node.limits.memlock_kib
        rdma = any(port.state == "ACTIVE" for port in node.rdma_ports)
        if rdma and node.limits.known and limit_kib is not None and limit_kib < _LEAST_MEMLOCK_KIB:
            shown = format_size(limit_kib * 1024)
            error = UnfitError(
                "mpi-launch",
                f"a non-interactive shell may lock only {shown} of memory, too little for RDMA",
                stage="launch",
                remedy="set LimitMEMLOCK=infinity for its ssh service, and memlock in limits.conf",
            )
            visit.ledger.fail(host.name, error)


def require_programs(
    visit: Visit, ready: Ready, programs: Sequence[str], env: Mapping[str, str]
) -> tuple[str, ...]:
    """Put out each node that lacks the launcher's daemon, the benchmark or a library of theirs.

    Parameters: the benchmark's programs, absolute or seen from the home; what the ranks will
    have in their environment.
    Returns: the names of those that are out, for this or since they did not answer.
    """
    asked = visit.good
    question = Question.of_one(fitness_section(ready.mpi, programs, env), parse_fitness, "launch")
    answers = visit.stage("programs checked", asked, lambda session: session.ask(question))
    # What most nodes have, and of two the launching one's: no node alone decides what the others lack.
    counts = Counter(found.mpi_libraries for found in answers.values())
    first = ready.node(visit)
    node = max(answers, key=lambda name: (counts[answers[name].mpi_libraries], name == first), default=first)
    usual = answers[node].mpi_libraries if node in answers else ()
    unfit = {name: error for name, found in answers.items() if (error := _unfit(ready, node, found, usual))}
    for name, error in unfit.items():
        visit.ledger.fail(name, error)
    return tuple(host.name for host in asked if host.name in unfit or host.name not in answers)


def _unfit(ready: Ready, node: str, found: Fitness, usual: tuple[str, ...]) -> UnfitError | None:
    other = other_mpi(ready.mpi, found.mpi_libraries)
    kind: ProblemKind
    if found.absent:
        cause, kind = f"it has no {', no '.join(found.absent)}", "missing-executable"
        remedy = f"install {ready.mpi_name} there as it is on {node}, or name clusterboot.mpi.prefix"
    elif found.lacking:
        cause, kind = f"its loader does not find {', '.join(found.lacking)}", "missing-library"
        remedy = "install it there as on the other nodes, or set LD_LIBRARY_PATH in the cluster file's env"
    elif found.plain:
        cause, kind = f"{found.plain[0]} was built without MPI: each rank would be alone", "not-mpi-build"
        remedy = "build nccl-tests with MPI=1, or name another folder as clusterboot.nccl.tests_dir"
    elif other:
        cause, kind = f"the benchmark was built for {other}, not for {ready.mpi_name}", "not-mpi-build"
        remedy = "build it with the MPI that launches it, or choose that one with clusterboot.mpi"
    elif found.mpi_libraries != usual:
        where = ", ".join(found.mpi_libraries) or "no MPI library"
        cause, kind = f"its loader takes {where}, on {node} {', '.join(usual)}", "missing-library"
        remedy = f"install {ready.mpi_name} there as it is on {node}"
    else:
        return None
    return UnfitError(kind, cause, stage="launch", remedy=remedy)


def require_ports(visit: Visit, ready: Ready) -> None:
    """Put out each node whose high ports the others cannot reach, or that cannot reach theirs.

    Errors: :class:`ValidationError` for two nodes that do not reach each other, where nobody else says
    anything against either.
    """
    hosts = [host.name for host in visit.machines]
    targets: dict[str, dict[str, str]] = defaultdict(dict)
    for source, target in ports.pairs(hosts, ready.start):
        targets[source][target] = ready.ip[target]
    port = random.randint(*ports.PORTS)  # noqa: S311  # any port will do

    def ask(session: Session) -> tuple[ports.Blocked, ...]:
        mine = targets[session.name]
        section, timeout_s = ports.ports_section(mine, port), ports.ports_timeout_s(len(mine))
        parse = partial(ports.parse_ports, source=session.name)
        return session.ask(Question.of_one(section, parse, "launch", timeout_s))

    asked = [host for host in visit.machines if host.name in targets]
    answers = visit.stage("ports between nodes", asked, ask)
    blocked = [each for found in answers.values() for each in found]
    blamed, pairs = ports.blame(blocked)
    for name, found in blamed.items():
        others = [each.source if each.target == name else each.target for each in found]
        error = UnfitError(
            "mpi-launch",
            f"between it and {listed(others, _LISTED)} a connection to port {port} is not let through:"
            f" {found[0].said}",
            stage="launch",
            remedy=_LET_THROUGH,
        )
        visit.ledger.fail(name, error)
    if pairs and not blamed:
        one = pairs[0]
        cause = f"between {one.source} and {one.target} a connection to port {port} is not let through"
        raise ValidationError(f"{cause}, says {one.source}: {one.said}", stage="launch", remedy=_LET_THROUGH)
