"""Processes of a lab: recognised by their start, ended by a descriptor, never by a name."""

from __future__ import annotations

import os
import select
import signal
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from .description import Process

# From the kernel's point of view a killed namespace takes milliseconds; this is for a machine in swap.
_ENDED_WITHIN_MS = 60_000


def identify(pid: int) -> Process | None:
    """Give process ``pid`` with its start, or ``None`` where there is none or only a zombie."""
    stat = _stat(pid)
    return Process(pid, int(stat[19])) if stat and stat[0] not in ("Z", "X") else None


def alive(process: Process | None) -> bool:
    """Say whether this very process still runs."""
    return process is not None and identify(process.pid) == process


def send(process: Process, number: signal.Signals) -> None:
    """Send a signal to this very process; nothing where it has ended."""
    descriptor = _open(process)
    if descriptor is not None:
        with suppress(ProcessLookupError):
            signal.pidfd_send_signal(descriptor, number)
        os.close(descriptor)


def kill(processes: Iterable[Process]) -> None:
    """Kill these very processes, and wait until they are gone.

    The init of a PID namespace takes all of its namespace with it, and ends last:
    pid_namespaces(7).
    """
    doomed = list(processes)
    for process in doomed:
        send(process, signal.SIGKILL)
    # One descriptor at a time: a lab has more machines than a process may have files open.
    for process in doomed:
        descriptor = _open(process)
        if descriptor is not None:
            poller = select.poll()
            poller.register(descriptor, select.POLLIN)
            poller.poll(_ENDED_WITHIN_MS)
            os.close(descriptor)


def inside(init: Process) -> list[tuple[Process, str]]:
    """List the processes of a machine but its init, each with its command's name."""
    try:
        space = Path(f"/proc/{init.pid}/ns/pid").readlink()
    except OSError:
        return []
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == init.pid:
            continue
        with suppress(OSError):
            process = identify(int(entry.name))
            if process and (entry / "ns" / "pid").readlink() == space:
                found.append(
                    (process, (entry / "comm").read_text(encoding="utf-8", errors="replace").strip())
                )
    return found


def inner_pid(process: Process) -> int | None:
    """Give the number that a process has inside its machine. Source: proc_pid_status(5), NSpid."""
    with suppress(OSError):
        for line in Path("/proc", str(process.pid), "status").read_text(encoding="utf-8").splitlines():
            if line.startswith("NSpid:"):
                return int(line.split()[-1])
    return None


def parent_pid(process: Process) -> int | None:
    """Give the number of a process's parent. Source: proc_pid_stat(5), field 4."""
    fields = _stat(process.pid)
    return int(fields[1]) if fields else None


def _stat(pid: int) -> list[str] | None:
    try:
        text = Path("/proc", str(pid), "stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    # The command's name, in parentheses, may have spaces and parentheses in it.
    return text.rpartition(")")[2].split()


def _open(process: Process) -> int | None:
    """Open a descriptor on this very process: first opened, then identified, so that it cannot change."""
    try:
        descriptor = os.pidfd_open(process.pid)
    except ProcessLookupError:
        return None
    if not alive(process):
        os.close(descriptor)
        return None
    return descriptor
