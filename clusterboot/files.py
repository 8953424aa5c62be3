"""Files and folders that nobody but their owner can turn into something else.

A name in a folder that another user may write to can be a link to anywhere by the time it is opened.
So folders are checked once, from the one that the operator chose downwards, and every file is made
through its folder's descriptor, under a name that nobody can guess, and never through a link.
"""

from __future__ import annotations

import contextlib
import errno
import grp
import os
import pwd
import secrets
import stat
from pathlib import Path

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_PRIVATE = 0o700


class UnsafePathError(OSError):
    """A folder or file that another user could change, or that is not what it should be."""

    def __init__(self, path: Path, cause: str) -> None:
        super().__init__(errno.EPERM, cause, str(path))


def make_folder(path: Path, *, mode: int) -> None:
    """Make a folder where it is missing, and check that it and its parent are the caller's own.

    Parameters: the folder; ``mode`` is for it and its parent where they are made, whatever the umask.
    A link that the caller made himself is followed. The folder above both may be another user's,
    but nobody else may be able to change what is in it.
    Errors: :class:`UnsafePathError` for a folder that somebody else owns or can write; :class:`OSError`.
    """
    names = [path.parent.name, path.name]
    path = path.parent.parent
    path.mkdir(parents=True, exist_ok=True)
    handle = os.open(path, _FOLDER)
    try:
        _require_own(path, os.fstat(handle), owner=False)
        for name in names:
            path = path / name
            with contextlib.suppress(FileExistsError):
                os.mkdir(name, _PRIVATE, dir_fd=handle)
                _set_mode(name, handle, mode)
            following = _open_inside(path, name, handle)
            os.close(handle)
            handle = following
    finally:
        os.close(handle)


def make_private_folder(path: Path) -> None:
    """Make a folder for the operator alone, its missing parents too, and check that it is the operator's own.

    Errors: :class:`UnsafePathError` for a folder that somebody else owns or can write; :class:`OSError`.
    """
    missing = []
    at = path
    while not at.exists():
        missing.append(at)
        at = at.parent
    for each in reversed(missing):
        with contextlib.suppress(FileExistsError):
            each.mkdir(mode=_PRIVATE)
            each.chmod(_PRIVATE)
    _require_own(path, path.stat())


def obstacle(path: Path) -> str | None:
    """Say why a folder that is there must not be written to; ``None`` where it may, or is not there."""
    try:
        _require_own(path, path.stat())
    except UnsafePathError as problem:
        return problem.strerror
    except OSError:
        return None
    return None


def replace(path: Path, content: bytes, *, mode: int | None = None) -> None:
    """Put ``content`` in place of a file, so that a reader sees the old or the new, never a part.

    It is written beside its place, flushed to the disk and renamed; a link in its place is replaced,
    not followed. ``mode`` is the file's; ``None`` gives its folder's, without the right to execute.
    Errors: :class:`OSError`; then nothing has changed.
    """
    folder = os.open(path.parent, _FOLDER)
    beside = f".{path.name}.{secrets.token_hex(8)}"
    try:
        handle = os.open(beside, _NEW | os.O_WRONLY, 0o600, dir_fd=folder)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(content)
                file.flush()
                os.fchmod(handle, _mode_in(folder) if mode is None else mode)
                os.fsync(handle)
            os.rename(beside, path.name, src_dir_fd=folder, dst_dir_fd=folder)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(beside, dir_fd=folder)
            raise
        # The new name has to survive a crash of the machine as well.
        os.fsync(folder)
    finally:
        os.close(folder)


def open_to_append(path: Path, *, mode: int | None = None) -> int:
    """Open a file to read and to append to, making it where it is missing.

    Returns: its descriptor. ``mode`` is as for :func:`replace`.
    Errors: :class:`UnsafePathError` where something else than a file of the caller's own is in its
    place, a link among them; :class:`OSError`.
    """
    folder = os.open(path.parent, _FOLDER)
    flags = os.O_RDWR | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
    try:
        try:
            handle = os.open(path.name, flags | _NEW, 0o600, dir_fd=folder)
            os.fchmod(handle, _mode_in(folder) if mode is None else mode)
        except FileExistsError:
            try:
                handle = os.open(path.name, flags, dir_fd=folder)
            except OSError as problem:
                if problem.errno in (errno.ELOOP, errno.ENXIO):
                    raise UnsafePathError(path, "it is no regular file") from None
                raise
            _require_own_file(path, handle)
    finally:
        os.close(folder)
    return handle


_NEW = os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


def _open_inside(path: Path, name: str, folder: int) -> int:
    link = stat.S_ISLNK(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode)
    if link:
        _require_own(path, os.stat(name, dir_fd=folder, follow_symlinks=False))
    handle = os.open(name, _FOLDER | (0 if link else os.O_NOFOLLOW), dir_fd=folder)
    try:
        _require_own(path, os.fstat(handle))
    except BaseException:
        os.close(handle)
        raise
    return handle


def _set_mode(name: str, folder: int, mode: int) -> None:
    handle = os.open(name, _FOLDER | os.O_NOFOLLOW, dir_fd=folder)
    try:
        os.fchmod(handle, mode)
    finally:
        os.close(handle)


def _mode_in(folder: int) -> int:
    return stat.S_IMODE(os.fstat(folder).st_mode) & 0o666


def _require_own(path: Path, status: os.stat_result, *, owner: bool = True) -> None:
    """Refuse what another user owns or can write; of a base folder only the latter counts."""
    if owner and status.st_uid not in _trusted_owners():
        raise UnsafePathError(path, f"it belongs to {_user(status.st_uid)}")
    if stat.S_ISLNK(status.st_mode) or status.st_mode & stat.S_ISVTX:
        return  # In a sticky folder nobody else can rename or remove what is ours.
    if status.st_mode & stat.S_IWOTH:
        raise UnsafePathError(path, "everybody can write to it")
    if status.st_mode & stat.S_IWGRP and not _is_private_group(status.st_uid, status.st_gid):
        raise UnsafePathError(path, f"the group {_group(status.st_gid)} can write to it")


def _require_own_file(path: Path, handle: int) -> None:
    status = os.fstat(handle)
    cause = None
    if not stat.S_ISREG(status.st_mode):
        cause = "it is no regular file"
    elif status.st_uid not in _trusted_owners():
        cause = f"it belongs to {_user(status.st_uid)}"
    elif status.st_nlink > 1:
        cause = "it has a second name elsewhere (a hard link)"
    if cause:
        os.close(handle)
        raise UnsafePathError(path, cause)


def _trusted_owners() -> set[int]:
    """The caller, root, and behind sudo whoever called it."""
    behind = os.environ.get("SUDO_UID", "")
    sudo = {int(behind)} if os.geteuid() == 0 and behind.isascii() and behind.isdigit() else set()
    return {0, os.geteuid()} | sudo


def _is_private_group(uid: int, gid: int) -> bool:
    """Tell whether a group is its owner's alone, as Debian and Red Hat give each user one.

    Source: Debian's openssh, user-group-modes.patch, which trusts such a group as well.
    """
    try:
        user, group = pwd.getpwuid(uid), grp.getgrgid(gid)
    except KeyError:
        return False
    return user.pw_gid == gid and group.gr_name == user.pw_name and set(group.gr_mem) <= {user.pw_name}


def _user(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"the user with number {uid}"


def _group(gid: int) -> str:
    try:
        return grp.getgrgid(gid).gr_name
    except KeyError:
        return f"with number {gid}"
