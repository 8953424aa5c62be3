"""All hosts of a cluster at once: gateways opened first and once, then a bounded fan-out."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Sequence
from types import TracebackType
from typing import TypeVar

from clusterboot.errors import ClusterbootError, HostKeySeen, UnreachableError
from clusterboot.inventory.cluster import Host, Login
from clusterboot.nodes.fanout import on_hosts, spread
from clusterboot.nodes.sessions import Session

from .audit import AuditLog
from .connection import PinnedConnection, gateway_lost, open_on_record
from .retry import Throttle, TurnedAwayError, pause_s
from .session import SshSession
from .transport import Doorkeeper
from .trust import UnknownHostKeyError
from .way_in import WayIn

T = TypeVar("T")
C = TypeVar("C", PinnedConnection, WayIn)

# A gateway is asked for a sign of life so many times before it is given up.
_BEATS = 3
# How long what still runs on nodes may take to be told to end, when the fleet is closed.
_ABORT_S = 1.0
# So long a gateway is asked whether it is still there, once a host behind it was lost.
_GATEWAY_PATIENCE_S = 0.5

# Shows all unknown keys at once and says whether the operator takes them.
AskAcceptance = Callable[[Sequence[HostKeySeen]], bool]


class Fleet:
    """Sessions to the hosts of one cluster, opened when they are first used and kept.

    Parameters: ``door`` decides on every login; ``fanout`` is the most hosts at work at
    once; ``ask`` is asked about unknown host keys, once for the gateways of a depth and once for
    the nodes, ``None`` where nobody is there to ask.
    """

    def __init__(
        self, door: Doorkeeper, audit: AuditLog, *, fanout: int, ask: AskAcceptance | None = None
    ) -> None:
        self.door = door
        self.watchdog = door.watchdog
        self.audit = audit
        self._fanout = fanout
        self._ask = ask
        self._throttle = Throttle(fanout)
        self._gateways: dict[tuple[Login, ...], WayIn | ClusterbootError] = {}
        self._sessions: dict[str, SshSession] = {}
        self._open: list[PinnedConnection | WayIn] = []
        self._closed = False
        self._lock = threading.Lock()

    def __enter__(self) -> Fleet:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End what still runs on the nodes, close every connection, and end all waits."""
        with self._lock:
            self._closed = True
            # Gateways first: with the one connection that carries them all, the others end by themselves.
            connections = list(self._open)
            self._open.clear()
            sessions = list(self._sessions.values())
        self.watchdog.stop()
        _in_time([session.abort for session in sessions if session.is_running], _ABORT_S)
        for connection in connections:
            connection.close()
        self.door.identities.close()

    def each(
        self,
        hosts: Iterable[Host],
        work: Callable[[Session], T],
        on_done: Callable[[Host, T | ClusterbootError], None] | None = None,
    ) -> dict[str, T | ClusterbootError]:
        """Do ``work`` on every host, at most ``fanout`` at a time; no host's failure stops another."""
        hosts = list(hosts)
        tell = on_done or _say_nothing

        def one(host: Host) -> T:
            self._spend_time(host)
            return work(self.session(host))

        def done(host: Host, outcome: T | ClusterbootError) -> None:
            # While somebody can still be asked about its key, a host's outcome is open.
            if self._ask is None or not isinstance(outcome, UnknownHostKeyError):
                tell(host, outcome)

        def run(some: Iterable[Host]) -> dict[str, T | ClusterbootError]:
            return on_hosts(
                some, one, done, fanout=self._fanout, interrupted=self.close, explain=self._explain
            )

        self._open_gateways(hosts)
        outcomes = run(hosts)
        unknown = [error for error in outcomes.values() if isinstance(error, UnknownHostKeyError)]
        again = [host for host in hosts if isinstance(outcomes[host.name], UnknownHostKeyError)]
        if unknown and self._accept(unknown):
            outcomes |= run(again)
        elif self._ask is not None:
            for host in again:
                tell(host, outcomes[host.name])
        return outcomes

    def session(self, host: Host) -> SshSession:
        """Give the host's open session, opening it if need be.

        Errors: what opening it raises; for a host behind a dead gateway, the gateway's.
        """
        with self._lock:
            session = self._sessions.get(host.name)
        if session is not None and session.connection.is_connected:
            return session
        way = self._gateway(host.via)
        with self.watchdog.sharing():
            opened = self._patiently(lambda: self._try(PinnedConnection(host.login, way, self.door)))
        session = SshSession(host.name, opened, self.audit)
        with self._lock:
            self._sessions[host.name] = session
        return session

    def host_keys(self, login: Login) -> tuple[bytes, ...]:
        """Give the plain host keys of ``login``'s machine: those pinned, and those proven in this command."""
        with self._lock:
            opened = [
                connection
                for connection in self._open
                if isinstance(connection, PinnedConnection) and connection.login == login
            ]
        seen = [connection.transport.host_key_blob for connection in opened if connection.is_connected]
        proven = map(self.door.trust.proven_key, seen)
        return tuple(dict.fromkeys((*self.door.trust.pinned(login), *proven)))

    def _spend_time(self, host: Host) -> None:
        if self.watchdog.out_of_time:
            raise UnreachableError(
                "the command's deadline came before this host's turn",
                host=host.name,
                stage="connect",
                remedy="allow more time with --deadline",
            )

    def _explain(self, host: Host, error: ClusterbootError) -> ClusterbootError:
        # With its gateway gone a node's own error says nothing; the gateway's says it all.
        for depth in range(1, len(host.via) + 1):
            gateway = self._gateways.get(host.via[:depth])
            if isinstance(gateway, ClusterbootError):
                return gateway
            if gateway is None:
                continue
            if self.watchdog.out_of_time:
                # Another host behind it may have found it silent, and ended this one's connection with it.
                if gateway.fell_silent:
                    return gateway_lost(gateway)
                continue
            # Of a gateway that ended just now the end may come behind that of what ran through it.
            lost = isinstance(error, UnreachableError) and not gateway.stands(_GATEWAY_PATIENCE_S)
            if lost or not gateway.is_connected:
                return gateway_lost(gateway)
        # What is said of a gateway stays said of it, also where time ran out meanwhile.
        if error.stage != "gateway" or error.host not in {hop.place for hop in host.via}:
            error.host = host.name
        return error

    def _open_gateways(self, hosts: Iterable[Host]) -> None:
        # Depth by depth: each distinct chain once, before any node asks for it.
        chains = list(
            dict.fromkeys(host.via[:depth] for host in hosts for depth in range(1, len(host.via) + 1))
        )
        for depth in sorted({len(chain) for chain in chains}):
            missing = [chain for chain in chains if len(chain) == depth and chain not in self._gateways]
            self._open_chains(missing)
            unknown = [error for c in missing if isinstance(error := self._gateways[c], UnknownHostKeyError)]
            if unknown and self._accept(unknown):
                self._open_chains([c for c in missing if isinstance(self._gateways[c], UnknownHostKeyError)])

    def _open_chains(self, chains: Sequence[tuple[Login, ...]]) -> None:
        client = self.door.client

        def one(chain: tuple[Login, ...]) -> WayIn | ClusterbootError:
            try:
                before = self._gateway(chain[:-1])
                return self._patiently(lambda: self._try(WayIn(chain[-1], before, self.door)))
            except ClusterbootError as error:
                return error

        def done(chain: tuple[Login, ...], outcome: WayIn | ClusterbootError) -> None:
            self._gateways[chain] = outcome
            if isinstance(outcome, WayIn) and not outcome.is_own:
                self._watch(outcome)

        if chains:
            with client.aside():
                # One person answers one question at a time.
                spread(chains, one, done, 1 if client.answered else self._fanout, self.close)

    def _watch(self, way: WayIn) -> None:
        """Notice a gateway behind the user's own master that has fallen silent; ours notices by itself."""
        alive_s = self.door.timeouts.alive_s

        def beat() -> bool:
            if way.owes_for(alive_s):
                way.give_up()
            else:
                way.ping()
            return way.is_connected

        self.watchdog.pulse(alive_s / _BEATS, beat)

    def _gateway(self, chain: tuple[Login, ...]) -> WayIn | None:
        if not chain:
            return None
        gateway = self._gateways[chain]
        if isinstance(gateway, ClusterbootError):
            raise gateway
        if not gateway.is_connected:
            raise gateway_lost(gateway)
        return gateway

    def _patiently(self, attempt: Callable[[], C]) -> C:
        """Open a connection, and again where a server only had no room for it just then."""
        tries = 0
        while True:
            tries += 1
            try:
                with self._throttle.place():
                    opened = attempt()
            except TurnedAwayError as refusal:
                self._throttle.turned_away()
                wait_s = pause_s(refusal, tries)
                if wait_s is None or not self.watchdog.rest(wait_s):
                    raise
            else:
                self._throttle.let_in()
                return opened

    def _try(self, connection: C) -> C:
        with self._lock:
            if self._closed:
                raise UnreachableError("interrupted", host=connection.login.place, stage="connect")
            self._open.append(connection)
        opened = False
        try:
            open_on_record(connection, self.audit)
            opened = True
        finally:
            if not opened:
                with self._lock:
                    self._open = [other for other in self._open if other is not connection]
        return connection

    def _accept(self, unknown: Sequence[UnknownHostKeyError]) -> bool:
        if self._ask is None or not self._ask([error.seen for error in unknown]):
            return False
        for error in unknown:
            self.door.trust.pin(error.login, error.blob)
        return True


def _in_time(actions: Sequence[Callable[[], None]], within_s: float) -> None:
    """Do all of it at once, and wait for it no longer than so many seconds."""
    end_s = time.monotonic() + within_s
    threads = [threading.Thread(target=act, name="clusterboot-abort", daemon=True) for act in actions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(max(0.0, end_s - time.monotonic()))


def _say_nothing(_host: Host, _outcome: object) -> None:
    return
