"""The record of everything that was done to other machines: one JSON line each, chained by hash."""

from __future__ import annotations

import errno
import fcntl
import getpass
import hashlib
import json
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from types import TracebackType
from typing import Any

from clusterboot import files
from clusterboot.errors import ClusterbootError, UsageError
from clusterboot.inventory.cluster import Login

_FIRST = "0" * 64
# Beside the log: how long it is, and its last line's hash, as of the last line written.
_MARK = ".mark"
# What an entry says that a command wrote when it found the log not as the mark has it.
_FLAW = "flaw"


class AuditLog:
    """An append-only file of what was done, when, where, as whom and with what outcome.

    Each line carries the SHA-256 of the line before, so that a line that was edited or
    taken out shows; a mark beside the file, brought up to date with each line, shows where lines are
    missing at its end. A log that is not as its mark has it gets an entry that says so, for good.
    Several commands may write at once.

    Parameters: the file; its folder is made if need be.
    Errors: :class:`ClusterbootError` where it cannot be written: then nothing may be done.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._operator = _operator()
        try:
            files.make_private_folder(path.parent)
            self._file = files.open_to_append(path, mode=0o600)
            try:
                self._mark = self._open_mark()
            except BaseException:
                os.close(self._file)
                raise
        except OSError as problem:
            raise self._unwritable(problem.strerror) from None

    def ready(self) -> None:
        """Make sure that a line can be written, before something is done that has to be recorded.

        Errors: :class:`ClusterbootError` where it cannot.
        """
        try:
            room = os.fstatvfs(self._file)
        except OSError as problem:
            raise self._unwritable(problem.strerror) from None
        if room.f_flag & os.ST_RDONLY:
            raise self._unwritable(os.strerror(errno.EROFS))
        if room.f_blocks and not (room.f_bfree if os.geteuid() == 0 else room.f_bavail):
            raise self._unwritable(os.strerror(errno.ENOSPC))

    def connection(
        self,
        login: Login,
        via: str | None,
        key: str | None,
        outcome: str,
        duration_s: float,
        *,
        host_key: str | None = None,
    ) -> None:
        """Record a login that was made or failed: to whom, through which gateway, with which key.

        ``host_key`` is the fingerprint of the machine's own key where OpenSSH's client saw it.
        """
        self._write(
            event="connect",
            host=login.hostname,
            port=login.port,
            user=login.user,
            via=via,
            key=key,
            outcome=outcome,
            duration_s=round(duration_s, 3),
            **({"host_key": host_key} if host_key else {}),
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
        """Close it."""
        os.close(self._mark)
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

    def _open_mark(self) -> int:
        """Open the mark; where there is none, or the log is not as it says, that is put on record."""
        path = self._path.with_name(self._path.name + _MARK)
        with self._alone():
            size = os.fstat(self._file).st_size
            # The whole prefix need not be read: the chain says whether lines before its last one changed.
            cause = _mark_flaw(path, size, lambda length: _last_hash(self._file, length))
            if not path.exists():
                files.replace(path, _mark_text(0, _FIRST), mode=0o600)
            mark = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
            try:
                if cause is not None:
                    self._append(mark, {"event": _FLAW, "cause": cause})
            except BaseException:
                os.close(mark)
                raise
        return mark

    def _write(self, **fields: Any) -> None:
        try:
            with self._alone():
                whole = self._append(self._mark, fields)
        except OSError as problem:
            raise self._unwritable(problem.strerror) from None
        if not whole:
            raise self._unwritable(os.strerror(errno.ENOSPC))

    def _append(self, mark: int, fields: dict[str, Any]) -> bool:
        """Write one line and bring the mark up to date; say whether all of the line was taken."""
        when = datetime.now(timezone.utc).isoformat(timespec="milliseconds")
        size = os.fstat(self._file).st_size
        entry = {"when": when, "operator": self._operator, **fields}
        line = json.dumps({**entry, "previous": _last_hash(self._file, size)}).encode() + b"\n"
        if size and os.pread(self._file, 1, size - 1) != b"\n":
            # What a crash or a full disk left of a line stays, on a line of its own.
            line = b"\n" + line
        if os.write(self._file, line) != len(line):
            return False
        os.pwrite(mark, _mark_text(size + len(line), _hash_of_last(line)), 0)
        return True

    def _unwritable(self, cause: str | None) -> ClusterbootError:
        return ClusterbootError(
            f"the audit log {self._path} cannot be written: {cause or os.strerror(errno.EIO)}",
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


def verify(path: Path, expected_hash: str | None = None) -> Verdict:
    """Check an audit log from its first line to its last.

    Parameters: the log; ``expected_hash`` is the last line's hash as it was noted elsewhere, at some time.
    Returns: where lines were edited, taken out, put elsewhere, or cut off.
    Errors: :class:`UsageError` where it cannot be read.
    """
    try:
        with path.open("rb") as file:
            # No command writes between the log's reading and its mark's.
            fcntl.flock(file, fcntl.LOCK_SH)
            data = file.read()
            mark = _mark_flaw(
                path.with_name(path.name + _MARK), len(data), lambda size: _hash_of_last(data[:size])
            )
    except OSError as problem:
        raise UsageError(
            f"the audit log {path} cannot be read: {problem.strerror}",
            remedy="nothing was recorded for this cluster yet, or the path is wrong",
        ) from None
    flaws: list[Flaw] = []
    previous, entries, number = _FIRST, 0, 0
    found = expected_hash is None
    for number, line in enumerate(data.removesuffix(b"\n").split(b"\n") if data else [], 1):
        entry = _entry(line)
        if entry is None:
            flaws.append(Flaw(number, "is no entry: cut off by a crash or a full disk, or edited"))
        elif entry["previous"] != previous:
            flaws.append(
                Flaw(number, "does not follow the line before: one of them was edited, moved or taken out")
            )
        if entry is not None and entry.get("event") == _FLAW:
            flaws.append(Flaw(number, f"was written by a command that found this: {entry.get('cause')}"))
        entries += entry is not None
        previous = hashlib.sha256(line).hexdigest()
        found = found or previous == expected_hash
    if mark is not None:
        flaws.append(Flaw(number + 1, f"should follow, or another one should: {mark}"))
    if not found:
        flaws.append(
            Flaw(number + 1, "or an earlier one should have the expected hash: the log was rewritten or cut")
        )
    return Verdict(entries, previous, tuple(flaws))


def _mark_text(size: int, last_hash: str) -> bytes:
    # Of one length, so that one write replaces it whole.
    return f"{size:<20d} {last_hash}\n".encode()


def _mark_flaw(path: Path, size: int, last_hash: Callable[[int], str]) -> str | None:
    """Say how a log is not as the mark beside it has it; ``None`` where it is.

    Parameters: the mark; the log's size in bytes; what gives the hash of the last line of its first bytes.
    """
    try:
        marked, last = path.read_text(encoding="ascii").split()
        marked_size = int(marked)
    except FileNotFoundError:
        return "the mark beside the log is missing" if size else None
    except (OSError, ValueError):
        return "the mark beside the log cannot be read"
    if size < marked_size:
        return f"the log is shorter than it was, {size} bytes and not {marked_size}: its end was cut off"
    if last_hash(marked_size) != last:
        return "the log's lines are not those that the mark beside it was made for"
    return None


def _entry(line: bytes) -> dict[str, Any] | None:
    try:
        entry = json.loads(line)
    except ValueError:
        return None
    return entry if isinstance(entry, dict) and isinstance(entry.get("previous"), str) else None


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
