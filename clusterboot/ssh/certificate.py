"""OpenSSH certificates: what they speak for, and whether a host's is to be believed.

Source: PROTOCOL.certkeys of OpenSSH; ``check_host_cert()`` in its ``sshconnect.c``.
"""

from __future__ import annotations

import base64
import time

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.serialization import (
    SSHCertificate,
    SSHCertificateType,
    load_ssh_public_identity,
)

from . import knownhosts

SUFFIX = "-cert-v01@openssh.com"


def parse(blob: bytes) -> SSHCertificate | None:
    """Read a certificate in wire form; ``None`` for a plain key, or anything else."""
    key_type = knownhosts.key_type_of(blob) or ""
    if not key_type.endswith(SUFFIX):
        return None
    try:
        identity = load_ssh_public_identity(key_type.encode() + b" " + base64.b64encode(blob))
    except Exception:  # a server's bytes: whatever is wrong with them, they are no certificate
        return None
    return identity if isinstance(identity, SSHCertificate) else None


def certified_key(certificate: SSHCertificate) -> bytes:
    """Give the key that a certificate speaks for, in wire form."""
    return _wire(certificate.public_key())


def authority(certificate: SSHCertificate) -> bytes:
    """Give the key of the CA that a certificate names, in wire form."""
    return _wire(certificate.signature_key())


def objection(certificate: SSHCertificate, name: str) -> str | None:
    """Say why a host certificate does not vouch for ``name``; ``None`` where it does.

    A host certificate without principals is good for no host. Who signed is another question.
    """
    principals = [principal.decode("utf-8", "replace").lower() for principal in certificate.valid_principals]
    now_s = time.time()
    try:
        certificate.verify_cert_signature()
    except InvalidSignature:
        return "has a bad signature"
    objections = {
        "is for users, not for hosts": certificate.type is not SSHCertificateType.HOST,
        "has options that are not understood": bool(certificate.critical_options),
        f"is for {', '.join(principals) or 'nobody'}, not for {name}": name.lower() not in principals,
        f"is not valid before {when(certificate.valid_after)}": now_s < certificate.valid_after,
        f"expired at {when(certificate.valid_before)}": now_s >= certificate.valid_before,
    }
    return next((words for words, applies in objections.items() if applies), None)


def _wire(key: serialization.SSHCertPublicKeyTypes) -> bytes:
    encoding, form = serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH
    return base64.b64decode(key.public_bytes(encoding, form).split()[1])


def when(time_s: float) -> str:
    """Write a certificate's time, in seconds since 1970, as people and RFC 3339 do."""
    # "For ever" is the largest number there is, and no calendar goes so far.
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(min(time_s, 253_402_300_799)))
