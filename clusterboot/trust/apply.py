"""The homes brought to the terms that were agreed on, and nobody locked out on the way.

Homes that are on these terms already, or on none, get what they lack at once. Else new credentials
take the place of old ones: new in, proven, used, and only then the old out. Each step leaves every
login working, and nothing is remembered between steps but what the nodes themselves have: so an
exchange that was cut off is finished by the next one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from clusterboot.errors import PartialError
from clusterboot.folding import fold
from clusterboot.nodes.sessions import Session
from clusterboot.session.visit import Visit

from . import remembered as members_state
from .blaming import pair_in_words
from .change import Change, change
from .homes import install
from .homes.known import Edit, NodeKey, Phase, Survey, Terms
from .members import Participants
from .operator_claim import Claim
from .plan import HomePlan, identity, plan_homes
from .prove import prove_ring
from .survey import question as survey_question
from .verify import LoginFailure

_STEPS: Mapping[Phase, str] = {"in": "new keys in", "switch": "in use", "out": "old keys out"}


@dataclass(frozen=True)
class Applied:
    """What became of the homes.

    ``edits`` has the files that changed on each host (or in a dry run would), ``planned`` what a dry
    run would edit, ``notes`` lines for people. Where an exchange was not ``finished``, the old
    credentials are still accepted everywhere: ``failures`` are the proofs that failed, ``stopped_by``
    the hosts that could not go along.
    """

    edits: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    planned: Mapping[str, tuple[Edit, ...]] = field(default_factory=dict)
    notes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    failures: tuple[LoginFailure, ...] = ()
    finished: bool = True
    stopped_by: tuple[str, ...] = ()

    @property
    def stopped(self) -> str | None:
        """What is to be said where it did not end: why nobody went on, and what to do."""
        if self.finished:
            return None
        who = f", since {fold(self.stopped_by)} could not go along" if self.stopped_by else ""
        if self.failures and not who:
            who = f", since {pair_in_words(self.failures[0])}"
        return (
            f"Keys: the change stopped half-way{who}; what was accepted before still is, everywhere. "
            "Mend that, or leave it out with --hosts, and run this again"
        )


def apply(visit: Visit, participants: Participants, terms: Terms, claim: Claim) -> Applied:
    """Bring every home to the terms, and remember the members.

    Parameters: who takes part, all of whom are in good standing; the terms, which with
    ``successors`` are a change from what the nodes are on now; ``claim`` holds the nodes, once
    something is to be changed there.
    """
    done = (
        _exchange(visit, participants, terms)
        if terms.successors
        else _complete(visit, participants, terms, claim)
    )
    if done.finished and not visit.dry_run:
        members_state.save(visit.state_dir, participants.members)
    return done


def _complete(visit: Visit, participants: Participants, terms: Terms, claim: Claim) -> Applied:
    """Give homes what they lack; where one cannot be edited, its hosts are out."""
    cluster = visit.cluster
    surveys = {name: answer.keys for name, answer in participants.surveyed.items()}
    found = plan_homes(
        cluster.name,
        participants.members,
        surveys,
        participants.groups,
        keep_hosts=cluster.all_names,
        terms=terms,
    )
    plans: dict[str, HomePlan] = {}
    for group in participants.groups:
        plan = found[group[0]]
        if isinstance(plan, HomePlan):
            plans[group[0]] = plan
            continue
        for name in group:
            visit.ledger.fail(name, plan)
    notes = {name: plan.notes for name, plan in plans.items() if plan.notes}
    changing = {name: plan.edits for name, plan in plans.items() if plan.edits}
    if visit.dry_run:
        paths = {name: tuple(edit.path for edit in edits) for name, edits in changing.items()}
        return Applied(paths, {name: plan.edits for name, plan in plans.items()}, notes)
    if changing:
        claim("bootstrap", set(changing), participants.surveyed)

    def planned(session: Session, anew: bool) -> HomePlan:
        return _plan_again(visit, session, participants, terms) if anew else plans[session.name]

    homes = {writer: plan.hosts for writer, plan in plans.items() if plan.edits or plan.sweep}
    return Applied(_change_homes(visit, "keys installed", homes, planned), notes=notes)


def _exchange(visit: Visit, participants: Participants, terms: Terms) -> Applied:
    """Move every home to new terms.

    One that fails on the way stops the rest before anything old goes: if the others went on without
    it, it would let none of them in any more.
    """
    changed: dict[str, tuple[str, ...]] = {}
    homes = {group[0]: group for group in participants.groups}
    for phase, title in _STEPS.items():
        step = replace(terms, phase=phase)

        def plan(session: Session, _: bool, step: Terms = step) -> HomePlan:
            return _plan_again(visit, session, participants, step)

        for name, paths in _change_homes(visit, title, homes, plan).items():
            changed[name] = tuple(dict.fromkeys((*changed.get(name, ()), *paths)))
        lost = _lost(visit, participants)
        failures = _prove(visit, participants, terms) if phase == "in" and not lost else ()
        if lost or failures:
            return Applied(changed, failures=failures, finished=False, stopped_by=_lost(visit, participants))
    return Applied(changed)


def _lost(visit: Visit, participants: Participants) -> tuple[str, ...]:
    """Name those of the participants that are out by now."""
    good = {host.name for host in visit.good}
    return tuple(name for name in participants.surveyed if name not in good)


def _prove(visit: Visit, participants: Participants, terms: Terms) -> tuple[LoginFailure, ...]:
    """Let each node log in to the next one with what is new, and with nothing else."""
    writer = {name: group[0] for group in participants.groups for name in group}
    names = [host.name for host in visit.good]
    with_what = {name: identity(participants.surveyed[writer[name]].keys, terms) for name in names}
    return prove_ring(visit, participants.ip, with_what, "the old credentials stay in use")


def _plan_again(visit: Visit, session: Session, participants: Participants, terms: Terms) -> HomePlan:
    """Read the home that a session is in, and plan its edits on what is there now.

    Errors: :class:`PartialError` where it cannot be edited.
    """
    cluster = visit.cluster.name
    found = session.ask(survey_question(cluster, make_key=False))
    group = next(group for group in participants.groups if group[0] == session.name)
    surveys: dict[str, Survey] = {session.name: _with_key(found, participants.surveyed[session.name].keys)}
    keep = visit.cluster.all_names
    plans = plan_homes(cluster, participants.members, surveys, [group], keep_hosts=keep, terms=terms)
    plan = plans[session.name]
    if not isinstance(plan, HomePlan):
        raise plan
    return plan


def _with_key(found: Survey, first: Survey) -> Survey:
    # After the switch the new key is the one in use; its successor is still the one meant here.
    known = {key.file: key for key in (found.key, found.next_key) if key}
    return replace(found, key=_same(first.key, known), next_key=_same(first.next_key, known))


def _same(key: NodeKey | None, known: Mapping[str, NodeKey]) -> NodeKey | None:
    return known.get(key.file, key) if key else None


def _change_homes(
    visit: Visit, title: str, homes: Mapping[str, Sequence[str]], plan: Callable[[Session, bool], HomePlan]
) -> dict[str, tuple[str, ...]]:
    """Change homes, each through one host; who shares a home that could not be written is out with that host.

    Parameters: what the stage is called; the hosts of each home by the name of the one that writes;
    ``plan`` gives what is to be changed in the home of a session, and is told whether to read it anew.
    Returns: the paths that changed, below the home, by the writing host, where any did.
    """
    cluster = visit.cluster.name

    def work(session: Session) -> tuple[str, ...]:
        def wanted(anew: bool) -> Change | None:
            home = plan(session, anew)
            if not (home.edits or home.drop or home.sweep):
                return None
            return install.section(cluster, home.edits, drop=home.drop), home.edits

        return change(session, cluster, wanted)

    done = visit.stage(title, [host for host in visit.good if host.name in homes], work)
    for writer, hosts in homes.items():
        for name in hosts:
            if done.get(writer):
                visit.ledger.changed(name)
            elif writer not in done and name != writer:
                cause = f"the home that it shares with {writer} could not be written"
                visit.ledger.fail(name, PartialError(cause, stage="keys"))
    return {name: paths for name, paths in done.items() if paths}
