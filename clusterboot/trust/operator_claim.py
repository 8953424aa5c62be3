"""One operator at a time changes a cluster, on whatever machine: claimed on the nodes themselves."""

from __future__ import annotations

import getpass
import secrets
import socket
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from clusterboot import files
from clusterboot.errors import ClusterbootError, PartialError
from clusterboot.folding import fold
from clusterboot.inventory.cluster import Host
from clusterboot.nodes.question import Question, both
from clusterboot.nodes.sessions import Session
from clusterboot.session.visit import Visit

from .homes import changing
from .homes.known import Holder
from .survey import Surveyed, public_key

# What is done; the names of the hosts that are to be changed, all of them for None; and what the hosts
# had said before: who has another key by now has met another operator.
Claim = Callable[..., None]

_FILE = "operator"
# What an interrupted command may take to release nodes that answer.
_RELEASE_S = 15.0


@contextmanager
def claimed(visit: Visit, command: str | None = None) -> Iterator[Claim]:
    """Hold the nodes for a command, from its first write there to its last.

    A claim that this operator left behind, by a kill or a cut line, is taken over; somebody else's
    only after an hour. Two plain bootstraps go beside each other. Parameters: what is done; with
    ``None`` nothing is claimed before what is given is called with that, and with the hosts that are
    to be changed: so that what is not changed is not touched.
    Errors: :class:`PartialError` where somebody else holds a node: nothing was changed then.
    """
    operator = "" if visit.dry_run else operator_name(visit.state_dir)
    hosts: list[Host] = []

    def claim_all(
        command: str, names: Collection[str] | None = None, known: Mapping[str, Surveyed] | None = None
    ) -> None:
        if visit.dry_run or hosts:
            return
        hosts[:] = [host for host in visit.good if names is None or host.name in names]
        if not hosts:
            return
        claim = changing.claim(visit.cluster.name, operator, command, who_am_i())
        key = public_key(visit.cluster.name)
        wanted = {host.name for host in hosts}

        def ask(session: Session) -> tuple[Holder | None, str | None]:
            if not known:
                return session.ask(claim), None
            if session.name not in wanted:
                return None, session.ask(key)
            return session.ask(both(claim, key))

        asked = [host for host in visit.good if host.name in wanted or known]
        said = visit.stage("nodes claimed", asked, ask)
        _refuse(visit.cluster.name, {name: holder for name, (holder, _) in said.items()})
        _refuse_other_keys({name: found for name, (_, found) in said.items()}, known or {})

    with releasing(visit, changing.release(visit.cluster.name, operator), hosts):
        if command:
            claim_all(command)
        yield claim_all


@contextmanager
def releasing(visit: Visit, release: Question[None], hosts: Sequence[Host]) -> Iterator[None]:
    """Ask ``release`` of those of ``hosts`` that can be reached, at the end of a block, however it ends."""
    interrupted = False
    try:
        yield
    except KeyboardInterrupt:
        interrupted = True
        raise
    finally:
        if hosts and (interrupted or visit.fleet.watchdog.out_of_time):
            # The connections are gone with what ended the command, or there is no time left on them.
            with suppress(ClusterbootError), visit.again(_RELEASE_S) as again:
                _release(again, release, hosts)
        else:
            _release(visit, release, hosts)


def refuse_held(visit: Visit, surveyed: Mapping[str, Surveyed]) -> None:
    """Refuse a bootstrap to go on where somebody else changes the cluster just now, unless by another one.

    Errors: :class:`PartialError`.
    """
    if visit.dry_run:
        return
    operator = operator_name(visit.state_dir)
    found = {name: answer.keys.holder for name, answer in surveyed.items()}
    held = {name: who for name, who in found.items() if who and who.is_in_the_way_of(operator)}
    _refuse(visit.cluster.name, held)


def _release(visit: Visit, release: Question[None], hosts: Sequence[Host]) -> None:
    reached = [host for host in hosts if visit.ledger[host.name].status != "unreachable"]
    visit.fleet.each(reached, lambda session: session.ask(release))


def _refuse(cluster: str, found: Mapping[str, Holder | None]) -> None:
    held = {name: holder for name, holder in found.items() if holder}
    if not held:
        return
    name, holder = next(iter(held.items()))
    where = f"~/.ssh/clusterboot/{cluster}/changing"
    whose = "that node alone says so" if len(held) == 1 else "those nodes say so"
    raise PartialError(
        f"somebody else changes this cluster: {holder}; nothing was changed",
        host=fold(held),
        stage="keys",
        remedy=f"wait until that has ended; if it was killed, remove {where} on {name} (it counts an hour); "
        f"{whose}: --exclude {','.join(held)} leaves out what you do not believe",
    )


def _refuse_other_keys(now: Mapping[str, str | None], known: Mapping[str, Surveyed]) -> None:
    """Refuse to go on with keys that are no longer the nodes': that would undo what somebody else did."""
    other = [name for name, key in now.items() if name in known and known[name].keys.public_key != key]
    if other:
        raise PartialError(
            "its key is another one than a moment ago: somebody else was at work; nothing was changed",
            host=fold(other),
            stage="keys",
            remedy=f"run it again, or leave it out with --exclude {','.join(other)}",
        )


def operator_name(state_dir: Path) -> str:
    """Give the operator's lasting name: one for each cluster and folder of state."""
    path = state_dir / _FILE
    try:
        known = path.read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        known = ""
    if len(known) != 32 or not known.isalnum():
        known = secrets.token_hex(16)
        files.replace(path, f"{known}\n".encode(), mode=0o600)
    return known


def who_am_i() -> str:
    """Give the user and the machine that this runs as and on, for others to read."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        user = "somebody"
    return f"{user}@{socket.gethostname()}"
