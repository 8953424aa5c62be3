"""The operator's keys: read once, asked for once, offered only where they belong."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import paramiko

from clusterboot.config.cluster import Login
from clusterboot.connect.knownhosts import fingerprint
from clusterboot.errors import UsageError

_CERT = "-cert.pub"


@dataclass(frozen=True)
class Identity:
    """A key that can be offered at a login; ``label`` is how messages call it."""

    label: str
    key: paramiko.PKey

    @property
    def fingerprint(self) -> str:
        """The public key's SHA-256 fingerprint."""
        return fingerprint(self.key.asbytes())


class IdentityStore:
    """All private keys of one command, each read from disk once.

    Parameters: ``ask_passphrase`` is called once for each encrypted key, with its path,
    and returns the passphrase; without it an encrypted key is a usage error.
    """

    def __init__(self, ask_passphrase: Callable[[Path], str] | None = None) -> None:
        self._ask = ask_passphrase
        self._files: dict[Path, tuple[Identity, ...]] = {}
        self._agent: tuple[Identity, ...] | None = None
        self._lock = threading.Lock()

    def load(self, path: Path) -> tuple[Identity, ...]:
        """Read a private key file, and its certificate where there is one beside it.

        Returns: the certificate first, then the plain key, as OpenSSH tries them.
        Errors: :class:`UsageError` for a file that is no usable private key.
        """
        with self._lock:
            if path not in self._files:
                self._files[path] = tuple(self._read(path))
            return self._files[path]

    def of(self, login: Login) -> Iterator[Identity]:
        """Yield what ``login`` may offer, in order: its files, then the agent's keys if it may."""
        for path in login.identity_files:
            yield from self.load(path)
        if not login.identities_only:
            yield from self._of_agent()

    def _read(self, path: Path) -> Iterator[Identity]:
        plain = self._read_key(path)
        certificate = path.with_name(path.name + _CERT)
        if certificate.exists():
            certified = self._read_key(path)
            certified.load_certificate(str(certificate))
            yield Identity(str(certificate), certified)
        yield Identity(str(path), plain)

    def _read_key(self, path: Path, passphrase: str | None = None) -> paramiko.PKey:
        error = UsageError(f"{path} is not a usable private key", remedy="name another identity_file")
        for key_class in (paramiko.Ed25519Key, paramiko.ECDSAKey, paramiko.RSAKey):
            try:
                return key_class.from_private_key_file(str(path), passphrase)
            except paramiko.PasswordRequiredException:
                if self._ask is None:
                    raise UsageError(
                        f"{path} is encrypted and there is no terminal to ask for its passphrase",
                        remedy="load it into ssh-agent, or run this on a terminal",
                    ) from None
                return self._read_key(path, self._ask(path))
            except OSError as problem:
                error = UsageError(f"{path}: {problem.strerror}", remedy="check the path and its permissions")
            except (paramiko.SSHException, ValueError):
                continue
        if passphrase is not None:
            error = UsageError(f"{path}: wrong passphrase", remedy="try again")
        raise error

    def _of_agent(self) -> tuple[Identity, ...]:
        with self._lock:
            if self._agent is None:
                self._agent = tuple(_agent_identities())
            return self._agent


def _agent_identities() -> Iterator[Identity]:
    try:
        keys = paramiko.Agent().get_keys()
    except (paramiko.SSHException, OSError):
        # A stale socket is no reason to fail: OpenSSH, too, goes on without the agent.
        return
    for key in keys:
        yield Identity(f"agent key {getattr(key, 'comment', '') or key.get_name()}", key)
