"""Who trusts whom: from what the nodes are to the edits that each home needs. Pure."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from clusterboot.config.cluster import Host
from clusterboot.connect.knownhosts import render_line
from clusterboot.errors import PartialError
from clusterboot.facts.records import NodeFacts
from clusterboot.keys import lines
from clusterboot.keys.records import Edit, Member, Survey
from clusterboot.keys.survey import changeable, usable

# OpenSSH's default key exchange costs a login 75 ms of CPU in these versions, from the
# first with sntrup761 by default to the last before mlkem768.
_DEAR_EXCHANGE = ((8, 9), (9, 9))
_PLAIN_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


@dataclass(frozen=True)
class HomePlan:
    """The edits of one home directory, made through ``writer``, for all ``hosts`` that have it.

    ``notes`` are lines for people. With ``sweep`` a lock or a half-written file is there that
    may be a dead writer's.
    """

    writer: str
    hosts: tuple[str, ...]
    edits: tuple[Edit, ...]
    sweep: bool = False
    notes: tuple[str, ...] = ()


def homes(facts: Mapping[str, NodeFacts]) -> tuple[tuple[str, ...], ...]:
    """Group hosts that see the same home directory, each group in the order of ``facts``."""
    groups: dict[str, list[str]] = {}
    for name, node in facts.items():
        identity = node.home.identity if node.home else name
        groups.setdefault(identity, []).append(name)
    return tuple(tuple(group) for group in groups.values())


def member(
    host: Host, facts: NodeFacts, survey: Survey, *, address: str, seen_host_key: bytes, key_owner: str
) -> Member:
    """Put together what the other nodes have to know of one.

    Parameters: ``address`` is where the others reach it; ``seen_host_key`` is the key that
    this very connection proved, in wire form; ``key_owner`` names the home of its key.
    Errors: :class:`PartialError` where the node has no key of its own.
    """
    if survey.public_key is None:
        raise PartialError(
            "the node has no key for this cluster",
            host=host.name,
            stage="keys",
            remedy="run clusterboot bootstrap",
        )
    listed = [key for key in survey.host_keys if b"ssh-rsa" not in key[:12]]
    # Files that do not hold the key just proven speak of another sshd, or of nothing.
    host_keys = (
        dict.fromkeys((seen_host_key, *listed)) if seen_host_key in survey.host_keys else (seen_host_key,)
    )
    sources = [entry.ip for link in facts.interfaces for entry in link.addresses if _is_source(entry.ip)]
    names = (host.login.hostname, facts.hostname, facts.hostname.partition(".")[0])
    return Member(
        name=host.name,
        user=host.login.user,
        port=host.login.port,
        address=address,
        names=tuple(
            dict.fromkeys(n for n in names if n not in (host.name, address) and _PLAIN_NAME.fullmatch(n))
        ),
        sources=tuple(dict.fromkeys((address, *sources))),
        public_key=survey.public_key,
        host_keys=tuple(host_keys),
        key_owner=key_owner,
        prefers_cheap_exchange=prefers_cheap_exchange(facts.software.ssh_version),
        lacks_include=lacks_include(facts.software.ssh_version),
    )


def distinct_names(members: Sequence[Member]) -> tuple[Member, ...]:
    """Take away from each member the names that another one has too: they say nothing."""
    taken: dict[str, int] = {}
    for one in members:
        for word in {one.name, one.address, *one.names}:
            taken[word] = taken.get(word, 0) + 1
    return tuple(
        Member(**{**vars(one), "names": tuple(word for word in one.names if taken[word] == 1)})
        for one in members
    )


def plan(
    cluster: str,
    members: Sequence[Member],
    surveys: Mapping[str, Survey],
    groups: Sequence[Sequence[str]],
    *,
    keep_hosts: Collection[str],
) -> dict[str, HomePlan | PartialError]:
    """Plan the edits of every home.

    Parameters: all members, also those not reached this time; what was found on each host
    that was; the groups of :func:`homes`; ``keep_hosts`` are hosts of the cluster whose
    lines stay although nothing is known of them now.
    Returns: by the writing host's name, the plan, or why its home cannot be edited.
    """
    members = distinct_names(members)
    by_name = {one.name: one for one in members}
    known_hosts = render_known_hosts(members)
    plans: dict[str, HomePlan | PartialError] = {}
    for group in groups:
        writer = group[0]
        survey = surveys[writer]
        cheap = all(by_name[name].prefers_cheap_exchange for name in group if name in by_name)
        block = any(by_name[name].lacks_include for name in group if name in by_name)
        config = lines.render_config(cluster, members, cheap_exchange=cheap)
        try:
            _require_config(survey, writer)
            edits = (
                lines.edit_own(usable(survey.own_known_hosts, writer), known_hosts),
                lines.edit_own(usable(survey.own_config, writer), config),
                lines.edit_config(usable(survey.config, writer), cluster, config if block else None),
                lines.edit_authorized_keys(
                    usable(survey.authorized_keys, writer), cluster, members, keep_hosts
                ),
            )
            todo = tuple(changeable(edit, writer) for edit in edits if edit is not None)
        except PartialError as error:
            plans[writer] = error
        else:
            plans[writer] = HomePlan(
                writer, tuple(group), todo, survey.left_behind, _notes(survey, cluster, members)
            )
    return plans


def _notes(survey: Survey, cluster: str, members: Sequence[Member]) -> tuple[str, ...]:
    found = lines.other_lines_with(survey.authorized_keys.content, cluster, members)
    return tuple(
        f"line {number} of ~/.ssh/authorized_keys has the key of {name} with other options; it stays as it is"
        for number, name in found
    )


def _require_config(survey: Survey, host: str) -> None:
    if survey.config_fault:
        raise PartialError(
            f"ssh refuses the user's configuration there: {survey.config_fault}",
            host=host,
            stage="keys",
            remedy="mend that line by hand; nothing was changed",
        )


def render_known_hosts(members: Sequence[Member]) -> str:
    """Write the nodes' known_hosts: every member's host keys under its name, its ``HostKeyAlias``."""
    return "".join(render_line(one.name, key) for one in members for key in one.host_keys)


def prefers_cheap_exchange(ssh_version: str | None) -> bool:
    """Tell whether a cheap key exchange must be asked for: OpenSSH 8.9 to 9.8.

    Parameters: what ``ssh -V`` says, ``None`` where that is not known.
    """
    return _DEAR_EXCHANGE[0] <= _version(ssh_version) < _DEAR_EXCHANGE[1]


def lacks_include(ssh_version: str | None) -> bool:
    """Tell whether ssh knows no ``Include``: OpenSSH before 7.3. Source: its release notes."""
    return (0, 0) < _version(ssh_version) < (7, 3)


def _version(ssh_version: str | None) -> tuple[int, int]:
    match = re.search(r"OpenSSH_(\d+)\.(\d+)", ssh_version or "")
    return (int(match[1]), int(match[2])) if match else (0, 0)


def _is_source(ip: str) -> bool:
    return not ip.startswith(("127.", "169.254.", "fe80:", "::1"))
