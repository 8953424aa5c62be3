"""What a flow says while it is at work; who listens is the caller's matter."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Protocol

from clusterboot.errors import HostKeySeen, Status

if TYPE_CHECKING:
    from clusterboot.programs.records import Row


class Events(Protocol):
    """A listener. Every call comes from the flow's own thread."""

    def stage(self, title: str, count: int) -> None:
        """Tell that a stage begins on so many hosts, or with so many logins; the one before has ended."""

    def done(self, status: Status, count: int = 1) -> None:
        """Tell what became of one of them, or of several alike."""

    def note(self, line: str) -> None:
        """Say something that a person should read, in one line."""

    def bench(self, what: str) -> None:
        """Tell that a benchmark starts: what runs, and over what."""

    def row(self, collective: str, row: Row) -> None:
        """Give a benchmark's row as soon as it is there."""

    def ask(self, unknown: Sequence[HostKeySeen]) -> bool:
        """Show unknown host keys and ask once whether they are taken; false where nobody answers."""

    def aside(self) -> AbstractContextManager[object]:
        """Keep the terminal free for a block, in which ``ssh`` may ask a person there."""

    def told(self, line: str) -> None:
        """Show what a server has for the person who logs in to it; this comes from any thread."""


class Silence:
    """The listener that says nothing, and takes no unknown key."""

    def stage(self, title: str, count: int) -> None:
        """Pass."""

    def done(self, status: Status, count: int = 1) -> None:
        """Pass."""

    def note(self, line: str) -> None:
        """Pass."""

    def bench(self, what: str) -> None:
        """Pass."""

    def row(self, collective: str, row: Row) -> None:
        """Pass."""

    def ask(self, unknown: Sequence[HostKeySeen]) -> bool:  # noqa: ARG002
        """Take none."""
        return False

    def aside(self) -> AbstractContextManager[object]:
        """Pass."""
        return nullcontext()

    def told(self, line: str) -> None:
        """Pass."""
