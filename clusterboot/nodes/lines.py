"""What a script says, passed on line by line as it comes, and not kept."""

from __future__ import annotations

from collections.abc import Callable

from .collector import Collector
from .script import first_word, last_word

# Takes each whole line of a question's sections: the name of its stream, and the line without its end.
OnLine = Callable[[str, bytes], None]
# A line that is longer is passed on in pieces.
_LONGEST_BYTES = 64 * 1024


class SectionLines(Collector):
    """Standard output of a framed script: its frame is gathered, what sections say is passed on."""

    def __init__(self, nonce: str, on_line: OnLine) -> None:
        super().__init__(first_word(nonce), last_word(nonce))
        self._mark = f"{nonce} ".encode()
        self._on_line = on_line
        self._rest = b""
        self._empty = 0
        self._inside = False

    def __call__(self, data: bytes) -> None:
        """Take what came. Errors: as of a collector, of what stands outside of sections."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            self._take(line)
        if self._inside and len(self._rest) > _LONGEST_BYTES:
            self._pass_on(self._rest)
            self._rest = b""

    def _take(self, line: bytes) -> None:
        if line.startswith(self._mark):
            # An empty line before a mark belongs to the mark.
            self._empty = 0
            self._inside = line.startswith(self._mark + b"section ")
        if not self._inside or line.startswith(self._mark):
            super().__call__(b"\n" + line + b"\n")
        elif line:
            self._pass_on(line)
        else:
            self._empty += 1

    def _pass_on(self, line: bytes) -> None:
        for _ in range(self._empty):
            self._on_line("stdout", b"")
        self._empty = 0
        self._on_line("stdout", line)


class ErrorLines(Collector):
    """Standard error of a script, passed on."""

    def __init__(self, on_line: OnLine) -> None:
        super().__init__()
        self._on_line = on_line

    def __call__(self, data: bytes) -> None:
        """Take what came."""
        *lines, rest = (bytes(self.data) + data).split(b"\n")
        if len(rest) > _LONGEST_BYTES:
            lines, rest = [*lines, rest], b""
        self.data[:] = rest
        for line in lines:
            self._on_line("stderr", line)

    def end(self) -> None:
        """Pass on a last line without an end."""
        if self.data:
            self._on_line("stderr", bytes(self.data))
            self.data.clear()
