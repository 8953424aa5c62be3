"""Deadlines that hold: one thread ends every wait that has lasted too long.

Paramiko's own time limits miss several waits (a reply to ``exec``, an opening channel) and
start anew with every byte of others. So each wait runs under a limit whose end closes the
thing that is waited on; the wait then fails by itself, at once.
"""

from __future__ import annotations

import heapq
import itertools
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any


@dataclass
class Limit:
    """One wait under a deadline: how long it was given, and whether that ran out."""

    timeout_s: float
    at_s: float
    close: Callable[[], Any]
    expired: bool = False
    over: bool = False


class Watchdog:
    """Ends waits that have run into their deadline, or into the whole command's.

    Parameters: ``deadline_s`` is the time that the command has from now on, ``None`` for
    no limit. Start-up is free: the thread starts with the first limit.
    """

    def __init__(self, deadline_s: float | None = None) -> None:
        self._end_s = time.monotonic() + deadline_s if deadline_s is not None else None
        self._heap: list[tuple[float, int, Limit]] = []
        self._count = itertools.count()
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._closed = False

    @property
    def out_of_time(self) -> bool:
        """True once the whole command's deadline has passed."""
        return self._end_s is not None and time.monotonic() >= self._end_s

    def allow_s(self, timeout_s: float) -> float:
        """Cut a wait of ``timeout_s`` to what the command's deadline leaves, at least 0 seconds."""
        if self._end_s is None:
            return timeout_s
        return max(0.0, min(timeout_s, self._end_s - time.monotonic()))

    @contextmanager
    def limit(self, timeout_s: float, close: Callable[[], Any]) -> Iterator[Limit]:
        """Run a block under a deadline; at its end ``close`` is called, in a thread of its own.

        The block is expected to fail when that happens; ``expired`` then says why.
        """
        allowed_s = self.allow_s(timeout_s)
        limit = Limit(allowed_s, time.monotonic() + allowed_s, close)
        with self._changed:
            heapq.heappush(self._heap, (limit.at_s, next(self._count), limit))
            if self._thread is None:
                self._thread = threading.Thread(target=self._watch, name="clusterboot-watchdog", daemon=True)
                self._thread.start()
            elif self._heap[0][2] is limit:
                self._changed.notify()
        try:
            yield limit
        finally:
            with self._changed:
                limit.over = True

    def stop(self) -> None:
        """End the thread; limits that are still running are not enforced any more."""
        with self._changed:
            self._closed = True
            self._changed.notify()
            thread = self._thread
        if thread is not None:
            thread.join()

    def _watch(self) -> None:
        while True:
            with self._changed:
                while self._heap and self._heap[0][2].over:
                    heapq.heappop(self._heap)
                if self._closed:
                    return
                wait_s = self._heap[0][0] - time.monotonic() if self._heap else None
                if wait_s is None or wait_s > 0:
                    self._changed.wait(wait_s)
                    continue
                limit = heapq.heappop(self._heap)[2]
                limit.expired = True
            # Closing may itself wait for a gateway that has stopped reading.
            threading.Thread(target=limit.close, name="clusterboot-expire", daemon=True).start()
