"""Old credentials for new ones: new in, proven, used, and only then the old out.

Each step leaves every login working, and nothing is remembered between steps but what the
nodes themselves have: so an exchange that was cut off is finished by the next one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from clusterboot import trust
from clusterboot.errors import PartialError
from clusterboot.folding import fold
from clusterboot.mpi.launcher import TreeLogin
from clusterboot.nodes.question import Question
from clusterboot.nodes.sessions import Session
from clusterboot.session.visit import Visit

from . import HomePlan, LoginFailure, NodeKey, Survey, Terms
from .blaming import pair_in_words, second_looks, weigh
from .change import change_homes
from .homes.known import Phase
from .proof import try_logins
from .terms import Cast


@dataclass(frozen=True)
class Exchanged:
    """What an exchange came to: the files that changed on each host, failed proofs, and whether it ended.

    Where it did not, the old credentials are still accepted everywhere; ``stopped_by`` are the hosts
    that could not go along.
    """

    edits: Mapping[str, tuple[str, ...]]
    failures: tuple[LoginFailure, ...]
    finished: bool
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


def exchange(
    visit: Visit,
    cast: Cast,
    terms: Terms,
    ip: Mapping[str, str],
) -> Exchanged:
    """Move every home to new terms.

    Parameters: who takes part, all of whom are in good standing; the terms; each host's
    address for the others. One that fails on the way stops the rest before anything old goes: if the
    others went on without it, it would let none of them in any more.
    """
    changed: dict[str, tuple[str, ...]] = {}

    steps: tuple[Phase, ...] = ("in", "switch", "out")
    for step in steps:
        took = _step(visit, cast, replace(terms, phase=step))
        for name, paths in took.items():
            changed[name] = tuple(dict.fromkeys((*changed.get(name, ()), *paths)))
        lost = _lost(visit, cast)
        failures = _prove(visit, cast, terms, ip) if step == "in" and not lost else ()
        if lost or failures:
            return Exchanged(changed, failures, finished=False, stopped_by=_lost(visit, cast))
    return Exchanged(changed, (), finished=True)


def _lost(visit: Visit, cast: Cast) -> tuple[str, ...]:
    """Name those of the cast that are out by now."""
    good = {host.name for host in visit.good}
    return tuple(name for name in cast.surveyed if name not in good)


def plan_home(session: Session, cluster: str, cast: Cast, keep: tuple[str, ...], terms: Terms) -> HomePlan:
    """Read the home that a session is in, and plan its edits on what is there now.

    Errors: :class:`PartialError` where it cannot be edited.
    """
    question = Question(
        trust.survey_sections(cluster, make_key=False),
        lambda reply: trust.parse_survey(reply.sections, cluster, session.name),
        "keys",
    )
    found = session.ask(question)
    group = next(group for group in cast.groups if group[0] == session.name)
    surveys: dict[str, Survey] = {session.name: _with_key(found, cast.surveyed[session.name].keys)}
    plan = trust.plan(cluster, cast.members, surveys, [group], keep_hosts=keep, terms=terms)[session.name]
    if not isinstance(plan, HomePlan):
        raise plan
    return plan


def _with_key(found: Survey, first: Survey) -> Survey:
    # After the switch the new key is the one in use; its successor is still the one meant here.
    known = {key.file: key for key in (found.key, found.next_key) if key}
    return replace(found, key=_same(first.key, known), next_key=_same(first.next_key, known))


def _same(key: NodeKey | None, known: Mapping[str, NodeKey]) -> NodeKey | None:
    return known.get(key.file, key) if key else None


def _step(visit: Visit, cast: Cast, terms: Terms) -> dict[str, tuple[str, ...]]:
    cluster = visit.cluster
    words = {"in": "new keys in", "switch": "in use", "out": "old keys out"}

    def plan(session: Session, _: bool) -> HomePlan:
        return plan_home(session, cluster.name, cast, cluster.all_names, terms)

    return change_homes(visit, words[terms.phase], {group[0]: group for group in cast.groups}, plan)


def _prove(visit: Visit, cast: Cast, terms: Terms, ip: Mapping[str, str]) -> tuple[LoginFailure, ...]:
    """Let each node log in to the next one with what is new, and with nothing else."""
    writer = {name: group[0] for group in cast.groups for name in group}
    names = [host.name for host in visit.good]
    with_what = {name: trust.identity(cast.surveyed[writer[name]].keys, terms) for name in names}
    return prove_ring(visit, ip, with_what, "the old credentials stay in use")


def prove_ring(
    visit: Visit, ip: Mapping[str, str], with_what: Mapping[str, str] | None = None, then: str | None = None
) -> tuple[LoginFailure, ...]:
    """Let each node log in to the next one.

    Parameters: each host's address; ``with_what`` as for :func:`try_logins`; ``then`` is what a
    failure means for the command.
    """
    names = [host.name for host in visit.good]
    if len(names) < 2:
        return ()
    ring = [TreeLogin(source, target) for source, target in zip(names, names[1:] + names[:1], strict=True)]
    found = try_logins(visit, ring, ip, with_what)
    looks = second_looks([host.name for host in visit.good], found, ring)
    found += try_logins(visit, looks, ip, with_what) if looks else ()
    failures = tuple(trust.timed(one) for one in found)
    good = {host.name for host in visit.good}
    weighed = weigh(failures, ring, [look for look in looks if look.source in good])
    for name, failure in weighed.blamed.items():
        cause = f"{failure.reason}; {then}" if then else failure.reason
        visit.ledger.fail(name, PartialError(cause, stage="verify", remedy=failure.remedy))
    return failures
