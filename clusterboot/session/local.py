"""The way to nodes that are homes on this machine: a node's scripts run in a local ``sh``, as a plain user.

Every command does its work on a node by scripts that it sends, so all of it can be tried here without
a login, without root and without a lab. What only sshd, mpirun or another kernel can show, it cannot.
"""

from __future__ import annotations

import os
import selectors
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from clusterboot.errors import ClusterbootError, Stage, UnreachableError
from clusterboot.inventory.cluster import Host, Login
from clusterboot.inventory.nodesource import ListedHosts, NodeSource
from clusterboot.nodes.asking import Asking
from clusterboot.nodes.collector import TooMuchError
from clusterboot.nodes.fanout import on_hosts
from clusterboot.nodes.lines import OnLine
from clusterboot.nodes.payload import Payload
from clusterboot.nodes.question import Question
from clusterboot.nodes.sessions import Beat, Nodes, OnBytes, Session
from clusterboot.nodes.watchdog import DeadlineError, Watchdog
from clusterboot.ssh.audit import AuditLog
from clusterboot.ssh.heartbeat import BEAT_S
from clusterboot.ssh.transport import Timeouts
from clusterboot.ssh.unanswered import silent, too_much

if TYPE_CHECKING:
    from .context import Context

T = TypeVar("T")
# After a shell has ended, its jobs may hold its output open: so long they are listened to.
_AFTER_S = 0.5


@dataclass(frozen=True)
class LocalHome:
    """A node that is a folder: its home, the host key that it is to have, and what its environment has.

    ``env`` is all that a script finds set besides ``HOME``.
    """

    path: Path
    host_key: bytes = b""
    env: Mapping[str, str] = field(default_factory=lambda: {"PATH": os.defpath})


class LocalSession:
    """A node's scripts in a local shell; it is a :class:`clusterboot.nodes.sessions.Session`.

    Parameters: the host; its home; what ends waits; where commands are put on record.
    """

    def __init__(self, host: Host, home: LocalHome, watchdog: Watchdog, audit: AuditLog) -> None:
        self.name = host.name
        self._host, self._home, self._watchdog, self._audit = host, home, watchdog, audit
        self._running: subprocess.Popen[bytes] | None = None

    @property
    def host_key_blob(self) -> bytes:
        """The home's own host key."""
        return self._home.host_key

    def ask(self, question: Question[T], on_line: OnLine | None = None) -> T:
        """Run the question's script and read the whole reply."""
        asking = Asking(question, on_line)
        timeout_s = Timeouts.command_s if question.timeout_s is None else question.timeout_s
        timeout_s = timeout_s if question.whole else self._watchdog.share_s(timeout_s)
        receivers = (asking.stdout, asking.stderr)
        code = self._converse(
            asking.script, receivers, question.stage, timeout_s, label=question.on_record, hold_stdin=True
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
        """Feed ``text`` to a shell and pass on what comes back, as it comes."""
        allowed_s = Timeouts.command_s if timeout_s is None else timeout_s
        receivers = (on_stdout, on_stderr)
        return self._converse(
            text,
            receivers,
            stage,
            allowed_s,
            label=label,
            hold_stdin=hold_stdin,
            beat=beat,
            payload=payload,
        )

    @contextmanager
    def beside(self) -> Iterator[Session]:
        """Hold a second session in the same home for a block."""
        yield LocalSession(self._host, self._home, self._watchdog, self._audit)

    def log_in_afresh(self) -> None:
        """Do nothing: a local shell needs no login."""

    def abort(self) -> None:
        """Kill what runs, with all that it started."""
        if self._running is not None:
            with suppress(ProcessLookupError):
                os.killpg(self._running.pid, signal.SIGKILL)

    def _converse(
        self,
        text: bytes,
        receivers: tuple[OnBytes, OnBytes],
        stage: Stage,
        timeout_s: float,
        *,
        label: str,
        hold_stdin: bool,
        beat: Beat | None = None,
        payload: Payload | None = None,
    ) -> int | None:
        self._audit.ready()
        started_s, code = time.monotonic(), None
        try:
            with self._shell() as shell, self._watchdog.limit(timeout_s, self.abort):
                supplied = (shell, text, hold_stdin, beat, payload)
                threading.Thread(target=_feed, args=supplied, daemon=True).start()
                _pass_on(shell, receivers)
                code = shell.wait()
        except DeadlineError as late:
            raise silent(self.name, stage, late) from None
        except TooMuchError:
            raise too_much(self.name, stage) from None
        finally:
            if payload is not None:
                payload.give_up()
            duration_s = time.monotonic() - started_s
            self._audit.command(self._host.login, self.name, label, code, duration_s)
        return code if code >= 0 else None

    @contextmanager
    def _shell(self) -> Iterator[subprocess.Popen[bytes]]:
        with subprocess.Popen(
            ["/bin/sh", "-s"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=self._home.path,
            env={**self._home.env, "HOME": str(self._home.path)},
            # A process group of its own, as sshd gives each command.
            start_new_session=True,
        ) as shell:
            self._running = shell
            try:
                yield shell
            except BaseException:
                self.abort()
                raise
            finally:
                self._running = None
                # What a shell that has ended did not read is nobody's any more.
                with suppress(BrokenPipeError):
                    shell.stdin.close()  # type: ignore[union-attr]  # it was asked for


class LocalNodes:
    """Sessions in homes on this machine; it is a :class:`clusterboot.nodes.sessions.Nodes`."""

    def __init__(
        self,
        homes: Mapping[str, LocalHome],
        watchdog: Watchdog,
        audit: AuditLog,
        fanout: int,
        source: NodeSource,
    ) -> None:
        self.source = source
        self.watchdog = watchdog
        self._homes, self._audit, self._fanout = homes, audit, fanout
        self._sessions: dict[str, LocalSession] = {}

    def each(
        self,
        hosts: Iterable[Host],
        work: Callable[[Session], T],
        on_done: Callable[[Host, T | ClusterbootError], None] | None = None,
    ) -> dict[str, T | ClusterbootError]:
        """Do ``work`` on every host, many at a time; no host's failure stops another."""
        return on_hosts(
            hosts,
            lambda host: work(self.session(host)),
            on_done,
            fanout=self._fanout,
            interrupted=self.close,
        )

    def session(self, host: Host) -> LocalSession:
        """Give the host's session.

        Errors: :class:`UnreachableError` where it has no home.
        """
        return self._open(host, LocalSession)

    def _open(self, host: Host, kind: type[LocalSession]) -> LocalSession:
        home = self._homes.get(host.name)
        if home is None or not home.path.is_dir():
            raise UnreachableError(
                "it has no home on this machine",
                host=host.name,
                stage="connect",
                remedy="make one, or exclude it",
            )
        return self._sessions.setdefault(host.name, kind(host, home, self.watchdog, self._audit))

    def host_keys(self, login: Login) -> tuple[bytes, ...]:
        """Give the key of the home that is dialled by ``login``'s name."""
        home = self._homes.get(login.hostname)
        return (home.host_key,) if home else ()

    def close(self) -> None:
        """End what still runs, and all waits."""
        self.watchdog.stop()
        for session in list(self._sessions.values()):
            session.abort()


def locally(homes: Mapping[str, LocalHome]) -> Callable[[Context], AbstractContextManager[Nodes]]:
    """Make what a :class:`Context` opens its way with: to hosts that are these homes, by their names."""

    @contextmanager
    def reach(context: Context) -> Iterator[Nodes]:
        fanout = context.fanout or context.cluster.options.fanout
        source = ListedHosts(context.cluster.hosts)
        with AuditLog(context.state_dir / "audit.jsonl") as audit:
            nodes = LocalNodes(homes, Watchdog(context.deadline_s), audit, fanout, source)
            try:
                yield nodes
            finally:
                nodes.close()

    return reach


def _feed(
    shell: subprocess.Popen[bytes], text: bytes, hold_stdin: bool, beat: Beat | None, payload: Payload | None
) -> None:
    """Write a script, and what ``beat`` gives once a second; a shell that has ended takes nothing."""
    assert shell.stdin is not None  # noqa: S101  # it was asked for
    with suppress(OSError, ValueError):
        shell.stdin.write(text)
        shell.stdin.flush()
        for chunk in payload.chunks() if payload is not None else ():
            shell.stdin.write(chunk)
        if not hold_stdin:
            shell.stdin.close()
        while beat is not None and shell.poll() is None:
            with suppress(subprocess.TimeoutExpired):
                shell.wait(BEAT_S)
            shell.stdin.write(beat())
            shell.stdin.flush()


def _pass_on(shell: subprocess.Popen[bytes], receivers: tuple[OnBytes, OnBytes]) -> None:
    with selectors.DefaultSelector() as selector:
        for pipe, receiver in zip((shell.stdout, shell.stderr), receivers, strict=True):
            assert pipe is not None  # noqa: S101  # it was asked for
            selector.register(pipe, selectors.EVENT_READ, receiver)
        while selector.get_map():
            ready = selector.select(_AFTER_S)
            if not ready and shell.poll() is not None:
                return
            for key, _ in ready:
                data = os.read(key.fd, 65536)
                if data:
                    key.data(data)
                else:
                    selector.unregister(key.fileobj)
