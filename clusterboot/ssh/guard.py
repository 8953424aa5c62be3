"""The operator's half of a script's guard: telling one that takes long how long it may take.

The node's half, ``guard.sh``, ends the script when its standard input closes. A line that is cut
without a word, as by a firewall, closes nothing for hours, so that the node needs a clock as well.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import paramiko

from clusterboot.nodes.collector import Collector
from clusterboot.nodes.watchdog import Watchdog

from .wire import PinnedTransport

# Scripts are mostly done before this; only others are told, and so cost their node a process more.
_LONG_S = 1.0
# So many seconds after its deadline a script ends by itself, where nobody could reach it then.
_SLACK_S = 2


@contextmanager
def guarding(
    watchdog: Watchdog, channel: paramiko.Channel, answer: Collector, allowed_s: float
) -> Iterator[None]:
    """Run a block that waits for a guarded script, and set the script's clock if it takes long.

    Parameters: the channel that the script was sent on; what collects its answer; the seconds that
    it has. Nothing is sent before the script's first word: a shell reads ahead, and what it read
    would not reach the guard.
    """
    end_s = time.monotonic() + allowed_s
    over = threading.Event()

    def tell() -> None:
        transport: PinnedTransport = channel.get_transport()  # type: ignore[assignment]
        while not answer.begun or not transport.can_send:
            if over.wait(_LONG_S):
                return
        left_s = max(0, math.ceil(end_s - time.monotonic())) + _SLACK_S
        with suppress(paramiko.SSHException, EOFError, OSError):
            channel.sendall(b"%d\n" % left_s)

    with watchdog.alarm(_LONG_S, tell):
        try:
            yield
        finally:
            over.set()
