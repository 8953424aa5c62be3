"""What a session with a node can do, and a way to nodes, whatever carries them: SSH, or a local shell."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from typing import Protocol, TypeVar

from clusterboot.errors import ClusterbootError, Stage
from clusterboot.inventory.cluster import Host, Login
from clusterboot.inventory.nodesource import NodeSource

from .lines import OnLine
from .payload import Payload
from .question import Question
from .watchdog import Watchdog

T = TypeVar("T")

# Takes the bytes of a stream, as they come.
OnBytes = Callable[[bytes], None]
# Gives what is sent to the host with the next sign of life, which may be nothing.
Beat = Callable[[], bytes]


class Session(Protocol):
    """An open way to run scripts on one host; ``name`` is the host's in the cluster file."""

    name: str

    @property
    def host_key_blob(self) -> bytes:
        """The plain host key, in wire form, that the host proved to have."""

    def ask(self, question: Question[T], on_line: OnLine | None = None) -> T:
        """Run the question's script on the host, wait for the whole reply, and read it.

        With ``on_line`` that gets what sections say, line by line as it comes, in this thread; the
        reply's sections are empty then.
        Errors: :class:`clusterboot.errors.UnreachableError` where the host is lost or time runs out: what
        still runs of the script is killed then; :class:`clusterboot.errors.PartialError` where the reply
        is no reply; what the question's ``parse`` raises.
        """

    def stream(
        self,
        text: bytes,
        on_stdout: OnBytes,
        on_stderr: OnBytes,
        stage: Stage,
        *,
        timeout_s: float | None = None,
        hold_stdin: bool = False,
        beat: Beat | None = None,
        payload: Payload | None = None,
        label: str = "stream",
    ) -> int | None:
        """Feed ``text`` to a shell on the host and pass on what comes back, as it comes.

        Parameters: two callbacks for the bytes of either stream, called in this thread; with
        ``hold_stdin`` the shell's standard input stays open until the command ends, so
        that its end tells the host that the operator is gone; without it, the shell's
        processes are killed at the deadline. With ``beat``, what that gives is sent once a
        second, and a host that falls silent is given up. With ``payload`` its bytes follow the
        text once they are asked for, and standard input is closed behind them.
        Returns: the exit status, ``None`` where a signal ended the shell.
        Errors: as :meth:`ask`.
        """

    def beside(self) -> AbstractContextManager[Session]:
        """Hold a second session for a block, to use while this one is running something."""

    def log_in_afresh(self) -> None:
        """Log in to the host once more, as the operator does, and leave again.

        Errors: as opening any session.
        """

    def abort(self) -> None:
        """End what runs on the host just now, as at a deadline; nothing to do where nothing runs."""


class Nodes(Protocol):
    """A way to the hosts of a cluster: sessions that are opened when they are first used, and kept.

    ``source`` knows which hosts it leads to; ``watchdog`` ends what takes too long. What made it closes it.
    """

    source: NodeSource
    watchdog: Watchdog

    def each(
        self,
        hosts: Iterable[Host],
        work: Callable[[Session], T],
        on_done: Callable[[Host, T | ClusterbootError], None] | None = None,
    ) -> dict[str, T | ClusterbootError]:
        """Do ``work`` on every host, many at a time; no host's failure stops another.

        Parameters: the hosts; what to do with each session, called in worker threads;
        ``on_done`` is told each outcome, in this thread, as it comes.
        Returns: by host name, what ``work`` returned or the error that ended it, in the
        order of ``hosts``.
        """

    def session(self, host: Host) -> Session:
        """Give the host's open session, opening it if need be.

        Errors: what opening it raises.
        """

    def host_keys(self, login: Login) -> tuple[bytes, ...]:
        """Give the plain host keys, in wire form, that are known of ``login``'s machine."""
