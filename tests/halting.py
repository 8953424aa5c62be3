"""Runs a command line that stops its own process at a moment of its life, where a test is to find it.

Arguments: the number of a pipe that hears of it just before; ``line``, and how a line on standard error
begins, or ``records``, and a number of lines in the audit log; then those of the command line. It stops
once, as soon as that has been written.
"""

from __future__ import annotations

import os
import signal
import sys
from typing import Any

from clusterboot.__main__ import main
from clusterboot.ssh.audit import AuditLog

TOLD = int(sys.argv[1])


def stop() -> None:
    os.write(TOLD, b"!")
    os.kill(os.getpid(), signal.SIGSTOP)


def after_line(begins: str) -> None:
    write = sys.stderr.write

    def told(text: str) -> int:
        count = write(text)
        if any(line.startswith(begins) for line in text.splitlines()):
            sys.stderr.write = write  # type: ignore[method-assign]
            sys.stderr.flush()
            stop()
        return count

    sys.stderr.write = told  # type: ignore[method-assign]


def after_records(count: int) -> None:
    write, left = AuditLog._write, [count]

    def written(self: AuditLog, **fields: Any) -> None:
        write(self, **fields)
        left[0] -= 1
        if left[0] == 0:
            stop()

    AuditLog._write = written  # type: ignore[method-assign]


if __name__ == "__main__":
    moment, value = sys.argv[2:4]
    sys.argv = ["clusterboot", *sys.argv[4:]]
    if moment == "line":
        after_line(value)
    else:
        after_records(int(value))
    main()
