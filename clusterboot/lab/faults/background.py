"""Starts and stops the programs of ``inside.py`` in a machine's network and process namespaces.

So they end with the machine. One is found again by its command line.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from clusterboot.errors import ClusterbootError

from .. import machine, process
from ..description import Process

# With nothing but the standard library, whatever the user's own settings.
_FLAGS = ("-I", "-S")
_RUNNER = str(Path(__file__).with_name("inside.py"))


def start(init: Process, program: str, args: Sequence[str], host: str | None = None) -> None:
    """Start a program inside the machine of ``init``, and wait until it is ready.

    Errors: ``ClusterbootError`` where it does not get ready.
    """
    enter = [machine.tool("nsenter"), "--target", str(init.pid), "--net", "--pid", "--"]
    said = machine.run([*enter, sys.executable, *_FLAGS, _RUNNER, program, *args], host=host).stdout
    if not any(process.inner_pid(found) == int(said) for found, _ in process.inside(init)):
        raise ClusterbootError(f"the lab's program '{program}' ended early", host=host)


def stop(init: Process, program: str, *first: str) -> None:
    """End what :func:`start` started there, as recorded or not: with these first arguments, if any."""
    wanted = [*_FLAGS, _RUNNER, program, *first]

    def is_it(pid: int) -> bool:
        try:
            words = Path("/proc", str(pid), "cmdline").read_bytes().decode(errors="replace").split("\0")
        except OSError:
            return False
        return words[1 : 1 + len(wanted)] == wanted

    running = [found for found, _ in process.inside(init)]
    ours = {found.pid for found in running if is_it(found.pid)}
    # Its children end by themselves, but a moment later.
    process.kill(found for found in running if found.pid in ours or process.parent_pid(found) in ours)
