"""One measurement at a time on a node: two at once would give wrong figures for each other.

On the operator's machine a locked file stands for each measurement, so that a second one is told before
anything is contacted, and the kernel lets go of it however a command ends. On the nodes a claim stands
in the cluster's own folder, as for a change, for operators on other machines. A bootstrap beside is allowed.
"""

from __future__ import annotations

import fcntl
import os
import random
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

from clusterboot import files, interrupts
from clusterboot.errors import PartialError
from clusterboot.folding import fold
from clusterboot.inventory.cluster import Host
from clusterboot.session.visit import Visit

from .homes import changing
from .homes.known import Holder
from .operator_claim import operator_name, releasing, who_am_i

# So often it is looked again whether another measurement has ended; not all who wait at the same moment.
_AGAIN_S = 5.0
_HERE_AGAIN_S = 0.5
_FOLDER = "measuring"
_MOST_BYTES = 1 << 20


@contextmanager
def measuring(visit: Visit, command: str, *, wait: bool) -> Iterator[Callable[[], None]]:
    """Have a visit's nodes for one measurement alone, for a block.

    Nothing is claimed on nodes before what is given is called, which claims the good ones. Parameters:
    what is run; whether another measurement on any of the nodes is waited for, or refused.
    Errors: :class:`PartialError` that says who measures there, since when and from where; also at the
    command's deadline.
    """
    if visit.dry_run:
        yield lambda: None
        return
    operator = operator_name(visit.state_dir)
    hosts: list[Host] = []
    names = [host.name for host in visit.cluster.hosts]
    with ExitStack() as held:
        held.enter_context(_alone_here(visit, command, names, wait=wait))
        held.enter_context(releasing(visit, changing.end_measurement(visit.cluster.name, operator), hosts))

        def claim() -> None:
            hosts[:] = visit.good
            question = changing.measure(visit.cluster.name, operator, command, who_am_i())
            release = changing.end_measurement(visit.cluster.name, operator)
            told = False
            while True:
                said = visit.stage("nodes claimed", visit.good, lambda session: session.ask(question))
                found = {name: holder for name, holder in said.items() if holder}
                if not found:
                    return
                # Two that wait for each other's nodes would wait for ever.
                visit.fleet.each(visit.good, lambda session: session.ask(release))
                if wait and not told:
                    visit.events.note(f"waiting for {next(iter(found.values()))}")
                told = True
                if not wait or not _rest(visit, _AGAIN_S * (1 + random.random())):  # noqa: S311  # no secret
                    raise _refusal(visit, found)

        yield claim


@contextmanager
def _alone_here(visit: Visit, command: str, names: list[str], *, wait: bool) -> Iterator[None]:
    """Hold a locked file that says what is measured from this machine, and on which nodes."""
    folder = visit.state_dir / _FOLDER
    files.make_private_folder(folder)
    path = folder / f"{os.getpid()}.{time.time_ns()}"
    text = " ".join((str(int(time.time())), command, who_am_i(), *names))
    told = False
    while True:
        # Looking and entering oneself are one step.
        with _locked(folder.with_suffix(".lock")):
            found = _others(folder, names)
            if not found:
                own = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
                fcntl.flock(own, fcntl.LOCK_EX)
                os.write(own, text.encode())
                break
        if wait and not told:
            visit.events.note(f"waiting for {next(iter(found.values()))}")
        told = True
        if not wait or not _rest(visit, _HERE_AGAIN_S):
            raise _refusal(visit, found)
    try:
        yield
    finally:
        path.unlink(missing_ok=True)
        os.close(own)


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    descriptor = files.open_to_append(path, mode=0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _others(folder: Path, names: Iterable[str]) -> dict[str, Holder]:
    """List who measures on which of ``names`` from this machine; what a killed command left is taken away."""
    found: dict[str, Holder] = {}
    for path in sorted(folder.iterdir()):
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            path.unlink()
        except BlockingIOError:
            started, command, who, *theirs = os.pread(descriptor, _MOST_BYTES, 0).decode().split()
            age_s = max(0, int(time.time()) - int(started))
            holder = Holder(command, who, f"this machine, process {path.name.partition('.')[0]}", age_s, "")
            found |= dict.fromkeys(set(names) & set(theirs), holder)
        finally:
            os.close(descriptor)
    return found


def _rest(visit: Visit, pause_s: float) -> bool:
    """Wait a little. Returns: false where the command's time is up."""
    interrupts.check()
    return visit.fleet.watchdog.rest(pause_s)


def _refusal(visit: Visit, found: Mapping[str, Holder]) -> PartialError:
    name, holder = next(iter(found.items()))
    where = f"~/.ssh/clusterboot/{visit.cluster.name}/measuring.*"
    killed = f"; if it was killed, remove {where} on {name} (it counts a day)" if holder.operator else ""
    return PartialError(
        f"another measurement is at work there: {holder}; nothing was launched",
        host=fold(list(found)),
        stage="launch",
        remedy=f"--wait waits for its end{killed}",
    )
