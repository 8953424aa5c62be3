"""The operator's record of runs: which nodes may still have processes of which run."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from clusterboot import files
from clusterboot.mpi.script_names import token


class RunRecord:
    """A run that is on record until every one of its nodes is known to be clear of it."""

    def __init__(self, path: Path, descriptor: int, hosts: Iterable[str]) -> None:
        self._path = path
        self._descriptor = descriptor
        self.hosts = list(dict.fromkeys(hosts))

    @property
    def run_id(self) -> str:
        """The run's name."""
        return self._path.name

    def write(self) -> None:
        """Bring the file up to date."""
        text = "".join(f"{host}\n" for host in self.hosts).encode()
        os.pwrite(self._descriptor, text, 0)
        os.ftruncate(self._descriptor, len(text))

    def clear(self, hosts: Iterable[str]) -> None:
        """Note that nothing of the run is left on ``hosts``."""
        gone = set(hosts)
        self.hosts = [host for host in self.hosts if host not in gone]
        self.write()

    def close(self) -> None:
        """Let go of the record; one without hosts is taken away."""
        if not self.hosts:
            self._path.unlink(missing_ok=True)
        os.close(self._descriptor)


@contextmanager
def recorded(state_dir: Path, run_id: str, hosts: Iterable[str]) -> Iterator[RunRecord]:
    """Have a run on record for the length of a block, and longer where a node is not clear by then.

    The lock on it is the kernel's, which lets go of it however this process ends.
    """
    folder = state_dir / "runs"
    files.make_private_folder(folder)
    path = folder / token(run_id, "a run")
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    record = RunRecord(path, descriptor, hosts)
    record.write()
    try:
        yield record
    finally:
        record.close()


@contextmanager
def abandoned(state_dir: Path) -> Iterator[tuple[RunRecord, ...]]:
    """Hold the records of runs that nobody watches any more; those of runs that live are left alone."""
    held: list[RunRecord] = []
    try:
        for path in sorted((state_dir / "runs").glob("*")):
            descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(descriptor)
                continue
            hosts = os.pread(descriptor, 1 << 20, 0).decode("utf-8", "replace").split()
            held.append(RunRecord(path, descriptor, hosts))
        yield tuple(held)
    finally:
        for record in held:
            record.close()
