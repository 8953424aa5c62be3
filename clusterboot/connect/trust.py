"""Which host keys are believed: pins from known_hosts files, the cluster file and ``--accept-new``.

A key is asked about once, between key exchange and login; nothing turns the question off.
"""

from __future__ import annotations

import base64
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.serialization import (
    SSHCertificate,
    SSHCertificateType,
    load_ssh_public_identity,
)

from clusterboot.config.cluster import Login, TrustOptions
from clusterboot.connect import knownhosts
from clusterboot.connect.knownhosts import PinLine, fingerprint
from clusterboot.errors import HostKeySeen, TrustError

_CERT_SUFFIX = "-cert-v01@openssh.com"


class UnknownHostKeyError(TrustError):
    """A host key that no pin speaks of: nothing wrong is known of it, and nothing right."""

    def __init__(self, login: Login, blob: bytes) -> None:
        super().__init__(
            f"host key {fingerprint(blob)} ({knownhosts.key_type_of(blob)}) is unknown",
            host=login.hostname,
            stage="hostkey",
            remedy="compare it with the machine's own, then use --accept-new or add it to known_hosts",
        )
        self.login = login
        self.blob = blob

    @property
    def seen(self) -> HostKeySeen:
        """The key as it is shown to the operator, who has to compare it."""
        key_type = knownhosts.key_type_of(self.blob) or ""
        return HostKeySeen(self.host or "", self.login.hostname, key_type, fingerprint(self.blob))


@dataclass(frozen=True)
class Acceptance:
    """A key that was pinned because the operator said so: by ``--accept-new`` or at the question."""

    name: str
    key_type: str
    fingerprint: str


class TrustStore:
    """All pins of one command, asked by every connection.

    Parameters: ``files`` are known_hosts files beside each login's own; ``pins`` come from
    the cluster file; ``pin_file`` is where accepted keys are kept; with ``accept_new`` a
    key that is seen for the first time is pinned there instead of refused.
    """

    def __init__(
        self,
        options: TrustOptions,
        pin_file: Path,
        *,
        accept_new: bool = False,
        default_files: Sequence[Path] | None = None,
    ) -> None:
        self._pin_file = pin_file
        self._accept_new = accept_new
        self._default_files = tuple(operator_files() if default_files is None else default_files)
        self._common = [
            line for path in (pin_file, *options.known_hosts) for line in knownhosts.read_file(path)
        ] + list(_cluster_pins(options))
        self._files: dict[Path, list[PinLine]] = {}
        self._index: dict[tuple[Path, ...], _Index] = {}
        self._lock = threading.Lock()
        self.accepted: list[Acceptance] = []

    def key_types(self, login: Login) -> tuple[str, ...]:
        """Name the host key types to prefer for ``login``: those that are pinned, CAs' certificates first.

        Returns: types as in the key exchange; empty where nothing is pinned yet.
        """
        lines = self._lines(login)
        plain = dict.fromkeys(line.key_type for line in lines if not line.marker)
        types = [kind for key_type in plain for kind in _exchange_types(key_type)]
        if any(line.marker == "@cert-authority" for line in lines):
            every = (
                "ssh-ed25519",
                "ecdsa-sha2-nistp256",
                "ecdsa-sha2-nistp384",
                "ecdsa-sha2-nistp521",
                "ssh-rsa",
            )
            types = [kind + _CERT_SUFFIX for base in every for kind in _exchange_types(base)] + types
        return tuple(types)

    def pinned(self, login: Login) -> tuple[bytes, ...]:
        """Give every key that is pinned for ``login``'s machine, in wire form; no CA's."""
        return tuple(dict.fromkeys(line.blob for line in self._lines(login) if not line.marker))

    def check(self, login: Login, blob: bytes) -> None:
        """Accept the host key that ``login``'s machine has proven to own, or raise.

        Parameters: ``blob`` is the key in wire form, a certificate included.
        Errors: :class:`UnknownHostKeyError` where nothing is pinned, :class:`TrustError`
        where the key is revoked or another one is pinned.
        """
        lines = self._lines(login)
        certificate = _certificate(blob)
        key, authority = (blob, None) if certificate is None else _certified_keys(certificate)
        revoked = next(
            (line for line in lines if line.marker == "@revoked" and line.blob in (key, authority)), None
        )
        if revoked:
            raise TrustError(
                f"host key {fingerprint(key)} is marked @revoked at {revoked.where}",
                host=login.hostname,
                stage="hostkey",
                remedy="do not connect; give the machine a new host key",
            )
        if certificate is not None and _certifies(certificate, lines, login):
            return
        pinned = [line for line in lines if not line.marker]
        # OpenSSH, too, takes a key that is pinned for the host's name without its port.
        if any(line.blob == key and not line.marker for line in (*pinned, *self._lines(login, bare=True))):
            return
        if pinned:
            raise _changed(login, key, pinned)
        if not self._accept_new:
            raise UnknownHostKeyError(login, key)
        self.pin(login, key)

    def proven_key(self, blob: bytes) -> bytes:
        """Give the plain key of what a key exchange proved: itself, or what a certificate certifies."""
        certificate = _certificate(blob)
        return blob if certificate is None else _certified_keys(certificate)[0]

    def pin(self, login: Login, blob: bytes) -> None:
        """Believe ``blob`` for ``login`` from now on, and write it to the pin file."""
        text = knownhosts.render_line(login.hostkey_name, blob)
        with self._lock:
            self._pin_file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            with self._pin_file.open("a", encoding="utf-8") as file:
                file.write(text)
            self._common += knownhosts.read_lines(text.encode(), str(self._pin_file))
            self._index.clear()
            self.accepted.append(
                Acceptance(login.hostkey_name, knownhosts.key_type_of(blob) or "", fingerprint(blob))
            )

    def _lines(self, login: Login, *, bare: bool = False) -> list[PinLine]:
        files = login.known_hosts_files or self._default_files
        with self._lock:
            index = self._index.get(files)
            if index is None:
                for path in files:
                    if path not in self._files:
                        self._files[path] = knownhosts.read_file(path)
                index = _Index([*self._common, *(line for path in files for line in self._files[path])])
                self._index[files] = index
        return index.covering(login.hostname if bare else login.hostkey_name)


class _Index:
    """Lines by their plain names, so that a thousand hosts do not each read every line."""

    def __init__(self, lines: Iterable[PinLine]) -> None:
        self._by_name: dict[str, list[PinLine]] = {}
        self._others: list[PinLine] = []
        for line in lines:
            if line.names.startswith("|") or any(char in line.names for char in "*?!"):
                self._others.append(line)
                continue
            for name in line.names.lower().split(","):
                self._by_name.setdefault(name, []).append(line)

    def covering(self, name: str) -> list[PinLine]:
        return self._by_name.get(name.lower(), []) + [line for line in self._others if line.covers(name)]


def operator_files() -> tuple[Path, ...]:
    """Name OpenSSH's default known_hosts files, the operator's before the system's."""
    user = Path.home() / ".ssh"
    system = Path("/etc/ssh")
    names = ("known_hosts", "known_hosts2")
    return (*(user / name for name in names), *(system / f"ssh_{name}" for name in names))


def _cluster_pins(options: TrustOptions) -> Iterator[PinLine]:
    for name, keys in options.pins.items():
        for key in keys:
            key_type, encoded = key.split()[:2]
            yield PinLine("the cluster file's pins", 0, "", name, key_type, base64.b64decode(encoded))


def _exchange_types(key_type: str) -> tuple[str, ...]:
    return ("rsa-sha2-512", "rsa-sha2-256") if key_type == "ssh-rsa" else (key_type,)


def _certificate(blob: bytes) -> SSHCertificate | None:
    key_type = knownhosts.key_type_of(blob) or ""
    if not key_type.endswith(_CERT_SUFFIX):
        return None
    try:
        identity = load_ssh_public_identity(key_type.encode() + b" " + base64.b64encode(blob))
    except (ValueError, InvalidSignature):
        return None
    return identity if isinstance(identity, SSHCertificate) else None


def _certified_keys(certificate: SSHCertificate) -> tuple[bytes, bytes]:
    """Give the wire forms of the key that a certificate speaks for, and of its CA's."""
    own, authority = (
        base64.b64decode(
            key.public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH).split()[1]
        )
        for key in (certificate.public_key(), certificate.signature_key())
    )
    return own, authority


def _certifies(certificate: SSHCertificate, lines: Sequence[PinLine], login: Login) -> bool:
    # Source: PROTOCOL.certkeys of OpenSSH; check_host_cert() in sshconnect.c. A host
    # certificate without principals is good for no host.
    authority = _certified_keys(certificate)[1]
    if not any(line.marker == "@cert-authority" and line.blob == authority for line in lines):
        return False
    if certificate.type is not SSHCertificateType.HOST or certificate.critical_options:
        return False
    try:
        certificate.verify_cert_signature()
    except InvalidSignature:
        return False
    name = (login.hostkey_alias or login.hostname).lower()
    principals = [principal.decode("utf-8", "replace").lower() for principal in certificate.valid_principals]
    return name in principals and certificate.valid_after <= time.time() < certificate.valid_before


def _changed(login: Login, key: bytes, pinned: Sequence[PinLine]) -> TrustError:
    line = next((pin for pin in pinned if pin.key_type == knownhosts.key_type_of(key)), pinned[0])
    return TrustError(
        f"host key has changed: got {fingerprint(key)}, pinned is {fingerprint(line.blob)} at {line.where}",
        host=login.hostname,
        stage="hostkey",
        remedy="find out why; if the machine was reinstalled, remove that line and pin the new key",
    )
