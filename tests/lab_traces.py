"""What is on a lab's machines, seen from outside: files, processes, and what all processes were told."""

from __future__ import annotations

import contextlib
import hashlib
import os
import select
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from patience import HANGS_S

from clusterboot.lab import process
from clusterboot.lab.description import LabNode
from operator_fixture import Operator

# All places of a machine that somebody on it can write to, but for what the lab itself needs.
_LABS_OWN = ("/run/lab/", "/run/sshd.log", "/run/munge", "/run/slurm")
PLACES = ("home", "root", "tmp", "var/tmp", "dev/shm", "run", "etc/ssh")


def files(machine: LabNode) -> Iterator[tuple[str, Path]]:
    """Give everything in the places of a running machine: its path there, and from here."""
    assert machine.init
    root = Path(f"/proc/{machine.init.pid}/root")
    for place in PLACES:
        for path in (root / place).rglob("*"):
            inside = f"/{path.relative_to(root)}"
            if not inside.startswith(_LABS_OWN):
                yield inside, path


def snapshot(machine: LabNode) -> dict[str, str]:
    """Describe everything in the places of a machine: kind, mode, owner, and the content's SHA-256."""
    found = {}
    for inside, path in files(machine):
        state = path.lstat()
        text = f"{stat.filemode(state.st_mode)} {state.st_uid}:{state.st_gid}"
        if path.is_symlink():
            text += f" {path.readlink()}"
        elif stat.S_ISREG(state.st_mode):
            text += f" {hashlib.sha256(path.read_bytes()).hexdigest()}"
        found[inside] = text
    return found


def texts(machine: LabNode) -> dict[str, bytes]:
    """Give the bytes of every file in the places of a machine."""
    regular = ((inside, path) for inside, path in files(machine) if path.is_file() and not path.is_symlink())
    return {inside: path.read_bytes() for inside, path in regular}


def commands(machine: LabNode) -> list[str]:
    """List a machine's processes, once those whose connection has just ended are gone."""
    assert machine.init
    deadline_s = time.monotonic() + HANGS_S
    while True:
        found = process.inside(machine.init)
        if len(found) <= 1 or time.monotonic() > deadline_s:
            return sorted(command for _, command in found)
        # The end of any of them is a reason to look again.
        with contextlib.suppress(ProcessLookupError):
            descriptor = os.pidfd_open(max(found, key=lambda one: one[0].start_ticks)[0].pid)
            select.select([descriptor], [], [], 1)
            os.close(descriptor)


class Watch:
    """Reads the words and environments of all processes, again and again, while its block runs."""

    def __init__(self) -> None:
        self.words: set[bytes] = set()
        self.environments: set[bytes] = set()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look)

    def __enter__(self) -> Watch:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._over.wait(0.02):
            for entry in os.scandir("/proc"):
                if entry.name.isdigit():
                    with contextlib.suppress(OSError):
                        self.words.add(Path(entry.path, "cmdline").read_bytes())
                        self.environments.add(Path(entry.path, "environ").read_bytes())


def at_terminal(operator: Operator, *args: str, typed: str, **env: str) -> tuple[int, bytes, bytes]:
    """Run ``clusterboot`` at a terminal and type ``typed`` wherever a passphrase is asked for.

    Returns: the exit code, standard output, and all that the terminal showed.
    """
    ours, theirs = os.openpty()
    with subprocess.Popen(
        ["setsid", "--ctty", "--wait", sys.executable, "-m", "clusterboot", *args],
        cwd=operator.folder,
        env=operator.environment(TERM="dumb", **env),
        stdin=theirs,
        stdout=subprocess.PIPE,
        stderr=theirs,
    ) as running:
        os.close(theirs)
        assert running.stdout
        shown, said, answered = b"", b"", 0
        waiting = {ours, running.stdout.fileno()}
        while waiting:
            for descriptor in select.select(list(waiting), [], [], 120)[0]:
                # The last one to close a terminal ends it, which is an error to who reads: pty(7).
                try:
                    data = os.read(descriptor, 65536)
                except OSError:
                    data = b""
                if not data:
                    waiting.discard(descriptor)
                elif descriptor == ours:
                    shown += data
                else:
                    said += data
            while shown.count(b"Passphrase for") > answered:
                os.write(ours, f"{typed}\n".encode())
                answered += 1
        os.close(ours)
        return running.wait(), said, shown
