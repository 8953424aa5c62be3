"""Public keys as people paste them into a cluster file to pin a host."""

from __future__ import annotations

import base64
import binascii

from .problems import RuleError, shown

# How many fields a blob has after its type: RFC 4253 6.6, RFC 5656 3.1, RFC 8709 4,
# and OpenSSH's PROTOCOL.u2f.
_FIELDS = {
    "ssh-ed25519": 1,
    "ssh-rsa": 2,
    "ecdsa-sha2-nistp256": 2,
    "ecdsa-sha2-nistp384": 2,
    "ecdsa-sha2-nistp521": 2,
    "sk-ssh-ed25519@openssh.com": 2,
    "sk-ecdsa-sha2-nistp256@openssh.com": 3,
}
_REMEDY = "paste a line of the host's /etc/ssh/ssh_host_ed25519_key.pub"


def check_public_key(text: str) -> str:
    """Let a public key through, as ``type base64`` without its comment.

    Errors: :class:`RuleError` for a type that is no plain host key, for base64 that does
    not decode, and for a blob that is cut off or of another type than the line says.
    """
    kind, _, rest = text.strip().partition(" ")
    if kind not in _FIELDS:
        raise RuleError(f"{shown(kind)} is not a type of host key", _REMEDY)
    encoded = rest.split()[0] if rest.split() else ""
    try:
        blob = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        raise RuleError(f"the {kind} key is not base64", _REMEDY) from None
    fields = _fields(blob)
    if fields is None or len(fields) != 1 + _FIELDS[kind] or not all(fields):
        raise RuleError(f"the {kind} key is cut off or damaged", _REMEDY)
    if fields[0] != kind.encode():
        raise RuleError(
            f"the key says {kind} but is of type {shown(fields[0].decode('ascii', 'replace'))}", _REMEDY
        )
    if kind == "ssh-ed25519" and len(fields[1]) != 32:
        raise RuleError(f"the {kind} key is cut off or damaged", _REMEDY)
    return f"{kind} {encoded}"


def _fields(blob: bytes) -> list[bytes] | None:
    """Split an SSH blob into its length-prefixed strings (RFC 4251, section 5)."""
    fields: list[bytes] = []
    at = 0
    while at < len(blob):
        end = at + 4 + int.from_bytes(blob[at : at + 4], "big")
        if at + 4 > len(blob) or end > len(blob):
            return None
        fields.append(blob[at + 4 : end])
        at = end
    return fields
