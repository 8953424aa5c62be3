"""Which host keys are believed: pins from known_hosts files, the cluster file and ``--accept-new``.

A key is asked about once, between key exchange and login; nothing turns the question off.
"""

from __future__ import annotations

import base64
import os
import threading
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from clusterboot import files
from clusterboot.errors import ClusterbootError, HostKeySeen, TrustError
from clusterboot.inventory.cluster import Login, TrustOptions
from clusterboot.printable import one_line

from . import certificate, knownhosts
from .knownhosts import PinLine, fingerprint

_KEY_TYPES = ("ssh-ed25519", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521", "ssh-rsa")


class UnknownHostKeyError(TrustError):
    """A host key that no pin speaks of: nothing wrong is known of it, and nothing right."""

    def __init__(self, login: Login, blob: bytes) -> None:
        super().__init__(
            f"host key {fingerprint(blob)} ({knownhosts.key_type_of(blob)}) is unknown",
            host=login.place,
            stage="hostkey",
            remedy="compare it with the machine's own, then use --accept-new or add it to known_hosts",
        )
        self.login = login
        self.blob = blob

    @property
    def seen(self) -> HostKeySeen:
        """The key as it is shown to the operator, who has to compare it."""
        key_type = knownhosts.key_type_of(self.blob) or ""
        return HostKeySeen(self.host or "", self.login.place, key_type, fingerprint(self.blob))


@dataclass(frozen=True)
class Acceptance:
    """A key that was pinned because the operator said so: by ``--accept-new`` or at the question."""

    name: str
    key_type: str
    fingerprint: str


class TrustStore:
    """All pins of one command, asked by every connection.

    Parameters: ``default_files`` are known_hosts files for logins that name none of their own;
    ``options`` has the cluster file's pins and files; ``pin_file`` is where accepted keys are
    kept; with ``accept_new`` a key that is seen for the first time is pinned there, not refused.
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
        self._common = _Index(_cluster_pins(options))
        for path in (pin_file, *options.known_hosts):
            self._common.add(knownhosts.read_file(path))
        self._files: dict[Path, _Index] = {}
        # Held from a question to its answer: of two machines that want the same name, one gets it.
        self._lock = threading.RLock()
        self.accepted: list[Acceptance] = []

    def key_types(self, login: Login) -> tuple[str, ...]:
        """Name the host key types to prefer for ``login``: those that are pinned, CAs' certificates first.

        Returns: types as in the key exchange; empty where nothing is pinned yet.
        """
        lines = [line for name in _names(login) for line in self._lines(login, name)]
        plain = dict.fromkeys(line.key_type for line in lines if not line.marker)
        types = [kind for key_type in plain for kind in _exchange_types(key_type)]
        if any(line.marker == "@cert-authority" for line in lines):
            bases = [kind for base in _KEY_TYPES for kind in _exchange_types(base)]
            types = [kind + certificate.SUFFIX for kind in bases] + types
        return tuple(types)

    def lines_for(self, login: Login) -> str:
        """Write a known_hosts file of what is known of ``login``'s machine, for a client of that alone."""
        lines = [line for name in _names(login) for line in self._lines(login, name)]
        texts = (f"{line.marker} * {knownhosts.public_text(line.blob)}".lstrip() for line in lines)
        return "".join(f"{text}\n" for text in dict.fromkeys(texts))

    def pinned(self, login: Login) -> tuple[bytes, ...]:
        """Give every key that is pinned for ``login``'s machine, in wire form; no CA's."""
        lines = self._lines(login, login.hostkey_name)
        return tuple(dict.fromkeys(line.blob for line in lines if not line.marker))

    def check(self, login: Login, blob: bytes) -> None:
        """Accept the host key that ``login``'s machine has proven to own, or raise.

        Parameters: ``blob`` is the key in wire form, a certificate included.
        Errors: :class:`UnknownHostKeyError` where nothing is pinned, :class:`TrustError`
        where the key is revoked or another one is pinned.
        """
        with self._lock:
            key = self.proven_key(blob)
            objection = None
            for name in _names(login):
                verdict = self._judge(login, name, blob)
                if verdict is True:
                    return
                objection = objection or verdict
            if objection:
                raise TrustError(
                    objection,
                    host=login.place,
                    stage="hostkey",
                    remedy="have the CA sign this machine's host key for that name and time",
                )
            if not self._accept_new:
                raise UnknownHostKeyError(login, key)
            self.pin(login, key)

    def proven_key(self, blob: bytes) -> bytes:
        """Give the plain key of what a key exchange proved: itself, or what a certificate certifies."""
        certified = certificate.parse(blob)
        return blob if certified is None else certificate.certified_key(certified)

    def pin(self, login: Login, blob: bytes) -> None:
        """Believe ``blob`` for ``login`` from now on, and write it to the pin file.

        Errors: :class:`TrustError` where another key was pinned meanwhile;
        :class:`ClusterbootError` where the file cannot be written.
        """
        text = knownhosts.render_line(login.hostkey_name, blob)
        with self._lock:
            if self._judge(login, login.hostkey_name, blob) is True:
                return
            try:
                _append(self._pin_file, text)
            except OSError as problem:
                raise ClusterbootError(
                    f"{self._pin_file} cannot be written: {problem.strerror}",
                    host=login.place,
                    stage="hostkey",
                    remedy="a key that cannot be pinned is not believed; free space or mend its permissions",
                ) from None
            self._common.add(knownhosts.read_lines(text.encode(), str(self._pin_file)))
            self.accepted.append(
                Acceptance(login.hostkey_name, knownhosts.key_type_of(blob) or "", fingerprint(blob))
            )

    def _judge(self, login: Login, name: str, blob: bytes) -> bool | str | None:
        """Ask the lines that speak of ``name`` about a key.

        Returns: true where they vouch for it, ``None`` where they do not know it, or what is wrong
        with a certificate of a CA that they trust. Errors: :class:`TrustError` where they know better.
        """
        lines = self._lines(login, name)
        certified = certificate.parse(blob)
        key = blob if certified is None else certificate.certified_key(certified)
        signer = None if certified is None else certificate.authority(certified)
        for line in lines:
            if line.marker == "@revoked" and line.blob in (key, signer):
                raise _revoked(login, key, line)
        pinned = [line for line in lines if not line.marker]
        if any(line.blob == key for line in pinned):
            return True
        vouching = any(line.marker == "@cert-authority" and line.blob == signer for line in lines)
        objection = None
        if certified is not None and vouching:
            problem = certificate.objection(certified, login.hostkey_alias or login.hostname)
            if problem is None:
                return True
            objection = f"the host certificate {one_line(problem)}"
        # Another key under the name without the port is that of another sshd there.
        if pinned and name == login.hostkey_name:
            raise _changed(login, key, pinned)
        return objection

    def _lines(self, login: Login, name: str) -> list[PinLine]:
        found = self._common.covering(name)
        for path in login.known_hosts_files or self._default_files:
            with self._lock:
                if path not in self._files:
                    self._files[path] = _Index(knownhosts.read_file(path))
            found += self._files[path].covering(name)
        return found


class _Index:
    """Lines by their plain names, so that a thousand hosts do not each read every line."""

    def __init__(self, lines: Iterable[PinLine]) -> None:
        self._by_name: dict[str, list[PinLine]] = {}
        self._others: list[PinLine] = []
        self.add(lines)

    def add(self, lines: Iterable[PinLine]) -> None:
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


def _names(login: Login) -> tuple[str, ...]:
    """Give the names to look under, in order: OpenSSH, too, takes a host's key for its other ports.

    Source: ``check_host_key()`` in sshconnect.c, "checking without port identifier".
    """
    name = login.hostkey_name
    return (name,) if name == login.hostname or login.hostkey_alias else (name, login.hostname)


def _cluster_pins(options: TrustOptions) -> Iterator[PinLine]:
    for name, keys in options.pins.items():
        for key in keys:
            key_type, encoded = key.split()[:2]
            yield PinLine("the cluster file's pins", 0, "", name, key_type, base64.b64decode(encoded))


def _exchange_types(key_type: str) -> tuple[str, ...]:
    return ("rsa-sha2-512", "rsa-sha2-256") if key_type == "ssh-rsa" else (key_type,)


def _append(path: Path, text: str) -> None:
    files.make_private_folder(path.parent)
    with os.fdopen(files.open_to_append(path, mode=0o600), "ab+") as file:
        size = file.seek(0, os.SEEK_END)
        # A line that a crash left unfinished must not swallow this one.
        whole = size == 0 or os.pread(file.fileno(), 1, size - 1) == b"\n"
        file.write(("" if whole else "\n").encode() + text.encode())


def _revoked(login: Login, key: bytes, line: PinLine) -> TrustError:
    return TrustError(
        f"host key {fingerprint(key)} is marked @revoked at {line.where}",
        host=login.place,
        stage="hostkey",
        remedy="do not connect; give the machine a new host key",
    )


def _changed(login: Login, key: bytes, pinned: Sequence[PinLine]) -> TrustError:
    key_type = knownhosts.key_type_of(key)
    line = next((pin for pin in pinned if pin.key_type == key_type), None)
    also = ""
    if line is None:
        line = pinned[0]
        also = f", a {line.key_type} key that it does not offer any more"
    return TrustError(
        f"host key has changed: got {fingerprint(key)} ({key_type}),"
        f" pinned is {fingerprint(line.blob)} at {line.where}{also}",
        host=login.place,
        stage="hostkey",
        remedy="find out why; if the machine was reinstalled, remove that line and pin the new key",
    )
