"""From a byte stream to a logged-in connection: handshake, host key, login, each under its deadline."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import Any

import paramiko
from paramiko.ssh_exception import BadAuthenticationType, PartialAuthentication

from clusterboot.errors import UnreachableError
from clusterboot.inventory.cluster import Login
from clusterboot.nodes.watchdog import DeadlineError, Watchdog
from clusterboot.printable import listed, one_line

from .identity import AgentError, Identity, IdentityStore
from .refusals import refusal_of
from .retry import TurnedAwayError
from .trust import TrustStore
from .way_argv import SshClient
from .wire import PinnedTransport

_MOST_NAMED = 4


@dataclass(frozen=True)
class Timeouts:
    """How long each wait may last, in seconds; the command's own deadline stands above them all.

    A gateway that is silent for ``alive_s`` although it was asked for a sign of life is given up.
    """

    resolve_s: float = 5.0
    connect_s: float = 10.0
    banner_s: float = 10.0
    exchange_s: float = 10.0
    auth_s: float = 15.0
    channel_s: float = 10.0
    command_s: float = 60.0
    alive_s: float = 30.0


@dataclass(frozen=True)
class Doorkeeper:
    """What every login of one command shares: trust, keys, deadlines, and how OpenSSH's client is started."""

    trust: TrustStore
    identities: IdentityStore
    watchdog: Watchdog
    timeouts: Timeouts
    client: SshClient = field(default_factory=SshClient)

    def admit(self, sock: Any, login: Login) -> tuple[PinnedTransport, Identity]:
        """Turn a fresh byte stream to ``login``'s machine into a logged-in, pinned connection.

        Returns: the transport, and the identity that it accepted.
        Errors: :class:`UnreachableError` or :class:`clusterboot.errors.TrustError`; the
        stream is closed then. :class:`TurnedAwayError` where another try may do better.
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
        transport.host_key_types = self.trust.key_types(login)
        done = threading.Event()
        try:
            with self.watchdog.limit(self.timeouts.banner_s, transport.close):
                transport.start_client(event=done)
                transport.greeted.wait()
            with self.watchdog.limit(self.timeouts.exchange_s, transport.close):
                done.wait()
        except DeadlineError as late:
            raise _late_handshake(transport, login, late) from None
        if not (transport.is_active() and transport.initial_kex_done):
            raise _handshake_failure(transport, login)

    def _log_in(self, transport: PinnedTransport, login: Login) -> Identity:
        tried: list[Identity] = []
        try:
            with self.watchdog.limit(self.timeouts.auth_s, transport.close):
                for identity in self.identities.of(login):
                    tried.append(identity)
                    if _offer(transport, login.user, identity):
                        return identity
                    if not transport.is_active() or not _may_go_on(transport):
                        break
        except DeadlineError as late:
            raise UnreachableError(
                f"no answer to the login {late.words}",
                host=login.place,
                stage="auth",
                remedy="the machine may be frozen or overloaded, or its directory service down",
            ) from None
        unusable = self.identities.unusable(login)
        raise _login_failure(transport, login, tried, unusable)


def _offer(transport: PinnedTransport, user: str, identity: Identity) -> bool:
    done = threading.Event()
    try:
        transport.auth_publickey(user, identity.key, event=done)
        done.wait()
    except (paramiko.SSHException, EOFError, OSError):
        # The connection ended between two offers.
        return False
    return transport.is_authenticated()


def _may_go_on(transport: PinnedTransport) -> bool:
    return not isinstance(transport.saved_exception, BadAuthenticationType | PartialAuthentication)


def _late_handshake(transport: PinnedTransport, login: Login, late: DeadlineError) -> UnreachableError:
    if transport.remote_version:
        cause = f"after its banner the server did not finish the key exchange {late.words}"
        stage, remedy = "hostkey", "sshd there may be frozen or overloaded, or a firewall drops long packets"
    else:
        part = one_line(transport.greeting)
        cause = f"only part of an SSH banner came {late.words}: '{part}'" if part else ""
        cause = cause or f"connected, but no SSH banner came {late.words}"
        stage, remedy = "banner", "sshd there may be frozen or overloaded, or no sshd listens on that port"
    return UnreachableError(cause, host=login.place, stage=stage, remedy=remedy)  # type: ignore[arg-type]


def _handshake_failure(transport: PinnedTransport, login: Login) -> UnreachableError:
    problem, said = transport.saved_exception, one_line(transport.greeting)
    if transport.remote_version:
        if not transport.last_words and isinstance(problem, EOFError | OSError | None):
            return TurnedAwayError(
                "the server hung up during the key exchange",
                host=login.place,
                stage="hostkey",
                remedy="look at sshd's log there",
            )
        words = one_line(transport.last_words or str(problem))
        return UnreachableError(
            f"key exchange failed: {words}",
            host=login.place,
            stage="hostkey",
            remedy="look at sshd's log and its KexAlgorithms, Ciphers and HostKeyAlgorithms there",
        )
    refusal = refusal_of("" if said.startswith("SSH-") else said)
    if refusal is None:
        return UnreachableError(
            f"what answers on port {login.port} is no SSH server: '{one_line(said, 80)}'",
            host=login.place,
            stage="banner",
            remedy="check the port",
        )
    return TurnedAwayError(
        refusal.cause + (f": '{said}'" if said else ""),
        host=login.place,
        stage="banner",
        remedy=refusal.remedy,
        pauses_s=refusal.pauses_s,
    )


def _login_failure(
    transport: PinnedTransport, login: Login, tried: list[Identity], unusable: tuple[str, ...]
) -> UnreachableError:
    offered = _named(tried)
    problem = transport.saved_exception
    if not tried:
        also = f" ({'; '.join(unusable)})" if unusable else ""
        cause, remedy = (
            f"no key to log in as {login.user} with{also}",
            "name an identity_file, or use ssh-agent",
        )
    elif isinstance(problem, AgentError):
        cause, remedy = f"{problem} (for {tried[-1].label})", "unlock the agent, or name an identity_file"
    elif isinstance(problem, BadAuthenticationType):
        takes = one_line(", ".join(problem.allowed_types))
        cause, remedy = f"the server takes no keys, only {takes}", "set PubkeyAuthentication yes there"
    elif isinstance(problem, PartialAuthentication):
        wants = one_line(", ".join(problem.allowed_types))
        cause = f"the key is right, and the server wants more: {wants}"
        remedy = "use an account whose AuthenticationMethods is publickey"
    elif "Too many authentication failures" in transport.last_words:
        cause = f"too many keys offered: the server hung up after {len(tried)} ({offered})"
        remedy = "name the one identity_file that opens this account"
    elif not transport.is_active():
        words = one_line(transport.last_words)
        cause = f"the server hung up during the login as {login.user}" + (f": {words}" if words else "")
        remedy = (
            "look at sshd's log there (RefuseConnection in sshd_config, or a Banner file of 256 KiB"
            f" and more, ends it); offered was {offered}"
        )
    else:
        flaws = [flaw for identity in tried if (flaw := identity.flaw(login.user))]
        cause = f"key refused for {login.user} (offered {'; '.join((offered, *flaws, *unusable))})"
        remedy = "sign the certificate anew" if flaws else _REFUSED_REMEDY
        if not flaws and any(identity.certificate for identity in tried):
            remedy += "; for a certificate, look at TrustedUserCAKeys and at the clock there"
    return UnreachableError(cause, host=login.place, stage="auth", remedy=remedy)


_REFUSED_REMEDY = (
    "add the public key to the file that AuthorizedKeysFile names there, check owner and mode of the home"
    " and that file, or name another user or identity_file"
)


def _named(tried: list[Identity]) -> str:
    return listed([f"{one_line(each.label)} {each.fingerprint}" for each in tried], _MOST_NAMED)
