"""What is done on an open connection: one framed script a stage, or one long stream."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import paramiko

from clusterboot.connect import script
from clusterboot.connect.audit import AuditLog
from clusterboot.connect.connection import PinnedConnection
from clusterboot.connect.script import Answer, Section
from clusterboot.connect.watchdog import Limit
from clusterboot.errors import ClusterbootError, PartialError, Stage, UnreachableError
from clusterboot.printable import one_line

# A node that prints without end costs this much memory and not more.
MAX_OUTPUT_BYTES = 32 * 1024 * 1024
# OpenSSH's initial window of a session channel; a script below it is sent without waiting.
_SAFE_WRITE_BYTES = 1024 * 1024


@dataclass(frozen=True)
class Clock:
    """The operator's clock just before a script was sent and just after its answer came, in seconds."""

    sent_at_s: float
    received_at_s: float


@dataclass(frozen=True)
class ScriptResult:
    """A script's answer, what it wrote to standard error, and when."""

    answer: Answer
    stderr: bytes
    clock: Clock


class Session:
    """An open, pinned connection to one host, and the ways of using it.

    Parameters: ``name`` is the host's in the cluster file; ``connection`` is open.
    """

    def __init__(self, name: str, connection: PinnedConnection, audit: AuditLog) -> None:
        self.name = name
        self.connection = connection
        self._audit = audit

    @property
    def host_key_blob(self) -> bytes:
        """The plain host key that the key exchange proved, in wire form."""
        return self.connection.door.trust.proven_key(self.connection.transport.host_key_blob)

    def run(self, sections: Sequence[Section], stage: Stage, timeout_s: float | None = None) -> ScriptResult:
        """Run one framed script and wait for its whole answer.

        Parameters: the script's sections; the stage that failures are reported under; a
        deadline in seconds, else the one for commands.
        Errors: :class:`UnreachableError` where the connection ends or time runs out,
        :class:`PartialError` where the answer is no answer.
        """
        nonce = script.new_nonce()
        text = script.render(sections, nonce).encode()
        stdout, stderr = bytearray(), bytearray()
        sent_at_s = time.time()
        label = ",".join(section.name for section in sections[:4]) + ("…" if len(sections) > 4 else "")
        code = self.stream(
            text, _Collector(stdout), _Collector(stderr), stage, timeout_s=timeout_s, label=f"script {label}"
        )
        clock = Clock(sent_at_s, time.time())
        answer = script.read(bytes(stdout), nonce)
        if not answer.complete:
            raise _cut_off(self.name, stage, code, answer, bytes(stderr))
        return ScriptResult(answer, bytes(stderr), clock)

    def stream(
        self,
        text: bytes,
        on_stdout: Callable[[bytes], None],
        on_stderr: Callable[[bytes], None],
        stage: Stage,
        *,
        timeout_s: float | None = None,
        hold_stdin: bool = False,
        label: str = "stream",
    ) -> int | None:
        """Feed ``text`` to a shell on the host and pass on what comes back, as it comes.

        Parameters: two callbacks for the bytes of either stream, called in this thread; with
        ``hold_stdin`` the shell's standard input stays open until the command ends, so
        that its end tells the host that the operator is gone.
        Returns: the exit status, ``None`` where a signal ended the shell.
        Errors: as :meth:`run`.
        """
        door = self.connection.door
        started_s = time.monotonic()
        code: int | None = None
        channel: paramiko.Channel | None = None
        try:
            with door.watchdog.limit(door.timeouts.channel_s, self.connection.close) as limit:
                channel = self.connection.create_session()
                channel.exec_command(script.REMOTE_COMMAND)
            with door.watchdog.limit(timeout_s or door.timeouts.command_s, channel.close) as limit:
                self._feed(channel, text, hold_stdin=hold_stdin)
                _pump(channel, on_stdout, on_stderr)
                channel.status_event.wait()
                code = channel.exit_status if channel.exit_status >= 0 else None
        except (paramiko.SSHException, EOFError, OSError) as problem:
            if not limit.expired:
                raise self._lost(stage, problem) from None
        except _TooMuchError:
            raise PartialError(
                f"printed more than {MAX_OUTPUT_BYTES >> 20} MiB",
                host=self.name,
                stage=stage,
                remedy="look at the shell's start-up files there",
            ) from None
        finally:
            if channel is not None:
                channel.close()
            self._audit.command(self.connection.login, self.name, label, code, time.monotonic() - started_s)
        if limit.expired:
            raise self._timed_out(stage, limit)
        if code is None and not self.connection.is_connected:
            raise self._lost(stage, None)
        return code

    def _feed(self, channel: paramiko.Channel, text: bytes, *, hold_stdin: bool) -> None:
        def send() -> None:
            try:
                channel.sendall(text)
                if not hold_stdin:
                    channel.shutdown_write()
            except OSError:
                # The other end is gone; reading its output tells why.
                return

        if len(text) <= _SAFE_WRITE_BYTES:
            send()
        else:
            threading.Thread(target=send, name="clusterboot-feed", daemon=True).start()

    def _timed_out(self, stage: Stage, limit: Limit) -> ClusterbootError:
        return UnreachableError(
            f"no answer within {limit.timeout_s:.3g} s",
            host=self.name,
            stage=stage,
            remedy="the machine may be frozen or overloaded; log in there and look",
        )

    def _lost(self, stage: Stage, problem: BaseException | None) -> ClusterbootError:
        if isinstance(problem, paramiko.ChannelException):
            return UnreachableError(
                f"sshd refused a session: {one_line(problem.text)}",
                host=self.name,
                stage="channel",
                remedy="look at MaxSessions and ForceCommand in sshd_config there",
            )
        return UnreachableError(
            "the connection was lost",
            host=self.name,
            stage=stage,
            remedy="check the machine and the way to it, then run the command again",
        )


class _TooMuchError(Exception):
    pass


class _Collector:
    """Gathers one stream, up to the limit."""

    def __init__(self, into: bytearray) -> None:
        self._into = into

    def __call__(self, data: bytes) -> None:
        self._into += data
        if len(self._into) > MAX_OUTPUT_BYTES:
            raise _TooMuchError


def _pump(
    channel: paramiko.Channel, on_stdout: Callable[[bytes], None], on_stderr: Callable[[bytes], None]
) -> None:
    # Both pipes share one event: it is set with data and at the end, cleared by a read
    # that empties a pipe. So after a read both are looked at again before the next wait.
    event = threading.Event()
    channel.in_buffer.set_event(event)
    channel.in_stderr_buffer.set_event(event)
    if channel.in_buffer.read_ready() or channel.eof_received or channel.closed:
        event.set()
    while True:
        event.wait()
        moved = False
        while channel.recv_ready():
            on_stdout(channel.recv(65536))
            moved = True
        while channel.recv_stderr_ready():
            on_stderr(channel.recv_stderr(65536))
            moved = True
        if not moved:
            if channel.eof_received or channel.closed:
                return
            event.clear()
            if channel.recv_ready() or channel.recv_stderr_ready() or channel.eof_received or channel.closed:
                event.set()


def _cut_off(name: str, stage: Stage, code: int | None, answer: Answer, stderr: bytes) -> ClusterbootError:
    words = one_line((answer.noise if not answer.sections else b"") + stderr)
    if not answer.sections:
        return PartialError(
            f"the login shell ended before it ran anything (exit status {code})"
            + (f": {words}" if words else ""),
            host=name,
            stage=stage,
            remedy="look for an exit in the shell's start-up files, a ForceCommand, or nologin there",
        )
    return PartialError(
        f"the script was cut off (exit status {code})" + (f": {words}" if words else ""),
        host=name,
        stage=stage,
        remedy="look at the machine's memory, disk and limits",
    )
