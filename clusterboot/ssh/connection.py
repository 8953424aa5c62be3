"""Fabric's connection, tamed: pinned, and never waiting without end."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from contextlib import contextmanager, suppress
from typing import Any

import fabric
import paramiko

from clusterboot.errors import ClusterbootError, UnreachableError
from clusterboot.inventory.cluster import Login

from .audit import AuditLog
from .identity import Identity
from .mux import MuxStream, NotMuxError, StreamRefusedError
from .transport import Doorkeeper
from .unanswered import refused_stream
from .way_in import WayIn

# One configuration for all connections: Fabric reads files and OpenSSH's configuration
# for each otherwise, and clusterboot has resolved all of that already.
_CONFIG = fabric.Config(ssh_config=paramiko.SSHConfig(), lazy=True)

# getaddrinfo(3) says for which names there is nothing to look up.
_NUMERIC = socket.AI_NUMERICHOST | socket.AI_NUMERICSERV

# A gateway that owes an answer for less than this is not blamed for a host's silence.
_LEAST_OWED_S = 1.0
# So long it is waited for before it is blamed, at least and at most.
_SHORTEST_WAIT_S = 0.5
_LONGEST_WAIT_S = 2.0


class PinnedConnection(fabric.Connection):  # type: ignore[misc]
    """A Fabric connection to one machine, opened by clusterboot's own rules.

    Parameters: ``login`` says where and who; ``way`` is the open way to the
    machine before it, ``None`` for one that is dialled directly; ``door`` decides on host
    keys, identities and deadlines.
    """

    # Fabric's context turns unknown attributes into configuration; these are real ones.
    login: Login
    way: WayIn | None
    door: Doorkeeper
    identity: Identity | None = None
    stream: socket.socket | None = None
    closed: bool = False
    # Fabric forgot to declare this one: each connection would write it into the shared
    # configuration, which for a moment is empty then, while other threads read it.
    inline_ssh_env: bool = True

    def __init__(self, login: Login, way: WayIn | None, door: Doorkeeper) -> None:
        super().__init__(
            host=login.hostname,
            user=login.user,
            port=login.port,
            config=_CONFIG,
            forward_agent=False,
        )
        # Fabric's client would believe any key. It is never asked, and refuses if it were.
        self.client.set_missing_host_key_policy(paramiko.RejectPolicy())
        self._set(login=login, way=way, door=door, identity=None, stream=None, closed=False)

    def __setattr__(self, key: str, value: Any) -> None:
        # All attributes are real ones; to look that up each time is half a connection's cost.
        object.__setattr__(self, key, value)

    def open(self) -> None:
        """Connect, check the host key and log in; nothing to do where that was done.

        Errors: :class:`UnreachableError` and :class:`clusterboot.errors.TrustError`, each
        with host, stage, cause and remedy.
        """
        if self.is_connected:
            return
        sock = self._dial_through(self.way) if self.way is not None else self._dial()
        self._hold(sock)
        transport, identity = self.door.admit(sock, self.login)
        self._set(transport=transport, identity=identity)

    def close(self) -> None:
        """Close the connection and all that runs on it; one that is being opened fails to."""
        self._set(closed=True)
        if self.transport is not None:
            self.transport.close()
        elif self.stream is not None:
            _cut(self.stream)

    def _hold(self, sock: socket.socket) -> None:
        # In this order, so that close() either sees the stream or is seen here.
        self._set(stream=sock)
        if self.closed:
            _cut(sock)

    @property
    def before(self) -> WayIn | None:
        """The way that this connection runs through."""
        return self.way

    @property
    def login_key(self) -> str | None:
        """The fingerprint of the key that the machine took."""
        return self.identity.fingerprint if self.identity else None

    @property
    def ways(self) -> tuple[WayIn, ...]:
        """The ways that this connection runs through, the outermost first."""
        ways: list[WayIn] = []
        way = self.way
        while way is not None:
            ways.insert(0, way)
            way = way.before
        return tuple(ways)

    @contextmanager
    def asking_gateways(self, timeout_s: float) -> Iterator[None]:
        """Run a block that may wait for ``timeout_s``; half-way, ask the gateways for a sign of life.

        So that at its end :meth:`blame_gateway` knows whose silence it was.
        """
        ways = self.ways
        if not ways:
            yield
            return

        def ask() -> None:
            for way in ways:
                way.ping()

        with self.door.watchdog.alarm(timeout_s / 2, ask):
            yield

    def blame_gateway(self, waited_s: float) -> None:
        """Raise what is wrong with the way here: the first gateway that is lost or owes an answer.

        A gateway that owes an answer for a good part of ``waited_s`` is closed, so that all hosts
        behind it fail alike. One that owes it only just now is given a moment more: hosts that
        waited for different times would otherwise say different things of it.
        """
        owed_s = max(0.4 * waited_s, _LEAST_OWED_S)
        if self.door.watchdog.out_of_time:
            owed_s = min(owed_s, _LONGEST_WAIT_S)
        for way in self.ways:
            wait_s = owed_s - way.unanswered_s
            # Never without a look at what has come meanwhile: this machine may have been the slow one.
            way.stands(min(max(wait_s, _SHORTEST_WAIT_S), _LONGEST_WAIT_S))
            if way.unanswered_s >= owed_s:
                way.give_up()
            if not way.is_connected:
                raise gateway_lost(way)

    def _dial(self) -> socket.socket:
        login, watchdog = self.login, self.door.watchdog
        addresses = self._resolve()
        timeout_s = self.door.timeouts.connect_s
        end_s = time.monotonic() + watchdog.allow_s(timeout_s)
        problem: OSError | None = None
        for number, (family, kind, protocol, _, address) in enumerate(addresses):
            # All addresses share one deadline, so that one that swallows packets leaves time for the next.
            share_s = (end_s - time.monotonic()) / (len(addresses) - number)
            sock = socket.socket(family, kind, protocol)
            self._hold(sock)
            try:
                sock.settimeout(max(share_s, 0.001))
                sock.connect(address)
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            except OSError as error:
                sock.close()
                problem = error
            else:
                return sock
        words = f"no answer {watchdog.late(timeout_s).words}" if isinstance(problem, TimeoutError) else ""
        words = words or (problem.strerror if problem and problem.strerror else "no address")
        raise UnreachableError(
            f"cannot connect to port {login.port}: {words}",
            host=login.place,
            stage="connect",
            remedy="check address, port, firewall, and that sshd runs there",
        )

    def _resolve(self) -> list[Any]:
        login, watchdog = self.login, self.door.watchdog
        with suppress(OSError, UnicodeError):
            return socket.getaddrinfo(login.hostname, login.port, type=socket.SOCK_STREAM, flags=_NUMERIC)
        timeout_s = self.door.timeouts.resolve_s
        try:
            return _in_thread(
                lambda: socket.getaddrinfo(login.hostname, login.port, type=socket.SOCK_STREAM)
            ).result(watchdog.allow_s(timeout_s))
        except FutureTimeoutError:
            cause = f"the name server did not answer {watchdog.late(timeout_s).words}"
        except (OSError, UnicodeError) as error:
            cause = f"the name does not resolve ({getattr(error, 'strerror', None) or 'no such name'})"
        raise UnreachableError(
            cause,
            host=login.place,
            stage="resolve",
            remedy="check the name, or write an address in the cluster file",
        )

    def _dial_through(self, way: WayIn) -> MuxStream:
        login, watchdog = self.login, self.door.watchdog
        timeout_s = self.door.timeouts.connect_s
        allowed_s = watchdog.allow_s(timeout_s)
        try:
            with self.asking_gateways(allowed_s):
                return way.stream(login.hostname, login.port, allowed_s)
        except StreamRefusedError as refusal:
            raise refused_stream(login, way.login, str(refusal), own=way.is_own) from None
        except (NotMuxError, OSError):
            self.blame_gateway(allowed_s)
        words = watchdog.late(timeout_s).words
        raise UnreachableError(
            f"no answer on port {login.port} {words}, seen from {way.login.place}",
            host=login.place,
            stage="connect",
            remedy="the machine may be down or behind a firewall",
        )


def open_on_record(connection: PinnedConnection | WayIn, audit: AuditLog) -> None:
    """Open a connection or a way in, and write down that it was made, or why not.

    Errors: as :meth:`PinnedConnection.open`; :class:`clusterboot.errors.ClusterbootError` where it
    cannot be written down: the connection is closed then.
    """
    started_s = time.monotonic()
    outcome, key = "interrupted", None
    try:
        connection.open()
        outcome, key = "ok", connection.login_key
    except ClusterbootError as error:
        outcome = f"{error.stage}: {error.cause}"
        raise
    finally:
        before = connection.before
        via = before.login.place if before is not None else None
        seen = connection.host_key if isinstance(connection, WayIn) else None
        try:
            took_s = time.monotonic() - started_s
            audit.connection(connection.login, via, key, outcome, took_s, host_key=seen)
        except ClusterbootError:
            connection.close()
            raise


def gateway_lost(way: WayIn) -> UnreachableError:
    """Say that the connection to a gateway ended, or fell silent, while hosts behind it were in use."""
    silent = way.fell_silent
    return UnreachableError(
        "the gateway does not answer any more" if silent else "the connection to the gateway was lost",
        host=way.login.place,
        stage="gateway",
        remedy="check that the gateway is up, then run the command again",
    )


def _cut(stream: socket.socket) -> None:
    with suppress(OSError):
        # Closing alone would not wake a thread that waits for the socket.
        stream.shutdown(socket.SHUT_RDWR)


def _in_thread(ask: Callable[[], list[Any]]) -> Future[list[Any]]:
    # The resolver knows no time limit of its own and cannot be interrupted; a thread
    # that outlives its welcome is left to end by itself.
    answer: Future[list[Any]] = Future()

    def run() -> None:
        try:
            answer.set_result(ask())
        except Exception as error:
            answer.set_exception(error)

    threading.Thread(target=run, name="clusterboot-resolve", daemon=True).start()
    return answer
