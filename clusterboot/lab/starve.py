"""Gives the processes of a machine a tenth of the time, as a quota of CPU time does.

They are stopped and continued: a control group would do it, too, but is not to be had in many
containers. Those of sshd are left alone, so that the faults that stop them stay what they are; and so
is what was put into the machine from outside, since nsenter(1) stops when what it started does.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path

# The kernel's own period for a quota. Source: cgroups(7), cpu.max.
_PERIOD_S = 0.1
_SHARE = 0.1
_LEFT_ALONE = frozenset(("sshd", "sshd-session", "sshd-auth"))


def prepare(args: Sequence[str]) -> Callable[[], None]:
    """Get ready. Parameters: one argument, the machine's own /proc as seen from here."""
    # Opened now: seen from inside, the path would lead elsewhere.
    proc = Path(f"/proc/self/fd/{os.open(args[0], os.O_PATH | os.O_DIRECTORY)}")

    def starve() -> None:
        while True:
            stopped = [pid for pid in _running(proc) if _send(pid, signal.SIGSTOP)]
            time.sleep(_PERIOD_S * (1 - _SHARE))
            for pid in stopped:
                _send(pid, signal.SIGCONT)
            time.sleep(_PERIOD_S * _SHARE)

    return starve


def _running(proc: Path) -> Iterator[int]:
    """Find the processes that the machine itself started, but sshd's and what is stopped already."""
    for name in os.listdir(proc):  # noqa: PTH208 - names are all that is wanted, ten times a second
        if not name.isdigit() or int(name) == os.getpid():
            continue
        with suppress(OSError):
            # The command's name, in parentheses, may have spaces and parentheses in it.
            before, _, after = (proc / name / "stat").read_text(errors="replace").rpartition(")")
            state, parent = after.split()[:2]
            # Whose parent is outside, the machine's process 1 among them, has none here: pid_namespaces(7).
            if state not in "TtZX" and parent != "0" and before.partition("(")[2] not in _LEFT_ALONE:
                yield int(name)


def _send(pid: int, number: signal.Signals) -> bool:
    with suppress(ProcessLookupError):
        os.kill(pid, number)
        return True
    return False
