"""The record of everything that was done to other machines: one JSON line each, chained by hash."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import threading
from datetime import datetime, timezone
from pathlib import Path
from types import TracebackType
from typing import Any

from clusterboot.config.cluster import Login
from clusterboot.errors import ClusterbootError

_FIRST = "0" * 64


class AuditLog:
    """An append-only file of what was done, when, where, as whom and with what outcome.

    Each line carries the SHA-256 of the line before, so that a line that was edited or
    taken out shows. Several commands may write at once.

    Parameters: the file; its folder is made if need be.
    Errors: :class:`ClusterbootError` where it cannot be written: then nothing may be done.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        try:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        except OSError as problem:
            raise self._unwritable(problem) from None

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
        """Close the file."""
        os.close(self._file)

    def __enter__(self) -> AuditLog:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _write(self, **fields: Any) -> None:
        when = datetime.now(timezone.utc).isoformat(timespec="milliseconds")
        try:
            with self._lock:
                fcntl.flock(self._file, fcntl.LOCK_EX)
                try:
                    line = json.dumps({"when": when, **fields, "previous": self._last_hash()}) + "\n"
                    os.write(self._file, line.encode())
                finally:
                    fcntl.flock(self._file, fcntl.LOCK_UN)
        except OSError as problem:
            raise self._unwritable(problem) from None

    def _last_hash(self) -> str:
        size = os.fstat(self._file).st_size
        if size == 0:
            return _FIRST
        tail = b""
        start = size
        while start > 0 and tail.rstrip(b"\n").count(b"\n") == 0:
            step = min(4096, start)
            start -= step
            tail = os.pread(self._file, step, start) + tail
        return hashlib.sha256(tail.rstrip(b"\n").split(b"\n")[-1]).hexdigest()

    def _unwritable(self, problem: OSError) -> ClusterbootError:
        return ClusterbootError(
            f"the audit log {self._path} cannot be written: {problem.strerror}",
            remedy="nothing is done without a record; free space or mend its permissions",
        )
