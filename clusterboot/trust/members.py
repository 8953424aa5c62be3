"""The members of a cluster: those met now, and those remembered that are away."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from clusterboot import trust
from clusterboot.errors import PartialError
from clusterboot.facts.node import NodeFacts
from clusterboot.hostfiles import AddressPlan
from clusterboot.inventory.cluster import KeyMode
from clusterboot.session.context import Context
from clusterboot.session.visit import UnfitError, Visit

from . import Believed, Member
from . import remembered as members_state
from .believing import believe, place_hosts
from .shared_home import Groups, remaining
from .survey import Surveyed
from .terms import Cast


def mode_of(cluster: str, surveyed: Mapping[str, Surveyed]) -> KeyMode | None:
    """Tell the mode that the nodes are in; ``None`` where none is, or they are between two."""
    found = modes_found(cluster, surveyed)
    modes: dict[str, KeyMode] = {"per-node": "per-node", "ca": "ca", "shared": "shared"}
    return modes[found.pop()] if len(found) == 1 else None


def modes_found(cluster: str, surveyed: Mapping[str, Surveyed]) -> set[str]:
    """Tell which modes the nodes have lines of."""
    return {kind for answer in surveyed.values() for kind in _kinds(cluster, answer, surveyed)}


def is_common(mode: KeyMode, cluster: str, surveyed: Mapping[str, Surveyed]) -> bool:
    """Tell whether most nodes have lines of a mode: one of them alone could say anything."""
    having = sum(mode in _kinds(cluster, answer, surveyed) for answer in surveyed.values())
    return 2 * having > len(surveyed)


def authorities_found(cluster: str, surveyed: Mapping[str, Surveyed]) -> set[str]:
    """Give the public keys of operators' own that nodes trust: a CA's, or a shared one."""
    return {
        key
        for answer in surveyed.values()
        for key in trust.authorities(answer.keys.authorized_keys.content, cluster)
    }


def needs_exchange(
    cluster: str, surveyed: Mapping[str, Surveyed], mode: KeyMode, authority: str | None
) -> bool:
    """Tell whether any node has lines of another mode than the one that is wanted, or of another's key.

    Parameters: ``authority`` is the public key that the wanted mode stands on, if it stands on one.
    """
    if any(_kinds(cluster, answer, surveyed) - {mode} for answer in surveyed.values()):
        return True
    return bool(authorities_found(cluster, surveyed) - {authority})


def addressed(visit: Visit, facts: Mapping[str, NodeFacts]) -> AddressPlan:
    """Choose every good host's address on the interconnect; who gets none is out.

    Errors: as :func:`clusterboot.trust.believing.place_hosts`.
    """
    plan = place_hosts(visit, facts)
    for excluded in plan.excluded:
        error = UnfitError("mpi-launch", excluded.reason, stage="hostfile", remedy=excluded.remedy)
        visit.ledger.fail(excluded.host, error)
    return plan


@dataclass(frozen=True)
class Met:
    """Who takes part in a change of keys, where they reach each other, and what is believed of them."""

    cast: Cast
    addresses: AddressPlan
    believed: Believed


def meet(context: Context, visit: Visit, surveyed: Mapping[str, Surveyed], groups: Groups) -> Met:
    """Find out who takes part in a change of keys; who cannot is out.

    Parameters: what the hosts said; the homes that they share.
    """
    facts = {name: answer.facts for name, answer in surveyed.items()}
    addresses = addressed(visit, facts)
    groups = remaining(visit, groups)
    believed = believe(visit, facts, addresses)
    members = members_of(context, visit, surveyed, addresses, groups, believed=believed)
    # Who turned out to be no member is of no home either.
    groups = remaining(visit, groups)
    good = {host.name: surveyed[host.name] for host in visit.good}
    return Met(Cast(good, members, groups), addresses, believed)


def members_of(
    context: Context,
    visit: Visit,
    surveyed: Mapping[str, Surveyed],
    addresses: AddressPlan,
    groups: Sequence[Sequence[str]],
    *,
    believed: Believed,
) -> tuple[Member, ...]:
    """Give the members of the cluster, in its order; who has no key is out."""
    ip = {entry.host: entry.ip for entry in addresses.addresses}
    owner = {name: group[0] for group in groups for name in group}
    known = {member.name: member for member in members_state.load(context.state_dir)}
    # A key keeps the name it had: with a shared home, whoever is first today may not be tomorrow.
    owner_of_key = {member.public_key: member.key_owner for member in known.values()}
    for host in visit.good:
        answer = surveyed[host.name]
        found = answer.keys
        if context.dry_run and found.public_key is None:
            found = replace(found, public_key=f"ssh-ed25519 (the-key-that-{host.name}-will-make)")
        try:
            known[host.name] = trust.member(
                host,
                answer.facts,
                found,
                address=ip[host.name],
                seen_host_key=answer.host_key,
                key_owner=owner_of_key.get(found.public_key or "", owner[host.name]),
                names=believed.names[host.name],
                sources=believed.sources[host.name],
            )
        except PartialError as error:
            visit.ledger.fail(host.name, error)
    return tuple(known[name] for name in context.cluster.all_names if name in known)


def _kinds(cluster: str, answer: Surveyed, hosts: Collection[str]) -> set[str]:
    return trust.kinds(answer.keys.authorized_keys.content, cluster, hosts)
