"""What is on the nodes of this cluster's, and how it is taken away again."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from clusterboot.facts import home
from clusterboot.inventory.cluster import Host
from clusterboot.mpi.script_names import cluster_folder
from clusterboot.nodes.question import Question
from clusterboot.nodes.script import Section, SectionOutput
from clusterboot.nodes.sessions import Session
from clusterboot.session.visit import Visit

from .change import Change, change
from .homes.install import removal_section
from .homes.known import Edit
from .homes.tagged_lines import take_back
from .survey import SHOW_LEFT, file_section, parse_file, usable

# In the order of their change: what can lock somebody out goes last.
_FILES = ("config", "authorized_keys")
_CREATED = '[ ! -f "$d/created" ] || head -c 65536 "$d/created" 2>/dev/null'


@dataclass(frozen=True)
class Remaining:
    """What one node has of this cluster's: ``edits`` and the removal of ``own_dir`` take it away.

    ``home`` tells the home from others, where the node could say; ``files`` are the user's as they are;
    ``left_behind`` is as in :class:`clusterboot.trust.homes.known.Survey`.
    """

    home: str | None
    files: tuple[bytes, ...]
    edits: tuple[Edit, ...]
    own_dir: str | None
    left_behind: bool

    @property
    def anything(self) -> bool:
        """Whether there is something to take away."""
        return bool(self.edits or self.own_dir or self.left_behind)

    @property
    def paths(self) -> tuple[str, ...]:
        """What changes or goes, below the home."""
        return (*(edit.path for edit in self.edits), *filter(None, (self.own_dir,)))


def look(visit: Visit, title: str, hosts: Iterable[Host]) -> dict[str, Remaining]:
    """Ask hosts what they have of this cluster's; who did not answer is out."""
    question = remains(visit.cluster.name)
    return visit.stage(title, hosts, lambda session: session.ask(question))


def clean_homes(visit: Visit, remaining: Mapping[str, Remaining]) -> dict[str, tuple[str, ...]]:
    """Clean homes, each through the host that it was looked at from; a home with nothing needs none.

    Returns: what was changed or removed there, by the hosts through which homes were cleaned.
    """
    cluster = visit.cluster.name
    writers = [host for host in visit.good if host.name in remaining and remaining[host.name].anything]

    def clean(session: Session) -> tuple[str, ...]:
        def plan(anew: bool) -> Change:
            found = session.ask(remains(cluster)) if anew else remaining[session.name]
            return removal_section(cluster, found.edits), found.edits

        return change(session, cluster, plan)

    changed = visit.stage("files restored", writers, clean) if writers else {}
    for name in changed:
        visit.ledger.changed(name)
    return changed


def clean_others(
    visit: Visit, first: Mapping[str, str], changed: Mapping[str, tuple[str, ...]]
) -> dict[str, tuple[str, ...]]:
    """See that what was cleaned was the home of all who say so; who still has something is cleaned itself.

    A node that claims another's home would else have that one left as it is.
    Parameters: by host the one through which its home was cleaned; what was changed.
    """
    hosts = [host for host in visit.good if host.name in first]
    left = look(visit, "shared homes seen", hosts) if hosts else {}
    for name, remaining in left.items():
        if not remaining.anything and first[name] in changed:
            visit.ledger.changed(name)
    return clean_homes(visit, left)


def remains(cluster: str) -> Question[Remaining]:
    """Ask what a teardown of ``cluster`` has to take back.

    Its ``parse`` raises :class:`PartialError` where a file cannot be read that may have lines of ours: the
    cluster's folder stays then, so that the next call looks again.
    """
    own = cluster_folder(cluster)
    state = '[ -e "$d" ] || exit 0\n[ -e "$d/config" ] && echo installed || echo present'
    script = f'd="$HOME/"{own}\n{state}\n{_CREATED}\nexit 0'
    files = (file_section(name, cluster) for name in _FILES)
    asked = (home.SECTION, Section("keys.remains", script), Section("keys.left", SHOW_LEFT), *files)
    return Question(asked, lambda reply: _parse(reply.sections, cluster), "keys")


def _parse(outputs: Mapping[str, SectionOutput], cluster: str) -> Remaining:
    where = home.parse(outputs[home.SECTION.name].text)
    state, *created = outputs["keys.remains"].text.splitlines() or [""]
    files = [parse_file(outputs, name, cluster) for name in _FILES]
    if state == "installed":
        for file in files:
            usable(file)
    edits = (take_back(file, cluster, created=file.path in created) for file in files)
    return Remaining(
        home=where.identity if where else None,
        files=tuple(file.content for file in files),
        edits=tuple(edit for edit in edits if edit is not None),
        own_dir=cluster_folder(cluster) if state else None,
        left_behind="left" in outputs["keys.left"].text,
    )
