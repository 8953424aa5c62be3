"""Taking back what bootstrap put on the nodes, and nothing else."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

from clusterboot import trust
from clusterboot.errors import ExitCode, HostResult
from clusterboot.facts import home
from clusterboot.nodes.question import Question, Reply
from clusterboot.nodes.script import Section
from clusterboot.nodes.sessions import Session
from clusterboot.session.context import Context
from clusterboot.session.visit import Visit, exit_code
from clusterboot.trust import Edit, mode, terms
from clusterboot.trust import remembered as members_state
from clusterboot.trust.change import change, persistently
from clusterboot.trust.launching_host import HEAD, take_back_head, was_used
from clusterboot.trust.operator_claim import claimed
from clusterboot.trust.operator_lock import alone


@dataclass(frozen=True)
class TornDown:
    """What a teardown came to: per host its result and the files that were changed or removed.

    ``planned`` is what a dry run would edit; ``still_to_do`` names the hosts that still have
    something, also those that are no longer in the cluster file.
    """

    hosts: tuple[HostResult, ...]
    exit_code: ExitCode
    edits: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    planned: Mapping[str, tuple[Edit, ...]] = field(default_factory=dict)
    still_to_do: tuple[str, ...] = ()


def teardown(context: Context) -> TornDown:
    """Take every line, file and folder of this cluster's off its nodes.

    A home that several nodes share is cleaned once, for all of them; that it was theirs is seen by
    what the others still have. A node that cannot be reached keeps what it has; the next call
    finishes there.
    """
    cluster = context.cluster
    with alone(context), context.visit() as visit, claimed(context, visit, "teardown"):
        found = visit.stage("nodes inspected", cluster.hosts, partial(_look, cluster.name))
        groups: dict[str, list[str]] = {}
        for name, left in found.items():
            groups.setdefault(left.home or name, []).append(name)
        plans = _plans(visit, found, [group[0] for group in groups.values()])
        files = [file.content for left in found.values() for file in left.remains.files]
        head_launched = was_used(context.state_dir, files, cluster.name)
        if context.dry_run:
            # Without a change nobody can tell whose home is whose.
            return _would(visit, _plans(visit, found, list(found)), head_launched=head_launched)
        # Before the nodes' lines go, by which another operator's machine would know of it.
        removed = take_back_head(visit) if head_launched else ()
        changed = _take_back(visit, plans)
        changed |= _take_back_of_others(visit, groups.values(), changed)
        changed |= {HEAD: removed} if removed else {}
        members_state.forget(context.state_dir, [host.name for host in visit.good])
        away = [row.name for row in visit.ledger.rows if row.status != "ok"]
        remembered = [member.name for member in members_state.load(context.state_dir)]
        if not away and not remembered:
            terms.forget(context.state_dir)
            mode.forget(context.state_dir)
        still = tuple(dict.fromkeys((*away, *remembered)))
        return TornDown(visit.ledger.rows, exit_code(visit.ledger.rows), changed, still_to_do=still)


def _take_back(visit: Visit, plans: Mapping[str, _Plan]) -> dict[str, tuple[str, ...]]:
    """Clean the homes of plans, each by the host that it is planned for. Returns: what was changed there."""
    cluster = visit.cluster.name

    def take_back(session: Session) -> tuple[str, ...]:
        def attempt(anew: bool) -> tuple[str, ...]:
            edits = plans[session.name].edits
            if anew:
                edits = _edits(_look(cluster, session).remains, cluster)
            return change(session, cluster, trust.removal_section(cluster, edits), edits)

        return persistently(attempt)

    writers = [host for host in visit.good if host.name in plans]
    changed = visit.stage("files restored", writers, take_back) if writers else {}
    for name in changed:
        visit.ledger.changed(name)
    return changed


def _take_back_of_others(
    visit: Visit, groups: Iterable[Sequence[str]], changed: Mapping[str, tuple[str, ...]]
) -> dict[str, tuple[str, ...]]:
    """See that what was cleaned was the home of all who say so; who still has something is cleaned itself.

    A node that claims another's home would else have that one left as it is.
    """
    first = {name: group[0] for group in groups for name in group[1:]}
    hosts = [host for host in visit.good if host.name in first]
    left = visit.stage("shared homes seen", hosts, partial(_look, visit.cluster.name)) if hosts else {}
    more = _plans(visit, left, list(left))
    for name in left:
        if name not in more and first[name] in changed:
            visit.ledger.changed(name)
    return _take_back(visit, more)


def _would(visit: Visit, plans: Mapping[str, _Plan], *, head_launched: bool) -> TornDown:
    """Say what a teardown would do."""
    paths = _paths(plans)
    if head_launched:
        paths[HEAD] = (trust.OWN_DIR.format(name=visit.cluster.name),)
    edits = {name: plan.edits for name, plan in plans.items()}
    return TornDown(visit.ledger.rows, exit_code(visit.ledger.rows), paths, edits)


@dataclass(frozen=True)
class _Found:
    remains: trust.Remains
    home: str | None


@dataclass(frozen=True)
class _Plan:
    edits: tuple[Edit, ...]
    own_dir: str | None


def _look(cluster: str, session: Session) -> _Found:
    sections = (Section("facts.home", home.SNIPPET), *trust.remains_sections(cluster))

    def parse(reply: Reply) -> _Found:
        where = home.parse(reply["facts.home"].text)
        remains = trust.parse_remains(reply.sections, cluster)
        if remains.installed:
            # What cannot be read may have lines of ours; its folder stays, so that the next call looks again.
            for file in remains.files:
                trust.usable(file, session.name)
        return _Found(remains, where.identity if where else None)

    return session.ask(Question(sections, parse, "keys"))


def _plans(visit: Visit, found: Mapping[str, _Found], writers: Sequence[str]) -> dict[str, _Plan]:
    """Plan each home's removal through its writer; a home with nothing of ours needs none."""
    plans: dict[str, _Plan] = {}
    for name in writers:
        remains = found[name].remains
        edits = _edits(remains, visit.cluster.name)
        if edits or remains.own_dir or remains.left_behind:
            plans[name] = _Plan(edits, remains.own_dir)
    return plans


def _edits(remains: trust.Remains, cluster: str) -> tuple[Edit, ...]:
    found = (trust.take_back(file, cluster, created=file.path in remains.created) for file in remains.files)
    return tuple(edit for edit in found if edit is not None)


def _paths(plans: Mapping[str, _Plan]) -> dict[str, tuple[str, ...]]:
    return {
        name: (*(edit.path for edit in plan.edits), *((plan.own_dir,) if plan.own_dir else ()))
        for name, plan in plans.items()
    }
