"""The first stage of every flow: what each node is, and the state of its keys, in one round trip."""

from __future__ import annotations

from dataclasses import dataclass, replace

from clusterboot import trust
from clusterboot.facts import collect
from clusterboot.facts.clock import ClockSample
from clusterboot.facts.node import NodeFacts
from clusterboot.inventory.cluster import Cluster
from clusterboot.session.visit import Visit
from clusterboot.ssh.session import Session


@dataclass(frozen=True)
class Surveyed:
    """What one node said: its facts, the state of its keys, and the host key it was reached under."""

    facts: NodeFacts
    keys: trust.Survey
    host_key: bytes


def survey(visit: Visit, *, make_key: bool, make_next: bool = False) -> dict[str, Surveyed]:
    """Ask every host at once what it is.

    Parameters: ``make_key`` lets a node make its key for this cluster if it has none,
    ``make_next`` its successor.
    Returns: the answers by host name, in the cluster's order; who did not answer is out.
    """

    def one(session: Session) -> Surveyed:
        return ask(visit.cluster, session, make_key=make_key, make_next=make_next)

    return visit.stage("nodes inspected", visit.good, one)


def ask(cluster: Cluster, session: Session, *, make_key: bool, make_next: bool = False) -> Surveyed:
    """Ask one host what it is; parameters as for :func:`survey`."""
    options = cluster.options
    sections = (
        *collect.sections(
            options.nccl.tests_dir, options.mpi.prefix, options.mpi.module, options.nccl.lib_dirs
        ),
        *trust.survey_sections(cluster.name, make_key=make_key, make_next=make_next),
    )
    result = session.run(sections, "facts")
    outputs = result.answer.sections
    facts = collect.parse(outputs, ClockSample(result.clock.sent_at_s, result.clock.received_at_s))
    if options.mpi.kind:
        facts = replace(facts, mpi=tuple(mpi for mpi in facts.mpi if mpi.kind == options.mpi.kind))
    return Surveyed(
        facts,
        trust.parse_survey(outputs, cluster.name, session.name),
        session.host_key_blob,
    )
