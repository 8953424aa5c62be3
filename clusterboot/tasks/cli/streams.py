"""Standard output and standard error that a command outlives: a closed pager, a log on a full disk."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from typing import Any, TextIO

from clusterboot.errors import ClusterbootError


class OutputStream:
    r"""One of the two, written to for as long as somebody takes it; what comes after that is dropped.

    What the terminal's encoding has no character for is written out as ``\u03bb``.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._lost: OSError | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        """Write text; gives its length."""
        encoding = self._stream.encoding or "utf-8"
        try:
            self._stream.write(text.encode(encoding, "backslashreplace").decode(encoding))
        except OSError as problem:
            self._drop(problem)
        return len(text)

    def flush(self) -> None:
        """Hand on what was written."""
        try:
            self._stream.flush()
        except OSError as problem:
            self._drop(problem)

    @property
    def is_lost(self) -> bool:
        """True once something was not taken."""
        return self._lost is not None

    def check(self) -> None:
        """See whether all was taken; a reader that has seen enough, as head(1), is no fault.

        Errors: :class:`ClusterbootError` where something is lost.
        """
        lost, self._lost = self._lost, None
        if lost is not None and not isinstance(lost, BrokenPipeError):
            raise ClusterbootError(
                f"standard output cannot be written: {lost.strerror or lost}",
                remedy="free space, or send it elsewhere",
            )

    def _drop(self, problem: OSError) -> None:
        self._lost = self._lost or problem
        # Python writes out at its end what is still in its buffer: by then it goes nowhere.
        null = os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC)
        os.dup2(null, self._stream.fileno())
        os.close(null)
        with suppress(OSError):
            self._stream.flush()


def standard() -> tuple[OutputStream, OutputStream]:
    """Give standard output and standard error; one that is closed, as after ``>&-``, is the empty device.

    Standard input too is there afterwards. Otherwise the next file that is opened, a log or a
    connection, would get its number, and be written to in its place.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: PTH123, SIM115  # for good
    return OutputStream(sys.stdout), OutputStream(sys.stderr)
