"""All hosts of a cluster at once: gateways opened first and once, then a bounded fan-out."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from types import TracebackType
from typing import TypeVar

from clusterboot.config.cluster import Host, Login
from clusterboot.connect.audit import AuditLog
from clusterboot.connect.connection import PinnedConnection, gateway_lost
from clusterboot.connect.session import Session
from clusterboot.connect.transport import Doorkeeper
from clusterboot.connect.trust import UnknownHostKeyError
from clusterboot.errors import ClusterbootError, HostKeySeen

T = TypeVar("T")

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
        self.audit = audit
        self._fanout = fanout
        self._ask = ask
        self._gateways: dict[tuple[Login, ...], PinnedConnection | ClusterbootError] = {}
        self._sessions: dict[str, Session] = {}
        self._open: list[PinnedConnection] = []
        self._lock = threading.Lock()

    def __enter__(self) -> Fleet:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close every connection, nodes before gateways, and end all waits."""
        with self._lock:
            connections = list(reversed(self._open))
            self._open.clear()
        for connection in connections:
            connection.close()
        self.door.watchdog.stop()

    def each(
        self,
        hosts: Iterable[Host],
        work: Callable[[Session], T],
        on_done: Callable[[Host, T | ClusterbootError], None] | None = None,
    ) -> dict[str, T | ClusterbootError]:
        """Do ``work`` on every host, at most ``fanout`` at a time; no host's failure stops another.

        Parameters: the hosts; what to do with each session, called in worker threads;
        ``on_done`` is told each outcome, in this thread, as it comes.
        Returns: by host name, what ``work`` returned or the error that ended it, in the
        order of ``hosts``.
        """
        hosts = list(hosts)
        self._open_gateways(hosts)
        outcomes = self._pass(hosts, work, on_done)
        unknown = [error for error in outcomes.values() if isinstance(error, UnknownHostKeyError)]
        if unknown and self._accept(unknown):
            again = [host for host in hosts if isinstance(outcomes[host.name], UnknownHostKeyError)]
            outcomes.update(self._pass(again, work, on_done))
        return outcomes

    def session(self, host: Host) -> Session:
        """Give the host's open session, opening it if need be.

        Errors: what opening it raises; for a host behind a dead gateway, the gateway's.
        """
        with self._lock:
            session = self._sessions.get(host.name)
        if session is not None and session.connection.is_connected:
            return session
        connection = self._connect(host.login, self._gateway(host.via))
        session = Session(host.name, connection, self.audit)
        with self._lock:
            self._sessions[host.name] = session
        return session

    def host_keys(self, login: Login) -> tuple[bytes, ...]:
        """Give the plain host keys, in wire form, that ``login``'s machine has proven in this command."""
        with self._lock:
            opened = [connection for connection in self._open if connection.login == login]
        seen = [connection.transport.host_key_blob for connection in opened if connection.is_connected]
        return tuple(dict.fromkeys(self.door.trust.proven_key(blob) for blob in seen))

    def _pass(
        self,
        hosts: Sequence[Host],
        work: Callable[[Session], T],
        on_done: Callable[[Host, T | ClusterbootError], None] | None,
    ) -> dict[str, T | ClusterbootError]:
        def one(host: Host) -> T | ClusterbootError:
            try:
                return work(self.session(host))
            except ClusterbootError as error:
                return self._explain(host, error)

        outcomes: dict[str, T | ClusterbootError] = {}
        pool = ThreadPoolExecutor(min(self._fanout, len(hosts)) or 1, thread_name_prefix="clusterboot-host")
        try:
            futures: dict[Future[T | ClusterbootError], Host] = {
                pool.submit(one, host): host for host in hosts
            }
            for future in as_completed(futures):
                outcome = outcomes[futures[future].name] = future.result()
                if on_done is not None and not (self._ask and isinstance(outcome, UnknownHostKeyError)):
                    on_done(futures[future], outcome)
        except BaseException:
            # Interrupted: end what still waits, so that no worker outlives the command.
            pool.shutdown(wait=False, cancel_futures=True)
            self.close()
            raise
        pool.shutdown()
        return {host.name: outcomes[host.name] for host in hosts}

    def _explain(self, host: Host, error: ClusterbootError) -> ClusterbootError:
        # With its gateway gone a node's own error says nothing; the gateway's says it all.
        for depth in range(1, len(host.via) + 1):
            gateway = self._gateways.get(host.via[:depth])
            if isinstance(gateway, ClusterbootError):
                return gateway
            if gateway is not None and not gateway.is_connected:
                return gateway_lost(gateway.login)
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
        def one(chain: tuple[Login, ...]) -> None:
            try:
                self._gateways[chain] = self._connect(chain[-1], self._gateway(chain[:-1]))
            except ClusterbootError as error:
                if error.stage not in ("hostkey", "gateway"):
                    error.cause, error.stage = f"{error.stage}: {error.cause}", "gateway"
                self._gateways[chain] = error

        with ThreadPoolExecutor(min(self._fanout, len(chains)) or 1) as pool:
            list(pool.map(one, chains))

    def _gateway(self, chain: tuple[Login, ...]) -> PinnedConnection | None:
        if not chain:
            return None
        gateway = self._gateways[chain]
        if isinstance(gateway, ClusterbootError):
            raise gateway
        if not gateway.is_connected:
            raise gateway_lost(gateway.login)
        return gateway

    def _connect(self, login: Login, gateway: PinnedConnection | None) -> PinnedConnection:
        started_s = time.monotonic()
        connection = PinnedConnection(login, gateway, self.door)
        with self._lock:
            self._open.append(connection)
        via = gateway.login.hostname if gateway else None
        outcome, key = "interrupted", None
        try:
            connection.open()
            outcome, key = "ok", connection.identity.fingerprint if connection.identity else None
        except ClusterbootError as error:
            outcome = f"{error.stage}: {error.cause}"
            raise
        finally:
            self.audit.connection(login, via, key, outcome, time.monotonic() - started_s)
        return connection

    def _accept(self, unknown: Sequence[UnknownHostKeyError]) -> bool:
        if self._ask is None or not self._ask([error.seen for error in unknown]):
            return False
        for error in unknown:
            self.door.trust.pin(error.login, error.blob)
        return True
