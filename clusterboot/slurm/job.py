"""One job for one command: queued, waited for in sight of the operator, held, and ended with it."""

from __future__ import annotations

import os
import queue
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

from clusterboot import interrupts
from clusterboot.errors import ClusterbootError, UnreachableError
from clusterboot.inventory.nodeset import expand
from clusterboot.inventory.problems import RuleError
from clusterboot.nodes.collector import Collector
from clusterboot.nodes.payload import Payload
from clusterboot.nodes.question import Question
from clusterboot.nodes.script import Section, SectionOutput, new_nonce
from clusterboot.nodes.sessions import Session
from clusterboot.nodes.watchdog import OF_DEADLINE, Watchdog
from clusterboot.printable import one_line

from .argv import JobRequest, hold_script

_PENDING = re.compile(r"salloc: Pending job allocation ([0-9]+)")
_GRANTED = re.compile(r"(?m)^(\S{32}) granted ([0-9]+) (\S+)$")
_STATE = re.compile(r"(?:^|\s)JobState=([A-Z_]+)")
# How often Slurm is asked what became of a job, and for how long a job that ends is waited for.
_LOOK_S = 1.0
_LOOKS = 10
# salloc tells slurmctld that a job is over, and waits for the answer.
_END_S = 15.0
# What a job was ended by is known to salloc a moment after the nodes feel it.
_NEWS_S = 3.0
# The job's own time limit ends it; the wait in the queue has no end but the operator's.
_FOREVER_S = 10 * 365 * 86400.0

_ENDS = {
    "TIMEOUT": ("its time limit was reached", "set a longer slurm.time_limit_minutes"),
    "CANCELLED": ("somebody cancelled it", "ask who did, then run the command again"),
    "PREEMPTED": ("it was preempted by another job", "run the command again"),
    "NODE_FAIL": ("a node of it failed", "look at 'sinfo -R', then run the command again"),
}
_OTHERWISE = ("Slurm ended it", "look at 'scontrol show job' and slurmctld's log, then run the command again")


@dataclass
class HeldJob:
    """A job that runs: its number, and its nodes in the order in which Slurm numbers tasks."""

    number: int
    nodes: tuple[str, ...]
    _login: Session
    _ended: threading.Event = field(default_factory=threading.Event)

    def why_ended(self) -> ClusterbootError | None:
        """Say by what the job was ended, ``None`` where it still runs; waits a moment for news of that."""
        if not self._ended.wait(_NEWS_S):
            return None
        state = ""
        with suppress(ClusterbootError):
            for _ in range(_LOOKS):
                state = self._login.ask(job_state(self.number))
                if state != "COMPLETING":
                    break
                # Until its nodes are clear Slurm does not say what has become of it.
                time.sleep(_LOOK_S)
        cause, remedy = _ENDS.get(state, _OTHERWISE)
        return UnreachableError(f"job {self.number} ended: {cause}", stage="channel", remedy=remedy)


def job_state(number: int) -> Question[str]:
    """Ask for the state of a job, in Slurm's words; empty where Slurm does not know it any more."""

    def parse(said: SectionOutput) -> str:
        match = _STATE.search(said.text)
        return match[1] if match else ""

    section = Section("job", f"scontrol --oneliner show job {number} 2>/dev/null")
    return Question.of_one(section, parse, "channel")


def pending_reason(number: int) -> Question[str]:
    """Ask why a job waits, in Slurm's words: ``Resources``, ``Priority``; empty where it waits no more."""
    section = Section("reason", f"squeue --noheader --jobs={number} --states=PENDING --format=%r 2>/dev/null")
    return Question.of_one(section, lambda said: one_line(said.stdout.strip()), "connect")


@contextmanager
def holding(
    login: Session, request: JobRequest, watchdog: Watchdog, note: Callable[[str], None]
) -> Iterator[HeldJob]:
    """Queue a job, wait until it runs, and hold it for a block.

    Parameters: a session on the login node without a deadline of its own, so that the job is always ended
    in order; the job; the command's deadline; ``note`` is told why the job waits.
    Errors: :class:`UnreachableError` where Slurm refuses the job, or the command's time is up.
    """
    with login.beside() as line:
        holder = _Holder(line, request)
        try:
            number, nodes = _wait(login, holder, watchdog, note)
            yield HeldJob(number, nodes, login, holder.ended)
        finally:
            holder.end()


class _Holder:
    """The thread that feeds the login node's ``salloc``, and what that says."""

    def __init__(self, line: Session, request: JobRequest) -> None:
        self._line = line
        self._nonce = new_nonce()
        self.news: queue.SimpleQueue[tuple[int, str]] = queue.SimpleQueue()
        self.ended = threading.Event()
        self.error: ClusterbootError | None = None
        self._out, self._err = Collector(), Collector()
        self._told: set[str] = set()
        self._nothing = os.open(os.devnull, os.O_RDONLY)
        # Standard input stays open while nothing is asked for, and is closed behind these no bytes.
        self._end = Payload(self._nothing, 0)
        text = hold_script(request, self._nonce).encode()
        self._thread = threading.Thread(target=self._hold, args=(text,), name="clusterboot-job", daemon=True)
        self._thread.start()

    @property
    def refusal(self) -> ClusterbootError:
        """Say why there is no job."""
        said = [line for line in self._err.data.decode("utf-8", "replace").splitlines() if "error:" in line]
        words = one_line("; ".join(line.partition("error: ")[2] for line in said).encode())
        cause = f"Slurm refused the job: {words}" if words else "Slurm took the job out of the queue"
        remedy = "correct the slurm block of the cluster file" if words else "ask who did, or run it again"
        return self.error or UnreachableError(cause, stage="connect", remedy=remedy)

    def end(self) -> None:
        """End the job, waiting or running, and see that Slurm knows it."""
        self._end.ask_for()
        self._thread.join(_END_S)
        if self._thread.is_alive():
            self._line.abort()
        else:
            os.close(self._nothing)

    def _hold(self, text: bytes) -> None:
        try:
            self._line.stream(
                text,
                self._hear_output,
                self._hear_error,
                "connect",
                timeout_s=_FOREVER_S,
                payload=self._end,
                label="salloc",
            )
        except ClusterbootError as error:
            self.error = error
        finally:
            self.ended.set()
            self.news.put((0, "ended"))

    def _hear_output(self, data: bytes) -> None:
        self._out(data)
        for nonce, number, nodes in _GRANTED.findall(self._out.data.decode("utf-8", "replace")):
            if nonce == self._nonce:
                self._tell(int(number), nodes)

    def _hear_error(self, data: bytes) -> None:
        self._err(data)
        match = _PENDING.search(self._err.data.decode("utf-8", "replace"))
        if match:
            self._tell(int(match[1]), "pending")

    def _tell(self, number: int, what: str) -> None:
        if what not in self._told:
            self._told.add(what)
            self.news.put((number, what))


def _wait(
    login: Session, holder: _Holder, watchdog: Watchdog, note: Callable[[str], None]
) -> tuple[int, tuple[str, ...]]:
    """Wait for the job's nodes. Returns: its number, and its nodes."""
    number, reason, look_at_s = 0, "", 0.0
    while True:
        interrupts.check()
        if watchdog.out_of_time:
            waited = f"waits in the queue ({reason or 'no reason given'})"
            raise UnreachableError(
                f"job {number} still {waited} at {OF_DEADLINE}" if number else f"no job at {OF_DEADLINE}",
                stage="connect",
                remedy="allow more time with --deadline, or name fewer nodes",
            )
        with suppress(queue.Empty):
            told, what = holder.news.get(timeout=interrupts.TICK_S)
            if what == "ended":
                raise holder.refusal
            number = told
            if what != "pending":
                return number, _nodes(what)
        if number and time.monotonic() >= look_at_s:
            now = login.ask(pending_reason(number))
            if now and now != reason:
                note(f"job {number} waits in the queue: {now}")
            reason, look_at_s = now or reason, time.monotonic() + _LOOK_S


def _nodes(folded: str) -> tuple[str, ...]:
    try:
        return expand(folded)
    except RuleError as error:
        raise UnreachableError(f"the job's nodes: {error.cause}", stage="connect") from None
