"""What a host says, gathered up to a limit."""

from __future__ import annotations

# A node that prints without end costs this much memory and not more.
MAX_OUTPUT_BYTES = 16 * 1024 * 1024


class TooMuchError(Exception):
    """A host printed more than it may."""


class Collector:
    """Gathers one stream, up to the limit, and watches for the first and the last word of an answer."""

    def __init__(self, first_word: bytes | None = None, last_word: bytes | None = None) -> None:
        self.data = bytearray()
        self.begun = self.told_all = False
        self._first_word, self._last_word = first_word, last_word

    def __call__(self, data: bytes) -> None:
        """Take what came. Errors: :class:`TooMuchError`."""
        self.data += data
        if len(self.data) > MAX_OUTPUT_BYTES:
            raise TooMuchError
        # Either may have come in two pieces.
        if self._first_word is not None and not self.begun:
            self.begun = self._first_word in self.data[-len(data) - len(self._first_word) :]
        if self._last_word is not None:
            self.told_all |= self._last_word in self.data[-len(data) - len(self._last_word) :]
