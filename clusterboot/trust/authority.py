"""Credentials that the operator holds: the cluster's certificate authority, or its one shared key.

Certificates are short-lived and say who, from where, and nothing more: one principal, the
node's own addresses, no extension, so no forwarding and no terminal.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_ssh_private_key,
    load_ssh_public_identity,
    load_ssh_public_key,
)
from cryptography.hazmat.primitives.serialization import ssh as sshformat

from clusterboot import files
from clusterboot.errors import PartialError, UsageError
from clusterboot.inventory.cluster import KeyMode
from clusterboot.session.context import Context

from .homes.tagged_lines import principal

#: A certificate is valid from so long before it is made, for clocks that differ; in seconds.
BACKDATED_S = 300
DEFAULT_HOURS = 24
_FILES = {"ca": "ca_key", "shared": "shared_key"}


@dataclass(frozen=True)
class Authority:
    """A key pair of the operator's; ``public`` is ``ssh-ed25519 AAAA…`` without a comment.

    ``passphrase`` is what its file is encrypted with, ``None`` where it is not.
    """

    key: Ed25519PrivateKey
    passphrase: str | None = field(default=None, repr=False)

    @property
    def public(self) -> str:
        """The public half."""
        return self.key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()

    @property
    def private_text(self) -> str:
        """The private half as an unencrypted OpenSSH key file, for the mode in which nodes share it."""
        return self.key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()).decode()

    @property
    def short(self) -> str:
        """Eight hexadecimal digits that tell this key from its predecessors in file names."""
        return hashlib.sha256(self.public.encode()).hexdigest()[:8]


@dataclass(frozen=True)
class CertificateState:
    """What a certificate says: for which key and principal, signed by whom, from when until when."""

    public_key: str
    signer: str
    principals: tuple[str, ...]
    valid_after_s: int
    valid_before_s: int
    source_addresses: str

    def is_due(self, now_s: float) -> bool:
        """Tell whether half of its life is over, or it has not begun."""
        return not self.valid_after_s <= now_s < (self.valid_after_s + self.valid_before_s) / 2


def load(path: Path, ask: Callable[[Path], str] | None = None) -> Authority | None:
    """Read a key of the operator's; ``None`` where there is none.

    Parameters: the file; ``ask`` gives the passphrase of an encrypted one.
    Errors: :class:`UsageError` for what is no such key, or one that cannot be opened.
    """
    try:
        text = path.read_bytes()
    except FileNotFoundError:
        return None
    try:
        return Authority(_private(text, None))
    except TypeError:
        pass
    except (ValueError, UnsupportedAlgorithm) as problem:
        raise UsageError(f"{path} is no ed25519 key: {problem}", remedy="restore it from a backup") from None
    if ask is None:
        raise UsageError(
            f"{path} is encrypted, and there is no terminal to ask for its passphrase",
            remedy="run this at a terminal",
        )
    passphrase = ask(path)
    try:
        return Authority(_private(text, passphrase.encode()), passphrase)
    except ValueError:
        raise UsageError(f"that passphrase does not open {path}", remedy="try again") from None


def unlock(context: Context, mode: KeyMode | None) -> None:
    """Read the operator's key for a mode before anything is contacted, and so ask for its passphrase.

    Errors: as for :func:`load`.
    """
    if mode in _FILES:
        load(context.state_dir / _FILES[mode], context.ask_passphrase)


def load_authority(context: Context, mode: KeyMode, trusted: Collection[str]) -> Authority | None:
    """Get the operator's key for a mode, making it if there is none yet; ``None`` for a mode without one.

    Parameters: ``trusted`` are the public keys that nodes trust now. Where that is the key that a
    rotation which was cut off had made, it is the one that counts. In a dry run nothing is made.
    Errors: :class:`PartialError` for a key that cannot be opened, and for an empty passphrase.
    """
    if mode not in _FILES:
        return None
    path = context.state_dir / _FILES[mode]
    held = _held(path, context)
    following = _held(_following(path), context)
    if following is not None and following.public in trusted and not (held and held.public in trusted):
        if not context.dry_run:
            promote(context.state_dir, mode)
        held = following
    encrypt = context.encrypt_keys and context.ask_passphrase is not None
    if context.dry_run or (held and (held.passphrase or not encrypt)):
        return held
    passphrase = _new_passphrase(context, path) if encrypt else None
    return create(path, passphrase, held.key if held else None)


def load_next(context: Context, mode: KeyMode) -> Authority | None:
    """Get the successor of the operator's key for a mode, which is kept beside it until :func:`promote`.

    It is as well encrypted as the one that it follows.
    Errors: :class:`PartialError` for a key that cannot be opened.
    """
    if mode not in _FILES:
        return None
    path = context.state_dir / _FILES[mode]
    following = _held(_following(path), context)
    if following is None:
        held = _held(path, context)
        following = create(_following(path), held.passphrase if held else None)
    return following


def promote(state_dir: Path, mode: KeyMode) -> None:
    """Make the operator's new key the one that counts, once no node uses the old one."""
    if mode in _FILES:
        path = state_dir / _FILES[mode]
        if _following(path).exists():
            _following(path).rename(path)


def forget(state_dir: Path) -> None:
    """Remove the operator's keys for a cluster that is no more."""
    for name in _FILES.values():
        for path in (state_dir / name, _following(state_dir / name)):
            path.unlink(missing_ok=True)


def _held(path: Path, context: Context) -> Authority | None:
    """Read a key for the mode that the nodes turned out to be in."""
    try:
        return load(path, context.ask_passphrase)
    except UsageError as error:
        raise PartialError(error.cause, stage="keys", remedy=error.remedy) from None


def _new_passphrase(context: Context, path: Path) -> str:
    passphrase = context.ask_passphrase(path) if context.ask_passphrase else ""
    if not passphrase:
        cause = "an empty passphrase encrypts nothing"
        raise PartialError(cause, stage="keys", remedy="type one, or leave out --encrypt-keys")
    return passphrase


def _following(path: Path) -> Path:
    return path.with_name(f"{path.name}.next")


def create(path: Path, passphrase: str | None = None, key: Ed25519PrivateKey | None = None) -> Authority:
    """Keep a key pair for the operator alone, whole or not at all.

    Parameters: the file; what it is encrypted with, if anything; the key, where it is no new one.
    """
    authority = Authority(key or Ed25519PrivateKey.generate(), passphrase or None)
    encryption = BestAvailableEncryption(passphrase.encode()) if passphrase else NoEncryption()
    text = authority.key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, encryption)
    files.make_private_folder(path.parent)
    files.replace(path, text, mode=0o600)
    return authority


def user_certificate(
    authority: Authority,
    cluster: str,
    host: str,
    public_key: str,
    sources: Sequence[str],
    *,
    now_s: float,
    hours: float = DEFAULT_HOURS,
) -> str:
    """Sign a node's public key: the text of its ``…-cert.pub``.

    Parameters: ``sources`` are the addresses that its logins may come from, in CIDR form or
    plain; ``hours`` is how long it lives.
    Source: PROTOCOL.certkeys of OpenSSH.
    """
    key = load_ssh_public_key(public_key.encode())
    if not isinstance(key, Ed25519PublicKey):
        raise ValueError("a node's key is ed25519")  # noqa: TRY004
    certificate = (
        sshformat.SSHCertificateBuilder()
        .public_key(key)
        .serial(int.from_bytes(os.urandom(7), "big"))
        .type(sshformat.SSHCertificateType.USER)
        .key_id(f"clusterboot:{cluster}:{host}".encode())
        .valid_principals([principal(cluster).encode()])
        .valid_after(int(now_s) - BACKDATED_S)
        .valid_before(int(now_s + hours * 3600))
        .add_critical_option(b"source-address", ",".join(sources).encode())
        .sign(authority.key)
    )
    return certificate.public_bytes().decode() + "\n"


def read_certificate(text: str) -> CertificateState | None:
    """Read what a certificate says; ``None`` for junk, or one whose signature does not hold."""
    try:
        found = load_ssh_public_identity(text.strip().encode())
        if not isinstance(found, sshformat.SSHCertificate):
            return None
        found.verify_cert_signature()
    except (ValueError, InvalidSignature, UnsupportedAlgorithm):
        return None
    shape = (Encoding.OpenSSH, PublicFormat.OpenSSH)
    return CertificateState(
        found.public_key().public_bytes(*shape).decode(),
        found.signature_key().public_bytes(*shape).decode(),
        tuple(word.decode() for word in found.valid_principals),
        found.valid_after,
        found.valid_before,
        found.critical_options.get(b"source-address", b"").decode(),
    )


def _private(text: bytes, passphrase: bytes | None) -> Ed25519PrivateKey:
    key = load_ssh_private_key(text, passphrase)
    if not isinstance(key, Ed25519PrivateKey):
        raise ValueError(f"it is of type {type(key).__name__}")  # noqa: TRY004
    return key
