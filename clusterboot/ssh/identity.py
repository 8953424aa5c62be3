"""The operator's keys: read once, asked for once, offered only where they belong."""

from __future__ import annotations

import base64
import binascii
import copy
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import paramiko
from cryptography.hazmat.primitives.serialization import (
    SSHCertificate,
    SSHCertificateType,
    load_ssh_public_identity,
)
from paramiko.agent import AgentKey

from clusterboot.errors import UsageError
from clusterboot.inventory.cluster import Login
from clusterboot.printable import one_line

from .agent import AgentError, Agents, AllowS
from .certificate import certified_key, when
from .certificate import parse as parse_certificate
from .knownhosts import fingerprint, key_type_of

__all__ = ["AgentError", "Identity", "IdentityStore"]

_CERT = "-cert.pub"
_KEY_CLASSES = (paramiko.Ed25519Key, paramiko.ECDSAKey, paramiko.RSAKey)


@dataclass(frozen=True)
class Identity:
    """A key that can be offered at a login.

    ``label`` is how messages call it; ``certificate`` is what it is offered with, if it is.
    """

    label: str
    key: paramiko.PKey
    certificate: SSHCertificate | None = None

    def flaw(self, user: str) -> str:
        """Say what can be told from here to be wrong with its certificate; empty where there is nothing."""
        return _flaw(self.label, self.certificate, user) if self.certificate else ""

    @property
    def blob(self) -> bytes:
        """The plain public key in wire form."""
        return self.key.blob if isinstance(self.key, AgentKey) else self.key.asbytes()

    @property
    def fingerprint(self) -> str:
        """The public key's SHA-256 fingerprint."""
        return fingerprint(self.blob)


@dataclass(frozen=True)
class _Offer:
    """What a login may offer, in order, and why other keys of its cannot be used."""

    identities: tuple[Identity, ...]
    unusable: tuple[str, ...]


class IdentityStore:
    """All private keys of one command, each read from disk once.

    Parameters: ``ask_passphrase`` is called once for each encrypted key that no agent has, with
    its path, and returns the passphrase; without it such a key cannot be used. ``allow_s`` cuts
    waits for an agent to the time that the command has left.
    """

    def __init__(
        self, ask_passphrase: Callable[[Path], str] | None = None, allow_s: AllowS = lambda wait_s: wait_s
    ) -> None:
        self._ask = ask_passphrase
        self._agents = Agents(allow_s)
        self._keys: dict[tuple[Path, str | None], paramiko.PKey | UsageError] = {}
        self._offers: dict[tuple[object, ...], _Offer] = {}
        self._lock = threading.Lock()

    def load(self, path: Path, agent: str | None = None) -> tuple[Identity, ...]:
        """Read a private key file, and its certificate where there is one beside it.

        Parameters: the file; the agent that may have the key, as in :class:`Login`.
        Returns: the certificate first, then the plain key, as OpenSSH tries them.
        Errors: :class:`UsageError` for a file that is no usable private key.
        """
        with self._lock:
            return tuple(self._of_file(path, agent))

    def prepare(self, login: Login) -> None:
        """Read all that ``login`` may offer, so that a bad key is told before anything is contacted.

        Errors: :class:`UsageError` for a key that the login names as its only one and that
        cannot be used; others are passed over, as OpenSSH does.
        """
        self._offer(login)

    def of(self, login: Login) -> Iterator[Identity]:
        """Yield what ``login`` may offer, in order: its files, then the agent's keys if it may.

        Errors: as :meth:`prepare`.
        """
        yield from self._offer(login).identities

    def unusable(self, login: Login) -> tuple[str, ...]:
        """Say, a line each, which of the login's keys cannot be offered, and why."""
        return self._offer(login).unusable

    def close(self) -> None:
        """Close the connections to agents."""
        with self._lock:
            self._agents.close()

    def _offer(self, login: Login) -> _Offer:
        wanted = (login.identity_files, login.identities_only, login.identity_agent, login.certificate_files)
        with self._lock:
            if wanted not in self._offers:
                self._offers[wanted] = self._collect(login)
            return self._offers[wanted]

    def _collect(self, login: Login) -> _Offer:
        found: list[Identity] = []
        unusable: list[str] = []
        for path in login.identity_files:
            try:
                found += self._of_file(path, login.identity_agent)
            except UsageError as error:
                if login.identities_only:
                    raise
                unusable.append(error.cause)
        if not login.identities_only:
            known = {identity.blob for identity in found}
            keys = self._agents.keys(login.identity_agent)
            found += [_of_agent(key) for key in keys if key.blob not in known]
            unusable += filter(None, [self._agents.silence(login.identity_agent)])
        certified = [one for path in login.certificate_files for one in _certified(path, found)]
        return _Offer((*certified, *found), tuple(unusable))

    def _of_file(self, path: Path, agent: str | None) -> Iterator[Identity]:
        key = self._key(path, agent)
        plain = Identity(str(path), key)
        yield from _certified(path.with_name(path.name.removesuffix(".pub") + _CERT), [plain])
        yield plain

    def _key(self, path: Path, agent: str | None) -> paramiko.PKey:
        if (path, agent) not in self._keys:
            try:
                self._keys[path, agent] = self._read(path, agent)
            except UsageError as error:
                self._keys[path, agent] = error
        key = self._keys[path, agent]
        if isinstance(key, UsageError):
            raise key
        return key

    def _read(self, path: Path, agent: str | None) -> paramiko.PKey:
        try:
            text = path.read_bytes()
        except OSError as problem:
            remedy = "check the path and its permissions"
            raise UsageError(f"{path}: {problem.strerror}", remedy=remedy) from None
        try:
            return _decode(path, None)
        except paramiko.PasswordRequiredException:
            encrypted = True
        except UsageError:
            # OpenSSH takes a public key file for "the one of these that the agent has".
            encrypted = False
            if _public_line(text) is None:
                raise
        blob = _container_key(text) if encrypted else _public_line(text)
        blob = blob or _public_line(_contents(path.with_name(path.name + ".pub")))
        for key in self._agents.keys(agent):
            if key.blob == blob:
                return key
        silence = self._agents.silence(agent)
        if not encrypted:
            raise UsageError(
                f"{path} is a public key, and {silence or 'ssh-agent does not have its private one'}",
                remedy="load the private key into ssh-agent, or name its file",
            )
        if self._ask is None:
            also = f" ({silence})" if silence else ""
            raise UsageError(
                f"{path} is encrypted and there is no terminal to ask for its passphrase{also}",
                remedy="load it into ssh-agent, or run this on a terminal",
            )
        return _decode(path, self._ask(path))


def _decode(path: Path, passphrase: str | None) -> paramiko.PKey:
    for key_class in _KEY_CLASSES:
        try:
            return key_class.from_private_key_file(str(path), passphrase)
        except paramiko.PasswordRequiredException:
            raise
        except OSError as problem:
            raise UsageError(
                f"{path}: {problem.strerror}", remedy="check the path and its permissions"
            ) from None
        except (paramiko.SSHException, ValueError, IndexError):
            continue
    if passphrase is not None:
        raise UsageError(f"{path}: wrong passphrase", remedy="try again")
    raise UsageError(f"{path} is not a usable private key", remedy="name another identity_file")


def _container_key(text: bytes) -> bytes | None:
    """Read the public key that a private key file has in the clear. Source: PROTOCOL.key of OpenSSH."""
    body = text.partition(b"-----BEGIN OPENSSH PRIVATE KEY-----")[2].partition(b"-----END")[0]
    try:
        message = paramiko.Message(base64.b64decode(body))
    except (binascii.Error, ValueError):
        return None
    if message.get_bytes(15) != b"openssh-key-v1\0":
        return None
    for _ in range(3):  # the cipher, the key derivation, and its options
        message.get_string()
    return message.get_string() if message.get_int() == 1 else None


def _public_line(text: bytes) -> bytes | None:
    fields = text.split(None, 2)
    try:
        blob = base64.b64decode(fields[1], validate=True)
    except (IndexError, binascii.Error, ValueError):
        return None
    return blob if key_type_of(blob) == fields[0].decode("ascii", "replace") else None


def _contents(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


def _certified(path: Path, identities: list[Identity]) -> Iterator[Identity]:
    """Yield the identities that the certificate in ``path`` is for, with it."""
    text = _contents(path)
    if not text:
        return
    try:
        certificate = load_ssh_public_identity(text.strip())
    except Exception:  # cryptography raises several kinds for a file that is none
        return
    if not isinstance(certificate, SSHCertificate):
        return
    blob = certified_key(certificate)
    for identity in identities:
        if identity.blob == blob and identity.key.public_blob is None:
            key = _twin(identity.key)
            key.load_certificate(text.decode("ascii", "replace"))
            yield Identity(str(path), key, certificate)


def _flaw(label: str, certificate: SSHCertificate, user: str) -> str:
    now_s, what = time.time(), f"the certificate {one_line(label)}"
    if certificate.type is not SSHCertificateType.USER:
        return f"{what} is for hosts, not for users"
    if now_s < certificate.valid_after:
        return f"{what} is not valid before {when(certificate.valid_after)}"
    if now_s >= certificate.valid_before:
        return f"{what} expired at {when(certificate.valid_before)}"
    principals = [principal.decode("utf-8", "replace") for principal in certificate.valid_principals]
    if principals and user not in principals:
        return f"{what} is for {one_line(', '.join(principals))}, not for {user}"
    return ""


def _twin(key: paramiko.PKey) -> paramiko.PKey:
    # An agent's key passes what it lacks on to another object, which copying would trip over.
    return AgentKey(key.agent, key.blob, key.comment) if isinstance(key, AgentKey) else copy.copy(key)


def _of_agent(key: AgentKey) -> Identity:
    label = f"agent key {one_line(key.comment) or key.get_name()}"
    return Identity(label, key, parse_certificate(key.blob))
