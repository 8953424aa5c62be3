"""Public keys as people paste them into a cluster file to pin a host."""

from __future__ import annotations

import base64

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import load_ssh_public_key

from .problems import RuleError, shown

# Those of plain host keys: RFC 4253 6.6, RFC 5656 3.1, RFC 8709 4, and OpenSSH's PROTOCOL.u2f.
_TYPES = (
    "ssh-ed25519",
    "ssh-rsa",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "sk-ssh-ed25519@openssh.com",
    "sk-ecdsa-sha2-nistp256@openssh.com",
)
_REMEDY = "paste a line of the host's /etc/ssh/ssh_host_ed25519_key.pub"


def check_public_key(text: str) -> str:
    """Let a public key through, as ``type base64`` without its comment.

    Errors: :class:`RuleError` for a type that is no plain host key, for base64 that does
    not decode, and for a blob that is cut off or of another type than the line says.
    """
    kind, _, rest = text.strip().partition(" ")
    if kind not in _TYPES:
        raise RuleError(f"{shown(kind)} is not a type of host key", _REMEDY)
    encoded = (rest.split() or [""])[0]
    try:
        blob = base64.b64decode(encoded, validate=True)
    except ValueError:
        raise RuleError(f"the {kind} key is not base64", _REMEDY) from None
    inside = blob[4 : 4 + int.from_bytes(blob[:4], "big")].decode("ascii", "replace")
    if inside != kind and inside in _TYPES:
        raise RuleError(f"the key says {kind} but is of type {shown(inside)}", _REMEDY)
    try:
        load_ssh_public_key(f"{kind} {encoded}".encode())
    except (ValueError, UnsupportedAlgorithm):
        raise RuleError(f"the {kind} key is cut off or damaged", _REMEDY) from None
    return f"{kind} {encoded}"
