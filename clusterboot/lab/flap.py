"""Takes links down to a fraction of their rate and up again, for as long as it runs."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable, Sequence


def prepare(args: Sequence[str]) -> Callable[[], None]:
    """Get ready to flap.

    Parameters: whose links they are, and an object: ``every_s`` is how long a link stays up and how long
    it stays down; ``links`` has for each a command that takes lines of ``tc``, and the lines that take
    it down and up.
    """
    order = json.loads(args[1])

    def flap() -> None:
        # One tc for each link all the time: it carries out each line as it reads it, and ends with this.
        pipes = [
            subprocess.Popen(link["argv"], stdin=subprocess.PIPE, text=True, bufsize=1)
            for link in order["links"]
        ]
        turn_s = time.monotonic()
        while True:
            for state in ("down", "up"):
                for link, pipe in zip(order["links"], pipes, strict=True):
                    assert pipe.stdin  # noqa: S101 - it was opened with a pipe
                    pipe.stdin.write(link[state] + "\n")
                turn_s += order["every_s"]
                time.sleep(max(0.0, turn_s - time.monotonic()))

    return flap
