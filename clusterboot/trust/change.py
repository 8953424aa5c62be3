"""One home's files changed, and nobody locked out: proven before the session that could undo it ends."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

from clusterboot.errors import ClusterbootError, PartialError
from clusterboot.nodes.script import Section
from clusterboot.nodes.sessions import Session

from .homes import install
from .homes.install import RacedError
from .homes.known import Edit
from .homes.tagged_lines import undo

# The script that makes a change, and the edits in it.
Change: TypeAlias = tuple[Section, Sequence[Edit]]

_AUTHORIZED_KEYS = ".ssh/authorized_keys"
# So often somebody else may edit the same file at the same moment before it is given up.
_TRIES = 6


def change(session: Session, cluster: str, plan: Callable[[bool], Change | None]) -> tuple[str, ...]:
    """Change a home's files; where that changes who may log in, prove that the operator still can.

    Parameters: ``plan`` gives the script and the edits that it makes, or ``None`` where nothing is to
    be done; it is told whether to read the files anew, as after a meeting with another writer.
    Returns: the paths that changed, below the home.
    Errors: :class:`PartialError` at stage ``keys``; where the fresh login fails,
    ``authorized_keys`` is by then what it was before.
    """
    for tries_left in reversed(range(_TRIES)):
        wanted = plan(tries_left < _TRIES - 1)
        if wanted is None:
            return ()
        section, edits = wanted
        try:
            changed = session.ask(install.made(section, edits))
        except RacedError:
            if not tries_left:
                raise
            continue
        risky = next((edit for edit in edits if edit.path == _AUTHORIZED_KEYS), None)
        if risky is not None:
            try:
                session.log_in_afresh()
            except ClusterbootError as error:
                raise _rolled_back(session, cluster, risky, error) from None
        return changed
    raise AssertionError("the last try returns or raises")


def _rolled_back(session: Session, cluster: str, edit: Edit, error: ClusterbootError) -> PartialError:
    back = undo(edit)
    outcome = "the change was rolled back"
    try:
        session.ask(install.made(install.section(cluster, [back]), [back]))
    except ClusterbootError as problem:
        outcome = f"the change could not be rolled back ({problem.cause})"
    return PartialError(
        f"with the new ~/{edit.path} a fresh login fails ({error.cause}); {outcome}",
        stage="keys",
        remedy=error.remedy,
    )
