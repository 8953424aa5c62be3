"""Questions of many threads, one a node, gathered so that they are asked in one step."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any

from clusterboot.errors import ClusterbootError
from clusterboot.nodes.lines import OnLine
from clusterboot.nodes.question import Question


class Pending:
    """A question to a node that waits for its step; ``outcome`` is the answer, or the error in its place."""

    def __init__(self, name: str, question: Question[Any], on_line: OnLine | None) -> None:
        self.name, self.question, self.on_line = name, question, on_line
        self.outcome: Any = None
        self.done = threading.Event()

    def settle(self) -> Any:
        """Give the answer. Errors: the one in its place."""
        if isinstance(self.outcome, BaseException):
            raise self.outcome
        return self.outcome


class Gathering:
    """The threads of one stage. Once each of them waits for an answer, or has ended, all are answered.

    Parameters: what answers a batch, giving each its outcome; how many threads there are.
    """

    def __init__(self, answer: Callable[[Sequence[Pending]], None], threads: int) -> None:
        self._answer = answer
        self._busy = threads
        self._waiting: list[Pending] = []
        self._lock = threading.Lock()

    def ask(self, pending: Pending) -> Any:
        """Wait for an answer together with the others."""
        with self._lock:
            self._waiting.append(pending)
        self.leave()
        pending.done.wait()
        return pending.settle()

    def leave(self) -> None:
        """Be waited for no more: this thread has ended, or does what may take as long as all others."""
        with self._lock:
            self._busy -= 1
            batch = self._waiting if self._busy == 0 else []
            if batch:
                self._waiting = []
        if batch:
            self._run(batch)

    def join(self) -> None:
        """Be waited for again."""
        with self._lock:
            self._busy += 1

    def _run(self, batch: Sequence[Pending]) -> None:
        try:
            self._answer(batch)
        except BaseException as fault:
            error = fault if isinstance(fault, ClusterbootError | Exception) else RuntimeError("interrupted")
            for pending in batch:
                pending.outcome = error
        # All at once: who is quick with its next question would be asked alone otherwise.
        with self._lock:
            self._busy += len(batch)
        for pending in batch:
            pending.done.set()
