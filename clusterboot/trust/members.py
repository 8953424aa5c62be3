"""The members of a cluster: those met now, and those remembered that are away."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from clusterboot.errors import PartialError
from clusterboot.facts.node import NodeFacts
from clusterboot.hostfiles.slots import AddressPlan
from clusterboot.inventory.cluster import Host
from clusterboot.inventory.name_rules import without_colons
from clusterboot.session.visit import UnfitError, Visit

from . import remembered as members_state
from .believing import believe, place_hosts
from .claims import Believed, names_by_right
from .homes.known import Member
from .plan import lacks_include, lacks_restrict, prefers_cheap_exchange
from .shared_home import Groups, remaining
from .survey import Surveyed

_PLAIN_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


@dataclass(frozen=True)
class Participants:
    """Who takes part in a change of keys: what was found on the hosts, the members, the hosts of each home.

    ``addresses`` are where they reach each other; ``believed`` is what is taken of their own words.
    """

    surveyed: Mapping[str, Surveyed]
    members: tuple[Member, ...]
    groups: Groups
    addresses: AddressPlan
    believed: Believed

    @property
    def ip(self) -> dict[str, str]:
        """Where the others reach each member."""
        return {member.name: member.address for member in self.members}


def addressed(visit: Visit, facts: Mapping[str, NodeFacts]) -> AddressPlan:
    """Choose every good host's address on the interconnect; who gets none is out.

    Errors: as :func:`clusterboot.trust.believing.place_hosts`.
    """
    plan = place_hosts(visit, facts)
    for excluded in plan.excluded:
        error = UnfitError("mpi-launch", excluded.reason, stage="hostfile", remedy=excluded.remedy)
        visit.ledger.fail(excluded.host, error)
    return plan


def meet(
    visit: Visit, surveyed: Mapping[str, Surveyed], groups: Groups, *, successors: bool = False
) -> Participants:
    """Find out who takes part in a change of keys; who cannot is out.

    Parameters: what the hosts said; the homes that they share; with ``successors`` the members have
    the next key of each node that was reached.
    Errors: :class:`PartialError` where a node has none.
    """
    facts = {name: answer.facts for name, answer in surveyed.items()}
    addresses = addressed(visit, facts)
    groups = remaining(visit, groups)
    believed = believe(visit, facts, addresses)
    members = _members(visit, surveyed, addresses, groups, believed)
    # Who turned out to be no member is of no home either.
    groups = remaining(visit, groups)
    good = {host.name: surveyed[host.name] for host in visit.good}
    if successors:
        members = tuple(_succeeded(member, good.get(member.name)) for member in members)
    return Participants(good, members, groups, addresses, believed)


def _members(
    visit: Visit,
    surveyed: Mapping[str, Surveyed],
    addresses: AddressPlan,
    groups: Groups,
    believed: Believed,
) -> tuple[Member, ...]:
    """Give the members of the cluster, in its order; who has no key is out."""
    ip = addresses.ip
    owner = {name: group[0] for group in groups for name in group}
    known = {member.name: member for member in members_state.load(visit.state_dir)}
    # A key keeps the name it had: with a shared home, whoever is first today may not be tomorrow.
    owner_of_key = {member.public_key: member.key_owner for member in known.values()}
    for host in visit.good:
        answer = surveyed[host.name]
        if visit.dry_run and answer.keys.public_key is None:
            key = f"ssh-ed25519 (the-key-that-{host.name}-will-make)"
            answer = replace(answer, keys=replace(answer.keys, public_key=key))
        try:
            known[host.name] = as_member(
                host,
                answer,
                ip[host.name],
                key_owner=owner_of_key.get(answer.keys.public_key or "", owner[host.name]),
                names=believed.names[host.name],
                sources=believed.sources[host.name],
            )
        except PartialError as error:
            visit.ledger.fail(host.name, error)
    return tuple(known[name] for name in visit.cluster.all_names if name in known)


def as_member(
    host: Host,
    answer: Surveyed,
    address: str,
    *,
    key_owner: str,
    names: Sequence[str] = (),
    sources: Sequence[str],
) -> Member:
    """Put together what the other nodes have to know of one.

    Parameters: what it said; ``address`` is where the others reach it; ``key_owner`` names the home of
    its key; ``names`` and ``sources`` are what is believed of its own words, see
    :mod:`clusterboot.trust.claims`.
    Errors: :class:`PartialError` where the node has no key of its own.
    """
    keys, proven, version = answer.keys, answer.host_key, answer.facts.software.ssh_version
    if keys.public_key is None:
        raise PartialError(
            "the node has no key for this cluster",
            host=host.name,
            stage="keys",
            remedy="run clusterboot bootstrap",
        )
    # Files that do not hold the key that this connection proved speak of another sshd, or of nothing.
    listed = keys.host_keys if proven in keys.host_keys else ()
    # By the last of these hostfiles call a host with an IPv6 address.
    words = (*names_by_right(host), *names, without_colons(address))
    return Member(
        name=host.name,
        user=host.login.user,
        port=keys.sshd_port or host.login.port,
        address=address,
        names=tuple(
            dict.fromkeys(n for n in words if n not in (host.name, address) and _PLAIN_NAME.fullmatch(n))
        ),
        sources=tuple(sources),
        public_key=keys.public_key,
        host_keys=tuple(dict.fromkeys((proven, *(key for key in listed if b"ssh-rsa" not in key[:12])))),
        key_owner=key_owner,
        prefers_cheap_exchange=prefers_cheap_exchange(version),
        lacks_include=lacks_include(version),
        lacks_restrict=lacks_restrict(version),
    )


def _succeeded(member: Member, found: Surveyed | None) -> Member:
    if found is None:
        return member
    if found.keys.next_key is None:
        raise PartialError("the node made no new key", host=member.name, stage="keys")
    return replace(member, public_key=found.keys.next_key.public_key)
