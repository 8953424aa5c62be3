"""Who trusts whom: from what the nodes are to the edits that each home needs. Pure."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from clusterboot.errors import PartialError
from clusterboot.mpi.script_names import cluster_folder

from .homes import tagged_lines
from .homes.known import KEY_FILE, PER_NODE, Edit, FileKind, Member, NodeFile, NodeKey, Survey, Terms
from .homes.nodeconfig import render_config, render_known_hosts
from .survey import changeable, usable

# OpenSSH's default key exchange costs a login 75 ms of CPU in these versions, from the
# first with sntrup761 by default to the last before mlkem768.
_DEAR_EXCHANGE = ((8, 9), (9, 9))
_IDENTITY = re.compile(r"(?m)^  IdentityFile .*/(id_[a-z0-9_-]+)$")


@dataclass(frozen=True)
class HomePlan:
    """The edits of one home directory, made through ``writer``, for all ``hosts`` that have it.

    ``notes`` are lines for people. With ``sweep`` a lock or a half-written file is there that
    may be a dead writer's; ``drop`` names files of the cluster's own folder that go in the end.
    """

    writer: str
    hosts: tuple[str, ...]
    edits: tuple[Edit, ...]
    sweep: bool = False
    notes: tuple[str, ...] = ()
    drop: tuple[str, ...] = ()


def distinct_names(members: Sequence[Member]) -> tuple[Member, ...]:
    """Take away from each member the names that another one has too: they say nothing."""
    taken: dict[str, int] = {}
    for one in members:
        for word in {one.name, one.address, *one.names}:
            taken[word] = taken.get(word, 0) + 1
    return tuple(replace(one, names=tuple(word for word in one.names if taken[word] == 1)) for one in members)


def plan_homes(
    cluster: str,
    members: Sequence[Member],
    surveys: Mapping[str, Survey],
    groups: Sequence[Sequence[str]],
    *,
    keep_hosts: Collection[str],
    terms: Terms = PER_NODE,
) -> dict[str, HomePlan | PartialError]:
    """Plan the edits of every home.

    Parameters: all members, also those not reached this time; what was found on each host
    that was; the hosts of each home; ``keep_hosts`` are hosts of the cluster whose
    lines stay although nothing is known of them now; on what terms nodes trust each other.
    Returns: by the writing host's name, the plan, or why its home cannot be edited.
    """
    members = distinct_names(members)
    by_name = {one.name: one for one in members}
    plans: dict[str, HomePlan | PartialError] = {}
    for group in groups:
        writer, survey = group[0], surveys[group[0]]
        here = tuple(by_name[name] for name in group if name in by_name)
        home = _Home(cluster, members, here, survey, terms)
        try:
            _require_config(survey)
            edits = (*_own_edits(home, writer), _config_edit(home), _login_edit(home, keep_hosts))
            todo = _changeable(edits)
        except PartialError as error:
            error.host = writer
            plans[writer] = error
        else:
            plans[writer] = HomePlan(
                writer,
                tuple(group),
                todo,
                survey.left_behind,
                _notes(survey, cluster, members),
                _dropped(survey, terms),
            )
    return plans


def plan_head(
    cluster: str, members: Sequence[Member], head: Member, survey: Survey, terms: Terms
) -> tuple[Edit, ...]:
    """Plan the own files of a head that is no node: whom it logs in to, and their host keys.

    Errors: :class:`PartialError` where one of them cannot be written.
    """
    home = _Home(cluster, distinct_names(members), (head,), survey, terms)
    return _changeable(_own_edits(home, head.name))


def _changeable(edits: Iterable[Edit | None]) -> tuple[Edit, ...]:
    return tuple(changeable(edit) for edit in edits if edit is not None)


def identity(survey: Survey, terms: Terms) -> str:
    """Name the key file that a node logs in with on these terms."""
    if terms.identity:
        return terms.identity
    key = survey.next_key if terms.successors else survey.key
    return key.file if key else KEY_FILE


@dataclass(frozen=True)
class _Home:
    cluster: str
    members: Sequence[Member]
    here: tuple[Member, ...]
    survey: Survey
    terms: Terms

    @property
    def config(self) -> str:
        """The nodes' configuration as this home is to have it; before the switch with the key it uses."""
        name = identity(self.survey, self.terms)
        if self.terms.phase == "in":
            used = _IDENTITY.search(self.survey.own_config.content.decode("utf-8", "replace"))
            name = used[1] if used else name
        cheap = not self.terms.openssh_kex and all(one.prefers_cheap_exchange for one in self.here)
        return render_config(self.cluster, self.members, cheap_exchange=cheap, identity=name)

    @property
    def known_hosts(self) -> str:
        """The hosts that this home is to know, and while terms change those that it knows now."""
        text = render_known_hosts(self.members)
        if self.terms.phase != "in":
            return text
        present = self.survey.own_known_hosts.content.decode("utf-8", "replace").splitlines(keepends=True)
        return text + "".join(line for line in present if line not in text)


def _own_edits(home: _Home, writer: str) -> Iterator[Edit | None]:
    """Give the edits of the cluster's own folder, none of which can lock anybody out."""
    survey, terms = home.survey, home.terms
    own, name = cluster_folder(home.cluster), identity(survey, terms)
    if terms.phase != "switch":
        yield tagged_lines.edit_own(usable(survey.own_known_hosts), home.known_hosts)
    if terms.phase in ("all", "in"):
        if terms.private_text and name not in survey.key_files:
            yield Edit(f"{own}/{name}", NodeFile(f"{own}/{name}", "absent"), terms.private_text, ())
        if writer in terms.certificates:
            key = survey.next_key if terms.successors else survey.key
            yield _certificate_edit(f"{own}/{name}-cert.pub", key, terms.certificates[writer])
    if terms.phase != "out" or survey.own_config.kind == "absent":
        yield tagged_lines.edit_own(usable(survey.own_config), home.config)


def _certificate_edit(path: str, key: NodeKey | None, text: str) -> Edit | None:
    before = key.certificate if key else None
    kind: FileKind = "file" if before else "absent"
    return tagged_lines.edit_own(NodeFile(path, kind, (before or "").encode()), text)


def _config_edit(home: _Home) -> Edit | None:
    """Give the edit of the user's configuration; where the whole block is in it, that is the switch."""
    in_full = any(one.lacks_include for one in home.here)
    if in_full and home.terms.phase in ("in", "out"):
        return None
    return tagged_lines.edit_config(
        usable(home.survey.config), home.cluster, home.config if in_full else None
    )


def _login_edit(home: _Home, keep_hosts: Collection[str]) -> Edit | None:
    if home.terms.phase == "switch":
        return None
    file = usable(home.survey.authorized_keys)
    old = any(one.lacks_restrict for one in home.here)
    restrict = tagged_lines.RESTRICT_IN_FULL if old else tagged_lines.RESTRICT
    return tagged_lines.edit_authorized_keys(
        file, home.cluster, home.members, keep_hosts, home.terms, restrict=restrict
    )


def _dropped(survey: Survey, terms: Terms) -> tuple[str, ...]:
    """Name the key files that are of no use once the old goes out."""
    if terms.phase != "out":
        return ()
    name = identity(survey, terms)
    kept = {name, f"{name}.pub", *((f"{name}-cert.pub",) if terms.mode == "ca" else ())}
    if terms.mode == "shared" and survey.key:
        # Not in use, but made anew by every bootstrap that misses it.
        kept |= {survey.key.file, f"{survey.key.file}.pub"}
    return tuple(file for file in survey.key_files if file not in kept)


def _notes(survey: Survey, cluster: str, members: Sequence[Member]) -> tuple[str, ...]:
    found = tagged_lines.other_lines_with(survey.authorized_keys.content, cluster, members)
    return tuple(
        f"line {number} of ~/.ssh/authorized_keys has the key of {name} with other options; it stays as it is"
        for number, name in found
    )


def _require_config(survey: Survey) -> None:
    if survey.config_fault:
        raise PartialError(
            f"ssh refuses the user's configuration there: {survey.config_fault}",
            stage="keys",
            remedy="mend that line by hand; nothing was changed",
        )


def prefers_cheap_exchange(ssh_version: str | None) -> bool:
    """Tell whether a cheap key exchange must be asked for: OpenSSH 8.9 to 9.8.

    Parameters: what ``ssh -V`` says, ``None`` where that is not known.
    """
    return _DEAR_EXCHANGE[0] <= _version(ssh_version) < _DEAR_EXCHANGE[1]


def lacks_include(ssh_version: str | None) -> bool:
    """Tell whether ssh knows no ``Include``: OpenSSH before 7.3. Source: its release notes."""
    return (0, 0) < _version(ssh_version) < (7, 3)


def lacks_restrict(ssh_version: str | None) -> bool:
    """Tell whether sshd knows no ``restrict``: OpenSSH before 7.2. Source: its release notes."""
    return (0, 0) < _version(ssh_version) < (7, 2)


def _version(ssh_version: str | None) -> tuple[int, int]:
    match = re.search(r"OpenSSH_(\d+)\.(\d+)", ssh_version or "")
    return (int(match[1]), int(match[2])) if match else (0, 0)
