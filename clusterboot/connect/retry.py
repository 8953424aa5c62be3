"""Trying again, where a server was too busy to listen; never where it listened and said no."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from clusterboot.errors import UnreachableError

# The first pause and those after it, in seconds; each is spread by half of itself either way.
_PAUSES_S = (0.2, 0.4, 0.8, 1.6)


class TurnedAwayError(UnreachableError):
    """A server hung up before it heard who we are, or had no room: another try may be let in."""


def pauses_s() -> Iterator[float]:
    """Yield the pauses between tries, in seconds, so spread that many hosts do not come back as one."""
    for pause_s in _PAUSES_S:
        yield pause_s * random.uniform(0.5, 1.5)  # noqa: S311 - spread, not secrecy


class Throttle:
    """How many logins may be under way at once.

    It is halved whenever a server turns one away, and grows by one with each that succeeds, as
    TCP treats a congested path (RFC 5681). Parameters: ``width`` is the most there may be.
    """

    def __init__(self, width: int) -> None:
        self._most = self.width = width
        self._busy = 0
        self._changed = threading.Condition()

    @contextmanager
    def place(self) -> Iterator[None]:
        """Hold one of the places for a block; waits for one to be free."""
        with self._changed:
            self._changed.wait_for(lambda: self._busy < self.width)
            self._busy += 1
        try:
            yield
        finally:
            with self._changed:
                self._busy -= 1
                self._changed.notify()

    def turned_away(self) -> None:
        """Note that a server pushed back."""
        with self._changed:
            self.width = max(1, self.width // 2)

    def let_in(self) -> None:
        """Note that a login succeeded."""
        if self.width < self._most:
            with self._changed:
                self.width = min(self._most, self.width + 1)
                self._changed.notify()
