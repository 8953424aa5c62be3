"""Reading of OpenSSH's known_hosts files: which line speaks of which host, and how.

Source: sshd(8), SSH_KNOWN_HOSTS FILE FORMAT; ``hostfile.c`` and ``match.c`` of OpenSSH.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Literal

Marker = Literal["", "@cert-authority", "@revoked"]
_BLANKS = re.compile(r"[ \t]+")
_MARKERS: dict[str, Marker] = {"@cert-authority": "@cert-authority", "@revoked": "@revoked"}


@dataclass(frozen=True)
class PinLine:
    """One line of a known_hosts file. ``names`` is its first field as written, hashed or not."""

    source: str
    line: int
    marker: Marker
    names: str
    key_type: str
    blob: bytes

    @property
    def where(self) -> str:
        """The line's place, as ``file:line``."""
        return f"{self.source}:{self.line}"

    def covers(self, name: str) -> bool:
        """Tell whether the line speaks of ``name``: a host name, or ``[host]:port``."""
        if self.names.startswith("|"):
            return _matches_hash(self.names, name)
        verdicts = [
            not pattern.startswith("!")
            for pattern in self.names.split(",")
            if _glob(pattern.removeprefix("!").lower()).fullmatch(name.lower())
        ]
        return bool(verdicts) and all(verdicts)


def read_lines(text: bytes, source: str) -> Iterator[PinLine]:
    """Yield each usable line of a known_hosts file.

    Lines that OpenSSH would pass over (comments, junk, undecodable keys) are passed over.
    Parameters: the file's bytes; the name by which messages call it.
    """
    for number, raw in enumerate(text.split(b"\n"), 1):
        # Blanks are spaces and tabs; what other characters Python takes for one are part of a word.
        fields = _BLANKS.split(raw.rstrip(b"\r").decode("utf-8", "surrogateescape").strip(" \t"))
        if not fields[0] or fields[0].startswith("#"):
            continue
        marker = _MARKERS.get(fields[0], "")
        if marker:
            del fields[0]
        if len(fields) < 3 or fields[0].startswith("@"):
            continue
        try:
            blob = base64.b64decode(fields[2], validate=True)
        except (binascii.Error, ValueError):
            continue
        if key_type_of(blob) == fields[1]:
            yield PinLine(source, number, marker, fields[0], fields[1], blob)


def read_file(path: Path) -> list[PinLine]:
    """Read a known_hosts file; one that is absent or unreadable has no lines."""
    try:
        return list(read_lines(path.read_bytes(), str(path)))
    except OSError:
        return []


def key_type_of(blob: bytes) -> str | None:
    """Give the type that a public key's wire form names itself, ``None`` for junk."""
    length = int.from_bytes(blob[:4], "big")
    if not 0 < length <= min(64, len(blob) - 4):
        return None
    return blob[4 : 4 + length].decode("ascii", "replace")


def fingerprint(blob: bytes) -> str:
    """Give a key's fingerprint as OpenSSH prints it: ``SHA256:`` and unpadded base64."""
    return "SHA256:" + base64.b64encode(hashlib.sha256(blob).digest()).decode().rstrip("=")


def render_line(name: str, blob: bytes) -> str:
    """Write a known_hosts line for one name, with its newline."""
    return f"{name} {public_text(blob)}\n"


def public_text(blob: bytes) -> str:
    """Write a public key as key files have it, ``ssh-ed25519 AAAA…``, without a comment."""
    return f"{key_type_of(blob)} {base64.b64encode(blob).decode()}"


def _matches_hash(names: str, name: str) -> bool:
    parts = names.split("|")
    if len(parts) != 4 or parts[:2] != ["", "1"]:
        return False
    try:
        salt, digest = (base64.b64decode(part, validate=True) for part in parts[2:])
    except (binascii.Error, ValueError):
        return False
    return hmac.compare_digest(hmac.digest(salt, name.lower().encode(), "sha1"), digest)


@lru_cache(maxsize=65536)
def _glob(pattern: str) -> re.Pattern[str]:
    # Only * and ? are special in OpenSSH's patterns; [host]:port must stay literal.
    return re.compile(
        "".join({"*": ".*", "?": "."}.get(char, re.escape(char)) for char in pattern), re.DOTALL
    )
