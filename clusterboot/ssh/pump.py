"""The bytes of one channel: what is fed to it, and what comes out until its end."""

from __future__ import annotations

import threading
import time
from contextlib import suppress

import paramiko

from clusterboot.nodes.collector import Collector
from clusterboot.nodes.payload import Payload
from clusterboot.nodes.sessions import OnBytes

# OpenSSH's initial window of a session channel is twice this; a script below it is sent without waiting.
_SAFE_WRITE_BYTES = 1024 * 1024
# What is still awaited after a script's last word: jobs of a start-up file may hold the channel for ever.
_END_S = 0.5


def feed(channel: paramiko.Channel, text: bytes, *, hold_stdin: bool, payload: Payload | None = None) -> None:
    """Write ``text`` and ``payload`` to a channel, and close its standard input unless that is held open."""

    def send() -> None:
        # Where the other end is gone, reading its output tells why.
        with suppress(paramiko.SSHException, EOFError, OSError):
            channel.sendall(text)
            for chunk in payload.chunks() if payload is not None else ():
                channel.sendall(chunk)
            if not hold_stdin:
                channel.shutdown_write()

    if len(text) <= _SAFE_WRITE_BYTES and payload is None:
        send()
    else:
        threading.Thread(target=send, name="clusterboot-feed", daemon=True).start()


def pump(channel: paramiko.Channel, on_stdout: OnBytes, on_stderr: OnBytes) -> bool:
    """Pass on what comes until the channel's end. Returns: false where only the last word came."""
    # Both pipes share one event, which a read that empties one of them clears. So nothing is
    # waited for after a round in which anything was read.
    event = threading.Event()
    channel.in_buffer.set_event(event)
    channel.in_stderr_buffer.set_event(event)
    end_s: float | None = None
    while True:
        event.clear()
        over = channel.eof_received or channel.closed
        moved = False
        while channel.recv_ready():
            on_stdout(channel.recv(65536))
            moved = True
        while channel.recv_stderr_ready():
            on_stderr(channel.recv_stderr(65536))
            moved = True
        if over and not moved:
            return True
        if end_s is None and isinstance(on_stdout, Collector) and on_stdout.told_all:
            end_s = time.monotonic() + _END_S
        left_s = None if end_s is None else end_s - time.monotonic()
        if left_s is not None and left_s <= 0:
            return False
        if not moved:
            event.wait(left_s)
