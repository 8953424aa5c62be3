"""Writing a folder of small files so that a reader sees old or new, never half."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from clusterboot.errors import PartialError, UsageError
from clusterboot.files import make_folder, replace


def changes(folder: Path, files: Mapping[str, str]) -> tuple[str, ...]:
    """Say which of ``files`` (text by name) are not in ``folder`` with these very bytes; change nothing.

    Errors: ``PartialError`` at stage ``hostfile`` where a file is there and cannot be read.
    """
    return tuple(name for name, text in files.items() if _current(folder / _plain(name)) != text.encode())


def write(folder: Path, files: Mapping[str, str]) -> tuple[str, ...]:
    """Write ``files`` (text by name) into ``folder``, making it where it is missing.

    Each file is written beside its place, flushed to disk and renamed over it. A file that has
    these bytes already keeps its inode and time.
    Returns: the names of the files that changed, in order.
    Errors: ``PartialError`` at stage ``hostfile`` where the disk or its permissions do not allow it;
    files already renamed stay.
    """
    changed = changes(folder, files)
    try:
        if changed:
            make_folder(folder, mode=0o755)
        for name in changed:
            # Nothing in these files is secret, and mpirun may run as another user.
            replace(folder / name, files[name].encode(), mode=0o644)
    except OSError as error:
        raise _failed(f"{folder} cannot be written: {error.strerror}") from error
    return changed


def _plain(name: str) -> str:
    if not name or name.startswith(".") or "/" in name or "\0" in name:
        raise UsageError(f"{name!r} is no plain file name", stage="hostfile")
    return name


def _current(path: Path) -> bytes | None:
    """Read a regular file; anything else in its place counts as something to replace."""
    try:
        return path.read_bytes() if path.is_file() and not path.is_symlink() else None
    except OSError as error:
        raise _failed(f"{path} cannot be read: {error.strerror}") from error


def _failed(cause: str) -> PartialError:
    return PartialError(cause, stage="hostfile", remedy="check the folder's permissions and free space")
