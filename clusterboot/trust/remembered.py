"""What the operator remembers of a cluster's members, so that one that is away today stays trusted."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from clusterboot import files
from clusterboot.errors import ClusterbootError

from .homes.known import Member

_FILE = "members.json"


def load(state_dir: Path) -> tuple[Member, ...]:
    """Read the members as the last bootstrap left them; none where there was none.

    Errors: :class:`ClusterbootError` for a file that is not what :func:`save` writes.
    """
    path = state_dir / _FILE
    try:
        return tuple(_member(entry) for entry in json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        return ()
    except (OSError, ValueError, KeyError, TypeError) as problem:
        raise ClusterbootError(
            f"{path} cannot be read: {problem}", remedy="remove it; the next bootstrap writes it anew"
        ) from None


def save(state_dir: Path, members: Iterable[Member]) -> None:
    """Write the members down, whole or not at all; an unchanged file is not touched."""
    text = json.dumps([_entry(member) for member in members], indent=1) + "\n"
    path = state_dir / _FILE
    if path.exists() and path.read_text(encoding="utf-8") == text:
        return
    files.make_private_folder(state_dir)
    files.replace(path, text.encode(), mode=0o600)


def forget(state_dir: Path, names: Iterable[str]) -> None:
    """Take members out of what is remembered."""
    gone = set(names)
    left = [member for member in load(state_dir) if member.name not in gone]
    if left:
        save(state_dir, left)
    else:
        (state_dir / _FILE).unlink(missing_ok=True)


def _entry(member: Member) -> dict[str, Any]:
    return {**vars(member), "host_keys": [base64.b64encode(key).decode() for key in member.host_keys]}


def _member(entry: dict[str, Any]) -> Member:
    return Member(
        **{
            **entry,
            "names": tuple(entry["names"]),
            "sources": tuple(entry["sources"]),
            "host_keys": tuple(base64.b64decode(key) for key in entry["host_keys"]),
        }
    )
