"""Where labs are kept: one folder each, with the state in ``lab.json``."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

from clusterboot.errors import UsageError
from clusterboot.files import replace

from . import machine
from .description import Lab, from_json, to_json

_NAME = re.compile(r"[a-z][a-z0-9-]{1,40}")
_STATE = "lab.json"


def root() -> Path:
    """Give the folder of all labs: ``$CLUSTERBOOT_LAB_ROOT``, else /var/lib/clusterboot-lab."""
    return Path(os.environ.get("CLUSTERBOOT_LAB_ROOT") or "/var/lib/clusterboot-lab").absolute()


def folder(name: str) -> Path:
    """Give the folder of the lab ``name``. Errors: ``UsageError`` for what cannot be a name."""
    if not _NAME.fullmatch(name):
        raise UsageError(
            f"'{name}' cannot be a lab's name",
            remedy="use 2 to 41 lower-case letters, digits and dashes, a letter first",
        )
    return root() / name


def names() -> list[str]:
    """List the labs that have a folder, running or not."""
    try:
        return sorted(path.name for path in root().iterdir() if path.is_dir() and _NAME.fullmatch(path.name))
    except FileNotFoundError:
        return []


def load(name: str) -> Lab | None:
    """Read a lab's state; ``None`` where there is none, or none that can be read."""
    try:
        return from_json((folder(name) / _STATE).read_text(encoding="utf-8"))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def create(lab: Lab) -> None:
    """Make a lab's folder, with its state in it. Errors: ``UsageError`` where the place will not do."""
    try:
        if not lab.folder.parent.exists():
            lab.folder.parent.mkdir(parents=True)
            lab.folder.parent.chmod(0o755)
        lab.folder.mkdir()
        lab.folder.chmod(0o755)  # Whatever the umask: who dials the lab need not be who started it.
    except OSError as error:
        raise UsageError(
            f"{lab.folder} cannot be made: {error.strerror}",
            remedy="name another place in CLUSTERBOOT_LAB_ROOT",
        ) from error
    if os.statvfs(lab.folder).f_flag & os.ST_NOEXEC:
        raise UsageError(
            f"{lab.folder} is on a file system mounted noexec, where no benchmark could run",
            remedy="name another place in CLUSTERBOOT_LAB_ROOT",
        )
    save(lab)


def save(lab: Lab) -> None:
    """Write a lab's state, whole or not at all."""
    replace(lab.folder / _STATE, to_json(lab).encode())


def delete(name: str) -> None:
    """Remove a lab's folder, and the folder of all labs with the last one."""
    path = folder(name)
    if path.is_dir():
        try:
            shutil.rmtree(path)
        except PermissionError:
            # Root deletes everything but what somebody in the lab made immutable: chattr(1).
            machine.run([machine.tool("chattr"), "-R", "-i", str(path)])
            shutil.rmtree(path)
    try:
        root().rmdir()
    except OSError:
        return  # Others are in it, or it was never there.
