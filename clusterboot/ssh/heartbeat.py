"""A long command's signs of life, both ways: lines to the host, and answers from it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress

import paramiko

from clusterboot.nodes.sessions import Beat

from .connection import PinnedConnection

BEAT_S = 1.0
# A host that has owed an answer for so long is taken for lost: what it runs must end elsewhere too.
SILENT_S = 5.0


@contextmanager
def heartbeat(channel: paramiko.Channel, connection: PinnedConnection, beat: Beat | None) -> Iterator[None]:
    """Send what ``beat`` gives once a second for a block, and close the connection where its host is silent.

    Parameters: the command's channel, on its connection; ``beat`` is called in threads of their
    own; ``None`` for no heartbeat at all.
    """
    if beat is None:
        yield
        return
    over = False

    def once() -> bool:
        transport = connection.transport
        if over or channel.closed:
            return False
        if transport.owes_for(SILENT_S):
            transport.fell_silent = True
            connection.close()
            return False
        transport.ping()
        words = beat()
        if words and transport.can_send and channel.send_ready():
            with suppress(paramiko.SSHException, EOFError, OSError):
                channel.send(words)
        return True

    connection.door.watchdog.pulse(BEAT_S, once)
    try:
        yield
    finally:
        over = True
