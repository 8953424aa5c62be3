"""One command at a time changes a cluster from one operator's machine; a second waits and says for whom."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager

from clusterboot import files
from clusterboot.errors import ClusterbootError
from clusterboot.session.context import Context


@contextmanager
def alone(context: Context) -> Iterator[None]:
    """Hold the cluster's lock in the operator's state folder for the length of the block.

    The kernel lets go of it when the process ends, however it ends. A dry run needs none.
    """
    if context.dry_run:
        yield
        return
    try:
        files.make_private_folder(context.state_dir)
        descriptor = files.open_to_append(context.state_dir / "lock", mode=0o600)
    except OSError as problem:
        raise _unwritable(context, problem) from None
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(descriptor, 64, 0).decode("ascii", "replace").strip()
            context.events.note(f"waiting for process {holder or '?'}, which changes this cluster too")
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        try:
            os.ftruncate(descriptor, 0)
            os.write(descriptor, f"{os.getpid()}\n".encode())
        except OSError as problem:
            raise _unwritable(context, problem) from None
        yield
    finally:
        os.close(descriptor)


def _unwritable(context: Context, problem: OSError) -> ClusterbootError:
    return ClusterbootError(
        f"{context.state_dir} cannot be written: {problem.strerror}",
        remedy="free space there or mend its permissions, or name another place with XDG_STATE_HOME",
    )
