"""Bytes of a file for a script's standard input, sent once the script has asked for them."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator

_CHUNK_BYTES = 256 * 1024


class Payload:
    """A file's bytes, read as they are sent: no more than a piece of them is in memory.

    A shell reads its script ahead; what were sent with it would be lost to the script. So the sender
    waits in :meth:`chunks` until whoever reads the script's output calls :meth:`ask_for` or :meth:`give_up`.

    Parameters: an open file, from whose start so many bytes are read.
    """

    def __init__(self, descriptor: int, size_bytes: int) -> None:
        self._descriptor, self._size_bytes = descriptor, size_bytes
        self._decided = threading.Event()
        self._wanted = False

    def ask_for(self) -> None:
        """Let the bytes go."""
        self._wanted = True
        self._decided.set()

    def give_up(self) -> None:
        """End the wait, and the sending."""
        self._wanted = False
        self._decided.set()

    def chunks(self) -> Iterator[bytes]:
        """Wait until the bytes are wanted, and give them. Errors: ``OSError`` of reading the file."""
        self._decided.wait()
        offset = 0
        while self._wanted and offset < self._size_bytes:
            # Several hosts read the one file, each at its own place.
            chunk = os.pread(self._descriptor, min(_CHUNK_BYTES, self._size_bytes - offset), offset)
            if not chunk:
                return
            yield chunk
            offset += len(chunk)
