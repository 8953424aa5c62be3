"""Which hosts have one home: told by what its file system is, and proven by a file that all of them see."""

from __future__ import annotations

import secrets
import shlex
from collections.abc import Iterator, Mapping, Sequence
from functools import partial

from clusterboot.facts.node import NodeFacts
from clusterboot.mpi.script_names import cluster_folder
from clusterboot.nodes.question import Question
from clusterboot.nodes.script import Section
from clusterboot.nodes.sessions import Session
from clusterboot.session.visit import Visit

from . import remembered as members_state
from .survey import Surveyed

Groups = tuple[tuple[str, ...], ...]


def by_home(facts: Mapping[str, NodeFacts]) -> tuple[tuple[str, ...], ...]:
    """Group hosts that see the same home directory, each group in the order of ``facts``."""
    groups: dict[str, list[str]] = {}
    for name, node in facts.items():
        identity = node.home.identity if node.home else name
        groups.setdefault(identity, []).append(name)
    return tuple(tuple(group) for group in groups.values())


def proven_homes(visit: Visit, surveyed: Mapping[str, Surveyed]) -> Groups:
    """Group the hosts that are still in by the home that they see, each group proven by a probe file.

    Hosts may have one home although their file systems look different, and a copied disk may have
    the key of another's: so all that have one key are tried. Where nothing may change, and where
    a group is the same as at the last bootstrap, no probe is made.
    """
    found = by_home({host.name: surveyed[host.name].facts for host in visit.good})
    if visit.dry_run:
        return found
    owner = {member.name: member.key_owner for member in members_state.load(visit.state_dir)}
    groups: list[tuple[str, ...]] = []
    for group in _candidates(found, surveyed):
        known = {owner.get(name) for name in group}
        if len(group) > 1 and (len(known) > 1 or None in known or group not in found):
            groups += _probed(visit, group)
        else:
            groups.append(group)
    for group in groups:
        for name in _copies(group, groups, surveyed):
            visit.events.note(
                f"{name} has the key of {group[0]} in a home of its own, as a copied disk has: "
                "rotate-keys gives each its own"
            )
    return tuple(groups)


def remaining(visit: Visit, groups: Groups) -> Groups:
    """Give the groups without the hosts that are out by now."""
    good = {host.name for host in visit.good}
    left = (tuple(name for name in group if name in good) for group in groups)
    return tuple(group for group in left if group)


def _candidates(found: Groups, surveyed: Mapping[str, Surveyed]) -> Groups:
    """Join the groups whose hosts say one key."""
    joined: dict[str, tuple[str, ...]] = {}
    for group in found:
        key = surveyed[group[0]].keys.public_key or group[0]
        joined[key] = (*joined.get(key, ()), *group)
    return tuple(joined.values())


def _copies(
    group: tuple[str, ...], groups: Sequence[tuple[str, ...]], surveyed: Mapping[str, Surveyed]
) -> Iterator[str]:
    key = surveyed[group[0]].keys.public_key
    for other in groups[groups.index(group) + 1 :]:
        if key is not None and surveyed[other[0]].keys.public_key == key:
            yield other[0]


def _probed(visit: Visit, hosts: Sequence[str]) -> Iterator[tuple[str, ...]]:
    """Have the first host leave a file, and see who of the others finds it; then those who do not."""
    left = list(hosts)
    while left:
        name = f"probe.{secrets.token_hex(8)}"
        by_name = {host.name: host for host in visit.good}
        left = [host for host in left if host in by_name]
        if not left:
            return
        writer, rest = by_name[left[0]], [by_name[host] for host in left[1:]]
        probe = partial(partial, _do, visit.cluster.name, name)
        if not visit.stage("probe left", [writer], probe("touch")).get(writer.name):
            # Where none can be left, what the file systems say is all there is.
            yield tuple(left)
            return
        seen = visit.stage("probe looked for", rest, probe("ls")) if rest else {}
        visit.stage("probe removed", [writer], probe("rm -f"))
        yield (writer.name, *(host for host in left[1:] if seen.get(host)))
        left = [host for host in left[1:] if not seen.get(host)]


def _do(cluster: str, name: str, verb: str, session: Session) -> bool:
    path = shlex.quote(f"{cluster_folder(cluster)}/{name}")
    section = Section("keys.probe", f'{verb} "$HOME/"{path} >/dev/null 2>&1')
    return session.ask(Question.of_one(section, lambda said: said.exit_code == 0, "keys"))
