"""The record of everything that was done to other machines: one JSON line each, chained by hash."""

from __future__ import annotations

import errno
import fcntl
import getpass
import hashlib
import json
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from types import TracebackType
from typing import Any

from clusterboot.config.cluster import Login
from clusterboot.errors import ClusterbootError, UsageError

_FIRST = "0" * 64
# Beside the log: how long it was, and its last line's hash, when a command last ended.
_MARK = ".mark"


class AuditLog:
    """An append-only file of what was done, when, where, as whom and with what outcome.

    Each line carries the SHA-256 of the line before, so that a line that was edited or
    taken out shows; a mark beside the file shows where lines are missing at its end. Several
    commands may write at once.

    Parameters: the file; its folder is made if need be.
    Errors: :class:`ClusterbootError` where it cannot be written: then nothing may be done.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._operator = _operator()
        try:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        except OSError as problem:
            raise self._unwritable(problem.errno) from None

    def ready(self) -> None:
        """Make sure that a line can be written, before something is done that has to be recorded.

        Errors: :class:`ClusterbootError` where it cannot.
        """
        try:
            room = os.fstatvfs(self._file)
        except OSError as problem:
            raise self._unwritable(problem.errno) from None
        if room.f_flag & os.ST_RDONLY:
            raise self._unwritable(errno.EROFS)
        if room.f_blocks and not (room.f_bfree if os.geteuid() == 0 else room.f_bavail):
            raise self._unwritable(errno.ENOSPC)

    def connection(
        self, login: Login, via: str | None, key: str | None, outcome: str, duration_s: float
    ) -> None:
        """Record a login that was made or failed: to whom, through which gateway, with which key."""
        self._write(
            event="connect",
            host=login.hostname,
            port=login.port,
            user=login.user,
            via=via,
            key=key,
            outcome=outcome,
            duration_s=round(duration_s, 3),
        )

    def command(self, login: Login, name: str, command: str, code: int | None, duration_s: float) -> None:
        """Record something that ran on a host: what it was, its exit status, how long it took."""
        self._write(
            event="command",
            host=login.hostname,
            name=name,
            user=login.user,
            command=command,
            exit_code=code,
            duration_s=round(duration_s, 3),
        )

    def close(self) -> None:
        """Mark how far the log has come, and close it."""
        with suppress(OSError), self._alone():
            size = os.fstat(self._file).st_size
            mark = self._path.with_name(self._path.name + _MARK)
            fresh = mark.with_name(mark.name + ".new")
            fresh.write_text(f"{size} {_last_hash(self._file, size)}\n", encoding="ascii")
            fresh.replace(mark)
        os.close(self._file)

    def __enter__(self) -> AuditLog:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @contextmanager
    def _alone(self) -> Iterator[None]:
        with self._lock:
            fcntl.flock(self._file, fcntl.LOCK_EX)
            try:
                yield
            finally:
                fcntl.flock(self._file, fcntl.LOCK_UN)

    def _write(self, **fields: Any) -> None:
        when = datetime.now(timezone.utc).isoformat(timespec="milliseconds")
        try:
            with self._alone():
                size = os.fstat(self._file).st_size
                entry = {"when": when, "operator": self._operator, **fields}
                line = json.dumps({**entry, "previous": _last_hash(self._file, size)}).encode() + b"\n"
                if size and os.pread(self._file, 1, size - 1) != b"\n":
                    # What a crash or a full disk left of a line stays, on a line of its own.
                    line = b"\n" + line
                written = os.write(self._file, line)
        except OSError as problem:
            raise self._unwritable(problem.errno) from None
        if written != len(line):
            raise self._unwritable(errno.ENOSPC)

    def _unwritable(self, number: int | None) -> ClusterbootError:
        return ClusterbootError(
            f"the audit log {self._path} cannot be written: {os.strerror(number or errno.EIO)}",
            remedy="nothing is done without a record; free space or mend its permissions",
        )


@dataclass(frozen=True)
class Flaw:
    """Something that is wrong with an audit log: the line, counted from 1, and what it is."""

    line: int
    cause: str


@dataclass(frozen=True)
class Verdict:
    """What checking an audit log came to: how many entries it has, the last one's hash, its flaws."""

    entries: int
    last_hash: str
    flaws: tuple[Flaw, ...]


def verify(path: Path) -> Verdict:
    """Check an audit log from its first line to its last.

    Returns: where lines were edited, taken out, put elsewhere, or cut off.
    Errors: :class:`UsageError` where it cannot be read.
    """
    try:
        data = path.read_bytes()
    except OSError as problem:
        raise UsageError(
            f"the audit log {path} cannot be read: {problem.strerror}",
            remedy="nothing was recorded for this cluster yet, or the path is wrong",
        ) from None
    flaws: list[Flaw] = []
    previous, entries, number = _FIRST, 0, 0
    for number, line in enumerate(data.removesuffix(b"\n").split(b"\n") if data else [], 1):
        said = _previous(line)
        if said is None:
            flaws.append(Flaw(number, "is no entry: cut off by a crash or a full disk, or edited"))
        elif said != previous:
            flaws.append(
                Flaw(number, "does not follow the line before: one of them was edited, moved or taken out")
            )
        entries += said is not None
        previous = hashlib.sha256(line).hexdigest()
    flaws += _check_mark(path, data, number + 1)
    return Verdict(entries, previous, tuple(flaws))


def _check_mark(path: Path, data: bytes, after_line: int) -> Iterator[Flaw]:
    try:
        size, last = path.with_name(path.name + _MARK).read_text(encoding="ascii").split()
        marked = data[: int(size)]
    except FileNotFoundError:
        return
    except (OSError, ValueError):
        yield Flaw(after_line, "has a mark beside it that cannot be read")
        return
    if len(data) < int(size):
        yield Flaw(after_line, "is missing, or what came after it: the log is shorter than it was")
    elif _hash_of_last(marked) != last:
        yield Flaw(
            after_line, "and the lines before it are not those that the mark beside the log was made for"
        )


def _previous(line: bytes) -> str | None:
    try:
        entry = json.loads(line)
    except ValueError:
        return None
    said = entry.get("previous") if isinstance(entry, dict) else None
    return said if isinstance(said, str) else None


def _last_hash(file: int, size: int) -> str:
    """Hash a file's last line, finished or not."""
    tail, start = b"", size
    while start > 0 and b"\n" not in tail.removesuffix(b"\n"):
        step = min(4096, start)
        start -= step
        tail = os.pread(file, step, start) + tail
    return _hash_of_last(tail)


def _hash_of_last(data: bytes) -> str:
    return hashlib.sha256(data.removesuffix(b"\n").rpartition(b"\n")[2]).hexdigest() if data else _FIRST


def _operator() -> str:
    """Name who is at work, behind sudo too."""
    try:
        name = getpass.getuser()
    except (KeyError, OSError):
        name = str(os.getuid())
    behind = os.environ.get("SUDO_USER")
    return f"{behind} as {name}" if behind and behind != name else name
