"""What is done on an open connection: one framed script a stage, or one long stream."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from typing import TypeVar

import paramiko

from clusterboot.errors import ClusterbootError, Stage, UnreachableError
from clusterboot.nodes.asking import Asking
from clusterboot.nodes.collector import Collector, TooMuchError
from clusterboot.nodes.lines import OnLine
from clusterboot.nodes.payload import Payload
from clusterboot.nodes.question import Question
from clusterboot.nodes.script import REMOTE_COMMAND
from clusterboot.nodes.sessions import Beat, OnBytes
from clusterboot.nodes.watchdog import DeadlineError

from . import retry
from .audit import AuditLog
from .connection import PinnedConnection, open_on_record
from .guard import guarding
from .heartbeat import heartbeat
from .pump import feed, pump
from .unanswered import lost, nothing_begun, refused_session, silent, too_much
from .wire import ChannelRefusedError, PinnedTransport

T = TypeVar("T")


class SshSession:
    """An open, pinned connection to one host, and the ways of using it.

    It is a :class:`clusterboot.nodes.sessions.Session`.

    Parameters: ``name`` is the host's in the cluster file; ``connection`` is open.
    """

    def __init__(self, name: str, connection: PinnedConnection, audit: AuditLog) -> None:
        self.name = name
        self.connection = connection
        self._audit = audit
        self._running: tuple[paramiko.Channel, bool] | None = None
        self._beside = False

    @property
    def host_key_blob(self) -> bytes:
        """The plain host key that the key exchange proved, in wire form."""
        return self.connection.door.trust.proven_key(self.connection.transport.host_key_blob)

    def ask(self, question: Question[T], on_line: OnLine | None = None) -> T:
        """Run the question's script and read the whole reply.

        At the deadline what still runs of it is killed; also where the line is cut by then, or the
        operator gone (``guard.sh``).
        """
        asking = Asking(question, on_line)
        code = self._converse(
            asking.script,
            (asking.stdout, asking.stderr),
            question.stage,
            question.timeout_s,
            guarded=asking.stdout,
            label=question.on_record,
            whole=question.whole,
        )
        return asking.answer(self.name, code)

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
        """Feed ``text`` to a shell on the host and pass on what comes back, as it comes."""
        return self._converse(
            text,
            (on_stdout, on_stderr),
            stage,
            timeout_s,
            hold_stdin=hold_stdin,
            label=label,
            beat=beat,
            payload=payload,
        )

    @contextmanager
    def beside(self) -> Iterator[SshSession]:
        """Hold a second session for a block, to use while this one is running something.

        It is on this connection, or on one of its own where sshd allows one session a connection.
        """
        second = SshSession(self.name, self.connection, self._audit)
        second._beside = True
        try:
            yield second
        finally:
            if second.connection is not self.connection:
                second.connection.close()

    def log_in_afresh(self) -> None:
        """Log in to the host once more, as the operator does, and leave again; that is on record too.

        Errors: as opening any connection.
        """
        self._another_connection().close()

    @property
    def is_running(self) -> bool:
        """True while something runs on the host."""
        return self._running is not None

    def abort(self) -> None:
        """End what runs on the host just now, as at a deadline; nothing to do where nothing runs."""
        running = self._running
        if running is not None:
            self._end(*running)

    def _converse(
        self,
        text: bytes,
        receivers: tuple[OnBytes, OnBytes],
        stage: Stage,
        timeout_s: float | None,
        *,
        label: str,
        hold_stdin: bool = True,
        guarded: Collector | None = None,
        beat: Beat | None = None,
        payload: Payload | None = None,
        whole: bool = True,
    ) -> int | None:
        self._audit.ready()
        connection, watchdog = self.connection, self.connection.door.watchdog
        allowed_s = connection.door.timeouts.command_s if timeout_s is None else timeout_s
        if not whole:
            allowed_s = watchdog.share_s(allowed_s)
        started_s = time.monotonic()
        code: int | None = None
        # What receives a file takes away its part of it when the line ends.
        kill = guarded is not None or not (hold_stdin or payload is not None)
        try:
            with self._channel(kill=kill) as channel:
                left_s = watchdog.allow_s(allowed_s)
                guard = guarding(watchdog, channel, guarded, left_s) if guarded else nullcontext()
                with (
                    watchdog.limit(allowed_s, self.abort),
                    connection.asking_gateways(left_s),
                    guard,
                    heartbeat(channel, connection, beat),
                ):
                    feed(channel, text, hold_stdin=hold_stdin, payload=payload)
                    ended = pump(channel, *receivers)
                    if ended:
                        channel.status_event.wait()
                if channel.exit_status >= 0:
                    code = channel.exit_status
        except DeadlineError as late:
            begun = guarded is None or guarded.begun
            raise self._timed_out(stage, time.monotonic() - started_s, late, begun=begun) from None
        except ClusterbootError:
            # Some of them are ConnectionErrors as well, and not to be taken for paramiko's.
            raise
        except (paramiko.SSHException, EOFError, OSError):
            raise lost(self.name, stage) from None
        except TooMuchError:
            raise too_much(self.name, stage) from None
        finally:
            if payload is not None:
                payload.give_up()
            self._audit.command(connection.login, self.name, label, code, time.monotonic() - started_s)
        if code is None and not connection.is_connected:
            raise lost(self.name, stage)
        return code

    @contextmanager
    def _channel(self, *, kill: bool) -> Iterator[paramiko.Channel]:
        """Hold a shell's channel for a block; what is left of it at the end is ended."""
        channel = self._open_channel()
        self._running = (channel, kill)
        try:
            yield channel
        except DeadlineError:
            # The watchdog's thread is at it.
            raise
        except BaseException:
            self.abort()
            raise
        else:
            channel.close()
        finally:
            self._running = None

    def _open_channel(self) -> paramiko.Channel:
        watchdog, timeout_s = self.connection.door.watchdog, self.connection.door.timeouts.channel_s
        tries, started_s = 0, time.monotonic()
        try:
            with (
                watchdog.limit(timeout_s, self.connection.close),
                self.connection.asking_gateways(watchdog.allow_s(timeout_s)),
            ):
                while True:
                    tries += 1
                    try:
                        return self._try_channel(timeout_s)
                    except retry.TurnedAwayError as refusal:
                        if self._beside:
                            # What the other session does may take hours: no pause is long enough.
                            break
                        pause_s = retry.pause_s(refusal, tries)
                        # A refusal says more than a deadline: none is waited for in its place.
                        left_s = 0.8 * timeout_s - (time.monotonic() - started_s)
                        if pause_s is None or pause_s > left_s or not watchdog.rest(pause_s):
                            raise
        except DeadlineError as late:
            raise self._timed_out("channel", time.monotonic() - started_s, late) from None
        self._beside = False
        self.connection = self._another_connection()
        return self._open_channel()

    def _another_connection(self) -> PinnedConnection:
        old = self.connection
        fresh = PinnedConnection(old.login, old.way, old.door)
        open_on_record(fresh, self._audit)
        return fresh

    def _try_channel(self, timeout_s: float) -> paramiko.Channel:
        transport: PinnedTransport = self.connection.transport
        channel: paramiko.Channel | None = None
        try:
            channel = transport.open_within("session", 2 * timeout_s)
            channel.exec_command(REMOTE_COMMAND)
        except ChannelRefusedError as refusal:
            raise refused_session(self.name, refusal) from None
        except (paramiko.SSHException, EOFError, OSError):
            if not transport.is_active() or channel is None:
                raise lost(self.name, "channel") from None
            raise UnreachableError(
                "sshd opened a session and refused to run a command in it",
                host=self.name,
                stage="channel",
                remedy="look at ForceCommand, ChrootDirectory and the login shell there",
            ) from None
        return channel

    def _end(self, channel: paramiko.Channel, kill: bool) -> None:
        """End a channel, and with ``kill`` the process group behind it: sshd itself only closes its pipes."""
        transport: PinnedTransport = self.connection.transport
        if not transport.can_send:
            # Nothing would get through, and trying would wait for somebody who has stopped reading.
            self.connection.close()
            return
        with suppress(paramiko.SSHException, EOFError, OSError):
            if kill and not channel.closed:
                transport.send_signal(channel, "KILL")
            channel.close()

    def _timed_out(
        self, stage: Stage, waited_s: float, late: DeadlineError, *, begun: bool = True
    ) -> ClusterbootError:
        self.connection.blame_gateway(waited_s)
        if not begun:
            return nothing_begun(self.name, late)
        return silent(self.name, stage, late)
