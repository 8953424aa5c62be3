"""One SSH connection over one byte stream: handshake, host key, login, each under its deadline."""

from __future__ import annotations

import logging
import socket
import threading
from dataclasses import dataclass
from typing import Any

import paramiko

from clusterboot.config.cluster import Login
from clusterboot.connect.identity import Identity, IdentityStore
from clusterboot.connect.trust import TrustStore
from clusterboot.connect.watchdog import Watchdog
from clusterboot.errors import ClusterbootError, Stage, UnreachableError
from clusterboot.printable import one_line

# Paramiko reports through logging what is raised here as errors; without a handler the
# logging module would print it on standard error.
logging.getLogger("paramiko").addHandler(logging.NullHandler())
logging.getLogger("paramiko").propagate = False

# RFC 4254, section 5.1.
_PROHIBITED = 1


@dataclass(frozen=True)
class Timeouts:
    """How long each wait may last, in seconds; the command's own deadline stands above them all."""

    resolve_s: float = 5.0
    connect_s: float = 10.0
    banner_s: float = 10.0
    exchange_s: float = 10.0
    auth_s: float = 15.0
    channel_s: float = 10.0
    command_s: float = 60.0


class PinnedTransport(paramiko.Transport):
    """A paramiko transport that keeps what host key it saw and why channels were refused."""

    def __init__(self, sock: Any) -> None:
        super().__init__(sock)
        self.host_key_blob = b""
        self._opening = threading.local()
        self._refusals: dict[int, tuple[int, str]] = {}

    def _verify_key(self, host_key: bytes, sig: bytes) -> None:
        super()._verify_key(host_key, sig)  # type: ignore[misc]
        self.host_key_blob = host_key

    def _next_channel(self) -> int:
        number: int = super()._next_channel()  # type: ignore[misc]
        self._opening.number = number
        return number

    def _parse_channel_open_failure(self, m: paramiko.Message) -> None:
        # Paramiko keeps one refusal a connection; with many channels opening at once
        # each must get its own.
        number, reason, text = m.get_int(), m.get_int(), m.get_text()
        self._refusals[number] = (reason, text)
        m.rewind()
        super()._parse_channel_open_failure(m)  # type: ignore[misc]

    def open_forward(self, host: str, port: int) -> paramiko.Channel:
        """Open a ``direct-tcpip`` channel to ``host:port`` as this machine sees them.

        Errors: :class:`ForwardRefusedError` with the server's own words;
        ``paramiko.SSHException`` or ``EOFError`` where the connection ends.
        """
        try:
            return self.open_channel("direct-tcpip", (host, port), ("", 0))
        except paramiko.ChannelException as refusal:
            code, text = self._refusals.pop(self._opening.number, (refusal.code, refusal.text))
            raise ForwardRefusedError(code, text) from None


class ForwardRefusedError(Exception):
    """A gateway would not or could not open a forwarded connection: RFC 4254's code, its text."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(code, text)
        self.prohibited = code == _PROHIBITED
        self.text = text


@dataclass(frozen=True)
class Doorkeeper:
    """What every login of one command shares: trust, keys, deadlines."""

    trust: TrustStore
    identities: IdentityStore
    watchdog: Watchdog
    timeouts: Timeouts

    def admit(self, sock: Any, login: Login) -> tuple[PinnedTransport, Identity]:
        """Turn a fresh byte stream to ``login``'s machine into a logged-in, pinned connection.

        Returns: the transport, and the identity that it accepted.
        Errors: :class:`UnreachableError` or :class:`clusterboot.errors.TrustError`; the
        stream is closed then.
        """
        transport = PinnedTransport(sock)
        try:
            self._shake_hands(transport, login)
            self.trust.check(login, transport.host_key_blob)
            return transport, self._log_in(transport, login)
        except BaseException:
            transport.close()
            raise

    def _shake_hands(self, transport: PinnedTransport, login: Login) -> None:
        known = self.trust.key_types(login)
        if known:
            options = transport.get_security_options()
            supported = [kind for kind in known if kind in transport._key_info]  # type: ignore[attr-defined]
            options.key_types = (*supported, *(kind for kind in options.key_types if kind not in supported))
        timeouts = self.timeouts
        transport.banner_timeout = timeouts.banner_s
        transport.handshake_timeout = timeouts.exchange_s
        done = threading.Event()
        with self.watchdog.limit(timeouts.banner_s + timeouts.exchange_s, transport.close) as limit:
            transport.start_client(event=done)
            done.wait(limit.timeout_s + 1)
        if transport.is_active() and transport.initial_kex_done:
            return
        raise _handshake_failure(transport, login, limit.expired)

    def _log_in(self, transport: PinnedTransport, login: Login) -> Identity:
        tried: list[Identity] = []
        with self.watchdog.limit(self.timeouts.auth_s, transport.close) as limit:
            for identity in self.identities.of(login):
                done = threading.Event()
                tried.append(identity)
                transport.auth_publickey(login.user, identity.key, event=done)
                done.wait(limit.timeout_s + 1)
                if transport.is_authenticated():
                    return identity
                if not transport.is_active():
                    break
        if limit.expired:
            raise UnreachableError(
                f"no answer to the login within {limit.timeout_s:.3g} s",
                host=login.hostname,
                stage="auth",
                remedy="the machine may be overloaded or its directory service down",
            )
        raise _login_failure(transport, login, tried)


def _handshake_failure(transport: PinnedTransport, login: Login, expired: bool) -> ClusterbootError:
    problem = transport.get_exception()
    stage: Stage = "hostkey" if transport.remote_version else "banner"
    what = "key exchange" if transport.remote_version else "SSH banner"
    if expired or isinstance(problem, socket.timeout):
        cause, remedy = f"no {what} in time", "sshd there may be frozen or overloaded"
    elif stage == "banner":
        cause = "the connection was closed before an SSH banner came"
        remedy = "look at sshd's log there: MaxStartups, penalties, hosts.deny, or no sshd on that port"
    else:
        cause = f"key exchange failed: {_words(problem)}"
        remedy = "look at sshd's log there"
    return UnreachableError(cause, host=login.hostname, stage=stage, remedy=remedy)


def _login_failure(transport: PinnedTransport, login: Login, tried: list[Identity]) -> ClusterbootError:
    if not tried:
        return UnreachableError(
            f"no key to log in as {login.user} with",
            host=login.hostname,
            stage="auth",
            remedy="name an identity_file, or load a key into ssh-agent",
        )
    offered = ", ".join(f"{identity.label} {identity.fingerprint}" for identity in tried)
    if not transport.is_active():
        return UnreachableError(
            f"the server hung up during the login as {login.user} (offered {offered})",
            host=login.hostname,
            stage="auth",
            remedy="too many keys offered? name the one identity_file",
        )
    return UnreachableError(
        f"key refused for {login.user} (offered {offered})",
        host=login.hostname,
        stage="auth",
        remedy="add its public key to authorized_keys there, or name another user or identity_file",
    )


def _words(problem: BaseException | None) -> str:
    return one_line(str(problem)) if problem is not None and str(problem) else "connection closed"
