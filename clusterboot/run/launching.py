"""What every launch has in common: nodes that can take part, and the run described for their MPI."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence

from clusterboot.checks.agreement import agree_on_mpi
from clusterboot.checks.check import require
from clusterboot.checks.ready import Ready
from clusterboot.checks.registry import SURVEYED
from clusterboot.checks.subjects import SurveyedNodes
from clusterboot.errors import ValidationError
from clusterboot.facts.node import NodeFacts
from clusterboot.folding import fold
from clusterboot.hostfiles.slots import AddressPlan, NodeAddress, Slot
from clusterboot.mpi.launcher import SSH_AGENT, Mpi, RunSpec
from clusterboot.mpi.launchers import LAUNCHERS
from clusterboot.mpi.script_names import new_run_id, run_folder
from clusterboot.session.visit import Visit
from clusterboot.trust.homes.nodeconfig import config_path
from clusterboot.trust.launching_host import HEAD, prepare_head, prove_head
from clusterboot.trust.members import addressed
from clusterboot.trust.prove import prove, seek_start
from clusterboot.trust.survey import survey


def make_ready(visit: Visit, *, seek: bool = False) -> Ready | None:
    """Find out which nodes can take part in a launch; the others are put out.

    Parameters: with ``seek`` a few other nodes are tried where the one to launch from does not reach all;
    in a dry run the head is given nothing, and so cannot be tried.
    Returns: ``None`` where no node is left before a launch could be thought of.
    Errors: :class:`ValidationError` where there are nodes, and none to launch from.
    """
    surveyed = survey(visit, make_key=False)
    require(visit, SurveyedNodes(visit.cluster.name, surveyed, time.time()), SURVEYED)
    facts = {name: answer.facts for name, answer in surveyed.items()}
    if not visit.good:
        return None
    addresses = addressed(visit, facts)
    for line in _namesakes(facts, addresses):
        visit.events.note(line)
    mpi, facts = agree_on_mpi(visit, facts)
    _require_family(mpi, addresses)
    if visit.launcher:
        head = prepare_head(visit, surveyed, addresses, mpi)
        if not visit.dry_run:
            prove_head(visit, head, facts, addresses)
        return Ready(facts, addresses, mpi, HEAD, head)
    wanted = visit.launch_from or visit.cluster.options.launch_from
    if seek:
        wanted, proven = seek_start(visit, facts, addresses, wanted)
        if proven:
            return Ready(facts, addresses, facts[wanted].mpi[0], wanted)
    proof = prove(visit, facts, addresses, "launch", wanted)
    start = proof.launch_host
    if start is not None and wanted in {host.name for host in visit.good} - {start}:
        visit.events.note(f"launching from {start}: {wanted} does not reach every node")
    if start is None:
        first = proof.failures[0] if proof.failures else None
        raise ValidationError(
            f"no node can be launched from: {first.reason if first else 'none is left'}",
            host=first.target if first else None,
            stage="launch",
            remedy=first.remedy if first else "run bootstrap",
        )
    # The launching node's own: where another node says that it has its mpirun is nothing to run here.
    return Ready(facts, addresses, facts[start].mpi[0], start)


def _namesakes(facts: Mapping[str, NodeFacts], addresses: AddressPlan) -> list[str]:
    """Say which nodes have one hostname: benchmarks name ranks by it, up to its first dot."""
    called: dict[str, list[str]] = {}
    for entry in addresses.addresses:
        called.setdefault(facts[entry.host].hostname.partition(".")[0], []).append(entry.host)
    return [
        f"{fold(hosts)} each call themselves {hostname}: what a benchmark says of {hostname} may be of any"
        for hostname, hosts in called.items()
        if len(hosts) > 1
    ]


def _require_family(mpi: Mpi, addresses: AddressPlan) -> None:
    """Refuse IPv6 addresses where the MPI launches over IPv4 alone."""
    launcher = LAUNCHERS[mpi.kind]
    if not launcher.over_ipv6 and any(":" in entry.ip for entry in addresses.addresses):
        others = " or ".join(each.name for each in LAUNCHERS.values() if each.over_ipv6)
        raise ValidationError(
            f"{launcher.name} {mpi.version} launches over IPv4 alone, and the nodes' addresses are IPv6",
            stage="launch",
            remedy=f"use {others} (clusterboot.mpi.kind), or name an IPv4 subnet as ssh_config.network",
        )


def run_spec(
    visit: Visit,
    ready: Ready,
    slots: Sequence[Slot],
    program: tuple[str, ...],
    *,
    gpu: bool = False,
    run_id: str | None = None,
    prints_mark: bool = True,
) -> RunSpec:
    """Describe one run of a program on ``slots``.

    Parameters: ``program`` is the command of every rank; ``gpu`` is true where it uses NCCL;
    ``run_id`` is the run's name where the program has to know it; ``prints_mark`` is false for a
    program that is not the project's own, whose output gets the run's mark from the shell around it.
    """
    cluster = visit.cluster
    good = {slot.host for slot in slots}
    chosen = [entry for entry in ready.addresses.addresses if entry.host in good]
    run_id = run_id or new_run_id()
    interfaces = tuple(dict.fromkeys(entry.interface for entry in chosen))
    rdma = any(port.state == "ACTIVE" for name in good for port in ready.facts[name].rdma_ports)
    return RunSpec(
        mpi=ready.head.mpi if ready.head else ready.mpi,
        run_id=run_id,
        hostfile=f"{run_folder(cluster.name, run_id)}/hostfile",
        ranks=sum(slot.slots for slot in slots),
        ranks_per_node=max(slot.slots for slot in slots),
        program=program,
        cluster=cluster.name,
        prints_mark=prints_mark,
        env=cluster.env,
        network=ready.addresses.network,
        interfaces=interfaces,
        interface_of=_by_hostname(chosen, ready.facts) if len(interfaces) > 1 else {},
        launch_address=ready.ip[ready.start],
        gpu=gpu,
        ib_hca=cluster.options.nccl.ib_hca,
        tcp_only=not gpu and not rdma,
        oversubscribed=_oversubscribed(ready.facts, slots),
        as_root=ready.launching_facts.user == "root",
        prefix=cluster.options.mpi.prefix or _nodes_prefix(ready),
        agent=_agent(cluster.name) if ready.head else SSH_AGENT,
        apart=ready.head is not None and (ready.head.apart or ready.head.interface not in interfaces),
        extra_args=cluster.options.mpi.args,
    )


def _agent(cluster: str) -> tuple[str, ...]:
    """Have the head's ssh read clusterboot's own file, which nodes have in the same place."""
    return (SSH_AGENT[0], "-F", config_path(cluster), *SSH_AGENT[1:])


def _nodes_prefix(ready: Ready) -> str | None:
    """Name the MPI's folder on the nodes where the head has it elsewhere."""
    if ready.head is None or ready.head.mpi.launcher == ready.mpi.launcher:
        return None
    return ready.mpi.launcher.rpartition("/")[0].rpartition("/")[0]


def _by_hostname(chosen: Sequence[NodeAddress], facts: Mapping[str, NodeFacts]) -> dict[str, str]:
    """Give each node's interface by what it calls itself; nothing where two call themselves the same."""
    found = {facts[entry.host].hostname: entry.interface for entry in chosen}
    return found if len(found) == len(chosen) else {}


def _oversubscribed(facts: Mapping[str, NodeFacts], slots: Sequence[Slot]) -> bool:
    """Tell whether ranks outnumber cores, on a node or on one kernel that poses as several."""
    ranks: dict[str, int] = {}
    cpus: dict[str, int] = {}
    for slot in slots:
        node = facts[slot.host]
        kernel = node.boot_id or slot.host
        ranks[kernel] = ranks.get(kernel, 0) + slot.slots
        cpus[kernel] = node.cpus
    return any(ranks[kernel] > cpus[kernel] for kernel in ranks)
