"""Nothing of a run stays on a node: after a run that did not end well, and before the next."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TypeVar

from clusterboot.errors import ClusterbootError
from clusterboot.inventory.cluster import Host
from clusterboot.mpi.script_names import is_token
from clusterboot.nodes.question import Question, both
from clusterboot.nodes.sessions import Session
from clusterboot.session.visit import Visit

from .journal import RunRecord, abandoned
from .reap import Reaped, orphans, reaping

T = TypeVar("T")


def reap(visit: Visit, run_id: str, hosts: Iterable[Host]) -> dict[str, Reaped]:
    """End what is left of a run on ``hosts``; who cannot be asked is out.

    Returns: what was ended, by host, where the host answered.
    """
    question = reaping(visit.cluster.name, run_id)

    def end(session: Session) -> Reaped:
        # The launch may still hold the session of the node that it starts from.
        with session.beside() as second:
            return second.ask(question)

    return visit.stage("old runs ended", hosts, end)


def clear(visit: Visit, record: RunRecord) -> dict[str, Reaped | None]:
    """End what is left of the run of a record, and take the nodes that are clear of it off the record.

    Returns: what each node said, ``None`` for one that did not answer.
    """
    hosts = [host for host in (*visit.cluster.hosts, *visit.machines) if host.name in record.hosts]
    hosts = list(dict.fromkeys(hosts))
    reaped = reap(visit, record.run_id, hosts)
    record.clear(name for name, each in reaped.items() if not each.left)
    return {host.name: reaped.get(host.name) for host in hosts}


def clear_orphans(visit: Visit, also: Mapping[str, Question[T]]) -> dict[str, T]:
    """End what runs that were cut off have left on the nodes, and say so.

    They are known from this operator's own record, and from the folder that a run has on the
    node it was launched from while its supervisor lives. A run that somebody watches is left alone.

    Parameters: one thing more to ask a node by the way, by its name.
    Returns: the answers to that, by the name of each node that gave one.
    """
    question = orphans(visit.cluster.name)

    def ask(session: Session) -> tuple[tuple[str, ...], T | None]:
        if session.name not in also:
            return session.ask(question), None
        return session.ask(both(question, also[session.name]))

    outcomes = visit.fleet.each(visit.machines, ask)
    answers = {name: each for name, each in outcomes.items() if not isinstance(each, ClusterbootError)}
    told = {run_id for run_ids, _ in answers.values() for run_id in run_ids}
    with abandoned(visit.state_dir) as records:
        on_record = {record.run_id: record for record in records if is_token(record.run_id)}
        for run_id in sorted(told | set(on_record)):
            reaped = _end_orphan(visit, run_id)
            if run_id in on_record:
                on_record[run_id].clear(name for name, each in reaped.items() if not each.left)
        known = {host.name for host in (*visit.cluster.hosts, *visit.machines)}
        for record in records:
            # Nodes that are no longer in the cluster file cannot be asked by anybody.
            record.clear(set(record.hosts) - known)
    return {name: said for name, (_, said) in answers.items() if said is not None}


def _end_orphan(visit: Visit, run_id: str) -> dict[str, Reaped]:
    question = reaping(visit.cluster.name, run_id)
    outcomes = visit.fleet.each(visit.machines, lambda session: session.ask(question))
    reaped = {name: each for name, each in outcomes.items() if isinstance(each, Reaped)}
    ended = [f"{len(each.killed)} on {name}" for name, each in reaped.items() if each.killed]
    left = f"it had left processes, now ended: {', '.join(ended)}" if ended else "it had left no process"
    visit.events.note(f"an earlier run was cut off (run {run_id}); {left}")
    return reaped
