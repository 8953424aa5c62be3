"""The log of a run: whole lines, without secrets, and no more of them than a benchmark prints."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

from clusterboot import files
from clusterboot.errors import ClusterbootError
from clusterboot.scrub import NO_SECRETS, Scrubber

_LONGEST_LINE_BYTES = 64 * 1024
# Some times what NCCL_DEBUG=INFO makes on a thousand ranks. A program that prints for ever gets
# no further, in bytes or, with short lines, in lines.
LONGEST_LOG_BYTES = 32 * 1024 * 1024
LONGEST_LOG_LINES = 500_000
# Of a log without an end only so much is read: it proves nothing, but says what ran.
_READ_OF_FLOOD_BYTES = 128 * 1024


class LineLog:
    """A log file of whole lines from two streams, each as soon as it is complete, without secrets.

    ``scrubber`` takes the secrets out, of the file and of the lines that ``on_line`` gets.
    ``run_ids`` are the launches that it has the output of, each by its run's name.
    ``flooded`` is true once more came than a log may have; what comes then is dropped, as it is
    after :meth:`cut`.
    """

    def __init__(self, path: Path, on_line: Callable[[str], None], scrubber: Scrubber = NO_SECRETS) -> None:
        self.path = path
        self.scrubber = scrubber
        self.flooded = False
        self.run_ids: list[str] = []
        self._on_line = on_line
        self._pending = {"stdout": bytearray(), "stderr": bytearray()}
        self._bytes = self._lines = 0
        self._is_cut = False
        self._moved_s = time.monotonic()

    @property
    def quiet_s(self) -> float:
        """For how many seconds nothing has come."""
        return time.monotonic() - self._moved_s

    def begin(self, run_id: str) -> None:
        """Count the silence from now on: a launch begins."""
        self.run_ids.append(run_id)
        self._moved_s = time.monotonic()

    def feed(self, stream: str, data: bytes) -> None:
        """Take what came on a stream; complete lines are written at once.

        A line without an end is written in pieces, and a log without an end is cut off, so
        that neither memory nor disk is at a program's mercy.
        Errors: :class:`ClusterbootError` where the file cannot be written.
        """
        if not data or self.flooded or self._is_cut:
            return
        self._moved_s = time.monotonic()
        first, *rest = data.split(b"\n")
        self._pending[stream] += first
        if rest:
            lines = [bytes(self._pending[stream]), *rest[:-1]]
            self._pending[stream] = bytearray(rest[-1])
            self._write([line + b"\n" for line in lines], stream)
        elif len(self._pending[stream]) > _LONGEST_LINE_BYTES:
            self._write([bytes(self._pending[stream]) + b"\n"], stream)
            self._pending[stream] = bytearray()

    def cut(self) -> None:
        """Take no more: what a launcher says while it is being ended is not the run's doing."""
        self._is_cut = True
        self._pending = {"stdout": bytearray(), "stderr": bytearray()}

    @property
    def content(self) -> bytes:
        """All that was written so far; of a flood, its beginning."""
        if not self.path.exists():
            return b""
        with self.path.open("rb") as file:
            return file.read(_READ_OF_FLOOD_BYTES) if self.flooded else file.read()

    def close(self) -> None:
        """Write what is left of unfinished lines."""
        for stream, rest in self._pending.items():
            if rest:
                self._write([bytes(rest) + b"\n"], stream)
            self._pending[stream] = bytearray()
        # A key that spans lines is only seen in the whole.
        content = self.path.read_bytes() if self.path.exists() else b""
        if (clean := self.scrubber(content)) != content:
            files.replace(self.path, clean)

    def _write(self, lines: list[bytes], stream: str) -> None:
        text = self.scrubber(b"".join(lines))
        self._bytes += len(text)
        self._lines += len(lines)
        if self._bytes > LONGEST_LOG_BYTES or self._lines > LONGEST_LOG_LINES:
            self.flooded = True
            return
        try:
            with os.fdopen(files.open_to_append(self.path), "ab") as file:
                file.write(text)
        except OSError as problem:
            raise ClusterbootError(
                f"the log {self.path} cannot be written: {problem.strerror}",
                stage="launch",
                remedy="free space there, then run it again",
            ) from None
        if stream == "stdout":
            for line in text.split(b"\n")[:-1]:
                self._on_line(line.decode("utf-8", "replace") + "\n")
