"""How nodes come to know each other's sshd in ``ca`` mode: by certificates where root is to be had."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from clusterboot.config.cluster import Host
from clusterboot.connect.script import Section
from clusterboot.connect.session import Session
from clusterboot.errors import ClusterbootError, PartialError
from clusterboot.flows.change import log_in_afresh
from clusterboot.flows.context import Context
from clusterboot.flows.survey import Surveyed
from clusterboot.flows.terms import Cast
from clusterboot.flows.visit import Visit
from clusterboot.keys import HostTrust, Terms, hostcert


def certify(context: Context, visit: Visit, cast: Cast, terms: Terms) -> tuple[Cast, dict[str, HostTrust]]:
    """Have each node's sshd show a certificate of the cluster's; a dry run only asks whether it could.

    Returns: the cast, with who is known by a certificate and who by pins, and how it came to that
    for each host. A node where it cannot be done is pinned; one where it went wrong is out.
    """
    cluster = context.cluster.name

    def work(session: Session) -> HostTrust:
        section = hostcert.section(
            cluster,
            "look" if context.dry_run else "install",
            alias=session.name,
            authority=terms.authority or "",
            text=terms.host_certificates.get(session.name, ""),
        )
        trust = _run(session, section)
        if trust.changed and not context.dry_run:
            try:
                log_in_afresh(session)
            except ClusterbootError as error:
                undone = _run(session, hostcert.section(cluster, "remove"))
                words = "it was taken out" if undone.changed else f"it is still there ({undone.reason})"
                cause = f"with a host certificate a fresh login fails ({error.cause}); {words}"
                raise PartialError(cause, host=session.name, stage="keys", remedy=error.remedy) from None
        return trust

    trusts = visit.stage("host certificates", visit.good, work)
    for name, trust in trusts.items():
        if trust.changed and not context.dry_run:
            visit.ledger.changed(name)
    certified = {name for name, trust in trusts.items() if trust.certified}
    away = {member.name for member in cast.members if member.name not in cast.surveyed}
    members = tuple(
        one if one.name in away else replace(one, host_certified=one.name in certified)
        for one in cast.members
    )
    return replace(cast, members=members), trusts


def decertify(visit: Visit, cluster: str, hosts: Iterable[Host]) -> None:
    """Have the sshd of ``hosts`` show no certificate of the cluster's any more; who keeps it is out."""

    def work(session: Session) -> None:
        take_out(session, cluster)

    for name in visit.stage("host certificates out", hosts, work):
        visit.ledger.changed(name)


def sweep(visit: Visit, cluster: str, hosts: Iterable[Host]) -> None:
    """Have root take away what was left in sshd's folder by one who was killed, where root is to be had."""
    visit.stage("left-overs", hosts, lambda session: _run(session, hostcert.section(cluster, "remove")))


def take_out(session: Session, cluster: str) -> bool:
    """Take a host certificate out.

    Returns: whether there was one. Errors: :class:`PartialError` where it could not be taken out.
    """
    trust = _run(session, hostcert.section(cluster, "remove"))
    if trust.reason:
        raise PartialError(
            f"its host certificate stays: {trust.reason}",
            host=session.name,
            stage="keys",
            remedy="let the user become root there without a password, then run this again",
        )
    return trust.changed


def certified_hosts(visit: Visit, surveyed: Mapping[str, Surveyed]) -> tuple[Host, ...]:
    """Give the hosts that were found with a certificate of the cluster's and are still in."""
    return tuple(host for host in visit.good if surveyed[host.name].keys.host_certificate)


def _run(session: Session, section: Section) -> HostTrust:
    result = session.run([section], "keys", hostcert.TIMEOUT_S)
    trust = hostcert.parse(result.answer.sections)
    if trust.fault:
        raise PartialError(
            f"{trust.reason}, and what was before could not be put back",
            host=session.name,
            stage="keys",
            remedy="look at sshd there before this login ends: sshd -t, and is it running?",
        )
    return trust
