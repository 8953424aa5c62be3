"""Trying again, where a server was too busy to listen; never where it listened and said no."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from clusterboot.errors import Stage, UnreachableError

#: The first pause and those after it, in seconds, where room comes back as soon as another login ends.
SOON_S = (0.2, 0.4, 0.8, 1.6)


class TurnedAwayError(UnreachableError):
    """A server hung up before it heard who we are, or had no room: another try may be let in.

    ``pauses_s`` are the pauses between the tries, in seconds.
    """

    def __init__(
        self,
        cause: str,
        *,
        host: str | None = None,
        stage: Stage | None = None,
        remedy: str | None = None,
        pauses_s: Sequence[float] = SOON_S,
    ) -> None:
        super().__init__(cause, host=host, stage=stage, remedy=remedy)
        self.pauses_s = tuple(pauses_s)


def pause_s(refusal: TurnedAwayError, tries: int) -> float | None:
    """Give the pause before another try, in seconds, so spread that many hosts do not come back as one.

    Parameters: how the last try ended; how many there were. Returns: ``None`` where there is to be no other.
    """
    if tries > len(refusal.pauses_s):
        return None
    # Spread by half of itself either way.
    return refusal.pauses_s[tries - 1] * random.uniform(0.5, 1.5)  # noqa: S311 - spread, not secrecy


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
