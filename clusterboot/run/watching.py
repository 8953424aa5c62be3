"""Watching over a run: its time, its silence, and what its nodes say when it does not move."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace

from clusterboot import interrupts
from clusterboot.errors import ClusterbootError, UnreachableError
from clusterboot.hostfiles.slots import Slot
from clusterboot.nodes.sessions import Session
from clusterboot.programs.records import Problem
from clusterboot.session.visit import Visit

from .runend import RunEnd
from .runlog import LineLog
from .standstill import RankProcess, Snapshot, Standstill, all_run, ranks_there, standstill

# A row that takes so long is worth a look at the nodes, and each further one of twice the time.
_FIRST_LOOK_S = 10.0
# Two looks so far apart tell a process that stands from one that just happened to.
_BETWEEN_S = 2.0
_WAY = "check the network between here and there; what it ran was ended on the nodes"
_FLOOD = "run the program by hand and see what it prints"


class Overseer:
    """Decides when a run is ended from outside.

    Parameters: the run's name and nodes; its log; ``timeout_s`` is the time it may take, and ``late`` how it
    ends then; ``stall_s`` is for how long it may be silent, both in seconds; with ``None`` its silence is its
    own affair.
    """

    def __init__(
        self,
        visit: Visit,
        run_id: str,
        slots: Sequence[Slot],
        log: LineLog,
        *,
        timeout_s: float,
        late: RunEnd,
        stall_s: float | None,
    ) -> None:
        self._visit = visit
        self._run_id = run_id
        self._slots = slots
        self._log = log
        self._late = late
        self._stall_s = stall_s
        self._end_s = time.monotonic() + timeout_s
        self._first_look_s = min(_FIRST_LOOK_S, (stall_s or 0.0) / 2)
        self._look_s = self._first_look_s

    def look(self) -> RunEnd | None:
        """Say how the run is to be ended now; ``None`` for not at all."""
        if self._log.flooded:
            return RunEnd("flooded", detail="it printed more than any benchmark does", problems=self._flood())
        quiet_s = self._log.quiet_s
        if time.monotonic() >= self._end_s:
            # Whom it waited for says nothing where the operator gave it no more time.
            problems = () if self._late.cut_short else self._named(quiet_s)
            return replace(self._late, problems=problems)
        if self._stall_s is None:
            return None
        if quiet_s < self._first_look_s:
            self._look_s = self._first_look_s
        if quiet_s >= self._stall_s:
            detail = f"it printed nothing for {quiet_s:.0f} s"
            return self._end(self._ask_twice(), detail, quiet_s)
        if quiet_s >= self._look_s:
            self._look_s = 2 * quiet_s
            found = self._ask_twice()
            if found.is_certain:
                return self._end(found, found.problems[0].text, quiet_s)
        return None

    def _end(self, found: Standstill, detail: str, quiet_s: float) -> RunEnd:
        problems = found.problems or (all_run([slot.host for slot in self._slots], quiet_s),)
        if found.lost:
            return RunEnd("node-lost", detail=_in_words(found.lost[0]), problems=problems)
        named = problems[0]
        reason = f"{detail}: {_in_words(named)}" if named.text not in detail else _in_words(named)
        return RunEnd("stalled", detail=reason, problems=problems)

    def _named(self, quiet_s: float) -> tuple[Problem, ...]:
        return self._ask_twice().problems if quiet_s >= _BETWEEN_S else ()

    def _flood(self) -> tuple[Problem, ...]:
        start = self._slots[0].host if self._slots else None
        return (Problem("truncated", "its output has no end, and was cut off", _FLOOD, start),)

    def _ask_twice(self) -> Standstill:
        # Cut off here, the connections would be gone by which the nodes are to be cleared.
        with interrupts.put_off():
            before = ask(self._visit, self._run_id, self._slots)
            self._visit.fleet.watchdog.rest(_BETWEEN_S)
            after = ask(self._visit, self._run_id, self._slots)
        return standstill(before, after, {slot.host: slot.slots for slot in self._slots})


def ask(visit: Visit, run_id: str, slots: Sequence[Slot]) -> Snapshot:
    """Ask nodes at once which ranks of a run they have.

    Returns: by host, ``None`` where it did not answer; one that answered with an error is left out.
    """
    names = {slot.host for slot in slots}
    hosts = [host for host in visit.cluster.hosts if host.name in names]

    question = ranks_there(run_id)

    def look(session: Session) -> tuple[RankProcess, ...]:
        # The launch holds the session of the node that it starts from.
        with session.beside() as second:
            return second.ask(question)

    outcomes = visit.fleet.each(hosts, look)
    return {
        name: outcome if isinstance(outcome, tuple) else None
        for name, outcome in outcomes.items()
        if isinstance(outcome, tuple | UnreachableError)
    }


def who_is_lost(
    visit: Visit, start: str, run_id: str, slots: Sequence[Slot], error: ClusterbootError
) -> RunEnd:
    """Say what a lost connection to the launching node means, by what the nodes say now.

    Returns: a lost node where that one is silent and others are not; else a lost line.
    """
    said = ask(visit, run_id, slots)
    found = standstill(said, said, {slot.host: slot.slots for slot in slots})
    if start in {problem.host for problem in found.lost}:
        return RunEnd("node-lost", detail=_in_words(found.lost[0]), problems=found.lost)
    where = error.host or start
    problem = Problem("ssh", f"the connection was lost: {error.cause}", _WAY, where)
    return RunEnd("line-lost", detail=_in_words(problem), problems=(problem,))


def _in_words(problem: Problem) -> str:
    return f"{problem.host}: {problem.text}" if problem.host else problem.text
