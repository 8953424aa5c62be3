"""Fabric's connection, tamed: pinned on every hop, and never waiting without end."""

from __future__ import annotations

import socket
import threading
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from typing import Any

import fabric
import paramiko

from clusterboot.config.cluster import Login
from clusterboot.connect.identity import Identity
from clusterboot.connect.transport import Doorkeeper, ForwardRefusedError, PinnedTransport, Timeouts
from clusterboot.errors import UnreachableError
from clusterboot.printable import one_line

# One configuration for all connections: Fabric reads files and OpenSSH's configuration
# for each otherwise, and clusterboot has resolved all of that already.
_CONFIG = fabric.Config(ssh_config=paramiko.SSHConfig(), lazy=True)


class PinnedConnection(fabric.Connection):  # type: ignore[misc]
    """A Fabric connection to one machine, opened by clusterboot's own rules.

    Parameters: ``login`` says where and who; ``gateway`` is an open connection to the
    machine before it, ``None`` for one that is dialled directly; ``door`` decides on host
    keys, identities and deadlines.
    """

    # Fabric's context turns unknown attributes into configuration; these are real ones.
    login: Login
    door: Doorkeeper
    identity: Identity | None = None

    def __init__(self, login: Login, gateway: PinnedConnection | None, door: Doorkeeper) -> None:
        super().__init__(
            host=login.hostname,
            user=login.user,
            port=login.port,
            gateway=gateway,
            config=_CONFIG,
            forward_agent=False,
        )
        # Fabric's client would believe any key. It is never asked, and refuses if it were.
        self.client.set_missing_host_key_policy(paramiko.RejectPolicy())
        self._set(login=login, door=door, identity=None)

    def open(self) -> None:
        """Connect, check the host key and log in; nothing to do where that was done.

        Errors: :class:`UnreachableError` and :class:`clusterboot.errors.TrustError`, each
        with host, stage, cause and remedy.
        """
        if self.is_connected:
            return
        sock = self._dial_through(self.gateway) if self.gateway is not None else self._dial()
        transport, identity = self.door.admit(sock, self.login)
        self._set(transport=transport, identity=identity)

    def close(self) -> None:
        """Close the connection and all that runs on it."""
        if self.transport is not None:
            self.transport.close()

    def _dial(self) -> socket.socket:
        login, timeouts = self.login, self.door.timeouts
        problem: OSError | None = None
        for family, kind, protocol, _, address in self._resolve(timeouts):
            sock = socket.socket(family, kind, protocol)
            try:
                sock.settimeout(self.door.watchdog.allow_s(timeouts.connect_s))
                sock.connect(address)
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            except OSError as error:
                sock.close()
                problem = error
            else:
                return sock
        cause = (
            "no answer"
            if isinstance(problem, TimeoutError)
            else f"{problem.strerror if problem else 'no address'}"
        )
        raise UnreachableError(
            f"cannot connect to port {login.port}: {cause}",
            host=login.hostname,
            stage="connect",
            remedy="check address, port, firewall, and that sshd runs there",
        )

    def _resolve(self, timeouts: Timeouts) -> list[Any]:
        # The resolver knows no time limit of its own and cannot be interrupted; a thread
        # that outlives its welcome is left to end by itself.
        answer: Future[list[Any]] = Future()

        def ask() -> None:
            try:
                answer.set_result(
                    socket.getaddrinfo(self.login.hostname, self.login.port, type=socket.SOCK_STREAM)
                )
            except OSError as error:
                answer.set_exception(error)

        threading.Thread(target=ask, name="clusterboot-resolve", daemon=True).start()
        try:
            return answer.result(self.door.watchdog.allow_s(timeouts.resolve_s))
        except FutureTimeoutError:
            cause = "the name server does not answer"
        except OSError as error:
            cause = f"the name does not resolve ({error.strerror})"
        raise UnreachableError(
            cause,
            host=self.login.hostname,
            stage="resolve",
            remedy="check the name, or write an address in the cluster file",
        )

    def _dial_through(self, gateway: PinnedConnection) -> paramiko.Channel:
        transport: PinnedTransport = gateway.transport
        login, timeout_s = self.login, self.door.timeouts.connect_s
        transport.channel_timeout = self.door.watchdog.allow_s(timeout_s)
        try:
            return transport.open_forward(login.hostname, login.port)
        except ForwardRefusedError as refusal:
            raise _refused(login, gateway.login, refusal) from None
        except (paramiko.SSHException, EOFError, OSError):
            if not transport.is_active():
                raise gateway_lost(gateway.login) from None
        raise UnreachableError(
            f"no answer on port {login.port} within {timeout_s:.3g} s, seen from {gateway.login.hostname}",
            host=login.hostname,
            stage="connect",
            remedy="the machine may be down or behind a firewall",
        )


def gateway_lost(login: Login) -> UnreachableError:
    """Say that the connection to a gateway ended while hosts behind it were in use."""
    return UnreachableError(
        "the connection to the gateway was lost",
        host=login.hostname,
        stage="gateway",
        remedy="check that the gateway is up, then run the command again",
    )


def _refused(login: Login, gateway: Login, refusal: ForwardRefusedError) -> UnreachableError:
    if refusal.prohibited:
        return UnreachableError(
            f"{gateway.hostname} does not allow forwarding to {login.hostname}:{login.port}",
            host=login.hostname,
            stage="gateway",
            remedy=f"on {gateway.hostname}, set AllowTcpForwarding yes (and check PermitOpen) in sshd_config",
        )
    text = one_line(refusal.text) or "refused"
    unresolved = "not known" in text or "resolve" in text or "associated with hostname" in text
    return UnreachableError(
        f"{gateway.hostname} cannot reach port {login.port}: {text}",
        host=login.hostname,
        stage="resolve" if unresolved else "connect",
        remedy=f"check that {gateway.hostname} knows the name"
        if unresolved
        else "check that the machine is up and sshd runs on that port",
    )
