"""Deadlines that hold: one thread ends every wait that has lasted too long.

Paramiko's own time limits miss several waits (a reply to ``exec``, an opening channel) and
start anew with every byte of others. So each wait runs under a limit whose end closes the
thing that is waited on; the wait then fails by itself, at once.
"""

from __future__ import annotations

import heapq
import itertools
import math
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

# So many alarms that are over may wait for their time before the heap is swept.
_SWEEP_AT = 1024
# A wait whose end is noticed so much too late has lasted while this machine stood still, as one does that
# sleeps, or a process after Ctrl-Z. What came meanwhile is there, and has this time to be read.
_STOOD_STILL_S = 0.5
_MOMENT_S = 1.0

# What the causes of hosts have in them that the whole command's deadline kept from answering.
OF_DEADLINE = "the command's deadline"


class DeadlineError(Exception):
    """A wait ran into its deadline, into the whole command's, or into one host's share of that.

    ``words`` say which: ``within 10 s``, ``before the command's deadline``, ``in half of the
    command's deadline``.
    """

    def __init__(self, timeout_s: float, *, whole: bool = False, shared: bool = False) -> None:
        super().__init__(timeout_s, whole, shared)
        self.words = f"within {timeout_s:.3g} s"
        if shared:
            self.words = f"in half of {OF_DEADLINE}"
        if whole:
            self.words = f"before {OF_DEADLINE}"


@dataclass
class Alarm:
    """Something that is done at a time, unless it is over before."""

    action: Callable[[], Any]
    ends_a_wait: bool = False
    rang: bool = False
    over: bool = False


class Watchdog:
    """Ends waits that have run into their deadline, or into the whole command's.

    Parameters: ``deadline_s`` is the time that the command has from now on, ``None`` for
    no limit. Start-up is free: the thread starts with the first alarm.
    """

    def __init__(self, deadline_s: float | None = None) -> None:
        self._end_s = time.monotonic() + deadline_s if deadline_s is not None else None
        self._pauses, self._left_s = 0, math.inf
        self._shares = threading.local()
        self._heap: list[tuple[float, int, Alarm]] = []
        self._count = itertools.count()
        self._over = 0
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._stopped = threading.Event()

    @property
    def out_of_time(self) -> bool:
        """True once the whole command's deadline has passed."""
        return self._end_s is not None and time.monotonic() >= self._end_s

    def allow_s(self, timeout_s: float) -> float:
        """Cut a wait of ``timeout_s`` to what the command's deadline leaves, at least 0 seconds."""
        if self._end_s is None:
            return timeout_s
        end_s = min(self._end_s, self._share_end_s)
        return max(0.0, min(timeout_s, end_s - time.monotonic()))

    @property
    def _share_end_s(self) -> float:
        return getattr(self._shares, "end_s", math.inf)

    @contextmanager
    def sharing(self) -> Iterator[None]:
        """Give all waits of this thread in a block, together, half of what the command's deadline leaves.

        So that a host which answers late at every step costs the others no stage that is still to come.
        """
        before_s = self._share_end_s
        self._shares.end_s = time.monotonic() + self.allow_s(math.inf) / 2
        try:
            yield
        finally:
            self._shares.end_s = before_s

    @contextmanager
    def pausing(self) -> Iterator[None]:
        """Stop the command's clock for a block, in which a person types."""
        started_s = time.monotonic()
        with self._changed:
            if self._pauses == 0 and self._end_s is not None:
                self._left_s, self._end_s = self._end_s - started_s, math.inf
            self._pauses += 1
        try:
            yield
        finally:
            with self._changed:
                self._pauses -= 1
                if self._pauses == 0 and self._end_s is not None:
                    self._end_s = time.monotonic() + self._left_s

    def share_s(self, timeout_s: float) -> float:
        """Cut a wait of ``timeout_s`` to half of what the command's deadline leaves.

        So what one host does not answer costs the others no stage that is still to come.
        """
        return min(timeout_s, self.allow_s(math.inf) / 2)

    def late(self, timeout_s: float) -> DeadlineError:
        """Say that a wait of ``timeout_s`` seconds is over, or that the command's time is."""
        shared = time.monotonic() >= self._share_end_s
        return DeadlineError(timeout_s, whole=self.out_of_time, shared=shared)

    @contextmanager
    def limit(self, timeout_s: float, close: Callable[[], Any]) -> Iterator[None]:
        """Run a block under a deadline; at its end ``close`` is called, in a thread of its own.

        The block is expected to end when that happens.
        Errors: :class:`DeadlineError` in place of whatever the block then raises or returns.
        """
        alarm = self._set(self.allow_s(timeout_s), close, ends_a_wait=True)
        try:
            yield
        except Exception:
            self._cancel(alarm)
            if alarm.rang:
                raise self.late(timeout_s) from None
            raise
        except BaseException:
            self._cancel(alarm)
            raise
        self._cancel(alarm)
        if alarm.rang:
            raise self.late(timeout_s)

    @contextmanager
    def alarm(self, delay_s: float, action: Callable[[], Any]) -> Iterator[None]:
        """Call ``action`` once, in a thread of its own, if the block still runs after ``delay_s`` seconds."""
        alarm = self._set(delay_s, action)
        try:
            yield
        finally:
            self._cancel(alarm)

    def pulse(self, interval_s: float, beat: Callable[[], bool]) -> None:
        """Call ``beat`` every so many seconds, each in a thread of its own, until it returns false.

        A beat that hangs does not keep the next one from coming.
        """

        def once() -> None:
            following = self._set(interval_s, once)
            if not beat():
                self._cancel(following)

        self._set(interval_s, once)

    def rest(self, delay_s: float) -> bool:
        """Do nothing for so many seconds. Returns: false where there is no time left to go on after it."""
        allowed_s = self.allow_s(delay_s)
        return not self._stopped.wait(allowed_s) and allowed_s == delay_s

    def stop(self) -> None:
        """End the thread and every rest; alarms that are still set do not ring any more."""
        with self._changed:
            self._stopped.set()
            self._heap.clear()
            self._changed.notify()
            thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join()

    def _set(self, delay_s: float, action: Callable[[], Any], *, ends_a_wait: bool = False) -> Alarm:
        alarm = Alarm(action, ends_a_wait)
        with self._changed:
            if self._stopped.is_set():
                return alarm
            self._push(alarm, delay_s)
            if self._thread is None:
                self._thread = threading.Thread(target=self._watch, name="clusterboot-watchdog", daemon=True)
                self._thread.start()
            elif self._heap[0][2] is alarm:
                self._changed.notify()
        return alarm

    def _push(self, alarm: Alarm, delay_s: float) -> None:
        heapq.heappush(self._heap, (time.monotonic() + delay_s, next(self._count), alarm))

    def _cancel(self, alarm: Alarm) -> None:
        with self._changed:
            alarm.over = True
            # What it would have closed must not live on in the heap until its time has come.
            alarm.action = _nothing
            self._over += 1
            if self._over >= _SWEEP_AT:
                self._heap = [entry for entry in self._heap if not entry[2].over]
                heapq.heapify(self._heap)
                self._over = 0

    def _watch(self) -> None:
        while True:
            with self._changed:
                if self._stopped.is_set():
                    return
                while self._heap and self._heap[0][2].over:
                    heapq.heappop(self._heap)
                wait_s = self._heap[0][0] - time.monotonic() if self._heap else None
                if wait_s is None or wait_s > 0:
                    self._changed.wait(wait_s)
                    continue
                alarm = heapq.heappop(self._heap)[2]
                if alarm.ends_a_wait and -wait_s > _STOOD_STILL_S:
                    self._push(alarm, _MOMENT_S)
                    continue
                alarm.rang = True
                action = alarm.action
            # Closing may itself wait for a gateway that has stopped reading.
            threading.Thread(target=action, name="clusterboot-expire", daemon=True).start()


def _nothing() -> None:
    return
