"""One command at a time changes a cluster from one operator's machine; a second waits and says for whom."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from clusterboot import files
from clusterboot.errors import ClusterbootError

from .events import Events


@contextmanager
def alone(state_dir: Path, events: Events) -> Iterator[None]:
    """Hold the cluster's lock in the operator's state folder for the length of the block.

    The kernel lets go of it when the process ends, however it ends.
    """
    with _explained(state_dir):
        files.make_private_folder(state_dir)
        descriptor = files.open_to_append(state_dir / "lock", mode=0o600)
    try:
        with _explained(state_dir):
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                holder = os.pread(descriptor, 64, 0).decode("ascii", "replace").strip()
                events.note(f"waiting for process {holder or '?'}, which changes this cluster too")
                fcntl.flock(descriptor, fcntl.LOCK_EX)
            os.ftruncate(descriptor, 0)
            os.write(descriptor, f"{os.getpid()}\n".encode())
        yield
    finally:
        os.close(descriptor)


@contextmanager
def _explained(state_dir: Path) -> Iterator[None]:
    try:
        yield
    except OSError as problem:
        raise ClusterbootError(
            f"{state_dir} cannot be written: {problem.strerror}",
            remedy="free space there or mend its permissions, or name another place with XDG_STATE_HOME",
        ) from None
