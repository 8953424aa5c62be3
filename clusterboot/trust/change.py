"""One home's files changed, and nobody locked out: proven before the session that could undo it ends."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from clusterboot import trust
from clusterboot.errors import ClusterbootError, PartialError
from clusterboot.nodes.question import Question
from clusterboot.nodes.script import Section
from clusterboot.nodes.sessions import Session
from clusterboot.session.visit import Visit

from . import Edit, HomePlan

_AUTHORIZED_KEYS = ".ssh/authorized_keys"
# So often somebody else may edit the same file at the same moment before it is given up.
_TRIES = 6


def log_in_afresh(session: Session) -> None:
    """Log in to a session's host once more, as the operator does, and leave again.

    Errors: as opening any connection.
    """
    session.log_in_afresh()


def change(session: Session, cluster: str, section: Section, edits: Sequence[Edit]) -> tuple[str, ...]:
    """Run a script that makes ``edits``; where it changes who may log in, prove that the operator still can.

    Returns: the paths that changed, below the home.
    Errors: :class:`PartialError` at stage ``keys``; where the fresh login fails,
    ``authorized_keys`` is by then what it was before.
    """
    changed = session.ask(_installed(section, edits, session.name))
    risky = next((edit for edit in edits if edit.path == _AUTHORIZED_KEYS), None)
    if risky is not None:
        try:
            log_in_afresh(session)
        except ClusterbootError as error:
            raise _rolled_back(session, cluster, risky, error) from None
    return changed


def _installed(section: Section, edits: Sequence[Edit], host: str) -> Question[tuple[str, ...]]:
    return Question(
        (section,),
        lambda reply: trust.parse_install(reply.sections, edits, host),
        "keys",
        trust.INSTALL_TIMEOUT_S,
    )


def persistently(attempt: Callable[[bool], tuple[str, ...]]) -> tuple[str, ...]:
    """Make a change that may meet another writer, reading anew whenever it did.

    Parameters: ``attempt`` plans and makes the change; it is told whether to read anew first.
    Errors: what the last attempt raises.
    """
    for _ in range(_TRIES - 1):
        try:
            return attempt(_ > 0)
        except trust.RacedError:
            continue
    return attempt(True)


def change_files(session: Session, cluster: str, plan: Callable[[bool], Sequence[Edit]]) -> tuple[str, ...]:
    """Make the edits that ``plan`` gives, which is told whether to read anew first.

    Returns: the paths that changed. Errors: as :func:`change`.
    """

    def attempt(anew: bool) -> tuple[str, ...]:
        edits = plan(anew)
        return change(session, cluster, trust.install_section(cluster, edits), edits) if edits else ()

    return persistently(attempt)


def change_homes(
    visit: Visit, title: str, homes: Mapping[str, Sequence[str]], plan: Callable[[Session, bool], HomePlan]
) -> dict[str, tuple[str, ...]]:
    """Change homes, each through one host; who shares a home that could not be written is out with that host.

    Parameters: what the stage is called; the hosts of each home by the name of the one that writes;
    ``plan`` gives what is to be changed in the home of a session, and is told whether to read it anew.
    Returns: the paths that changed, below the home, by the writing host, where any did.
    """
    cluster = visit.cluster.name

    def work(session: Session) -> tuple[str, ...]:
        def attempt(anew: bool) -> tuple[str, ...]:
            wanted = plan(session, anew)
            if not (wanted.edits or wanted.drop or wanted.sweep):
                return ()
            section = trust.install_section(cluster, wanted.edits, drop=wanted.drop)
            return change(session, cluster, section, wanted.edits)

        return persistently(attempt)

    done = visit.stage(title, [host for host in visit.good if host.name in homes], work)
    for writer, hosts in homes.items():
        for name in hosts:
            if done.get(writer):
                visit.ledger.changed(name)
            elif writer not in done and name != writer:
                cause = f"the home that it shares with {writer} could not be written"
                visit.ledger.fail(name, PartialError(cause, stage="keys"))
    return {name: paths for name, paths in done.items() if paths}


def _rolled_back(session: Session, cluster: str, edit: Edit, error: ClusterbootError) -> PartialError:
    back = trust.undo(edit)
    outcome = "the change was rolled back"
    try:
        session.ask(_installed(trust.install_section(cluster, [back]), [back], session.name))
    except ClusterbootError as problem:
        outcome = f"the change could not be rolled back ({problem.cause})"
    return PartialError(
        f"with the new ~/{edit.path} a fresh login fails ({error.cause}); {outcome}",
        host=session.name,
        stage="keys",
        remedy=error.remedy,
    )
