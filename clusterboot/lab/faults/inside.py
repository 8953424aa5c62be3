"""The lab's small programs, which go on inside a machine: ``inside.py door|flap|relay|starve [ARGUMENT…]``.

Each gets ready and gives what is then done for good, in the background. Its process number comes on standard
output once it is ready. All of it has nothing but the standard library, and is not among the machine's
files, where that may be out of sight.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

_BANNER = b"SSH-2.0-OpenSSH_9.2\r\n"
_PORT = 22
_DRIBBLE_S = 1.0
# What answers at port 22 in the place of its sshd: pieces of a banner, and how long each takes.
_ANSWERS = {
    "half-banner": ([_BANNER[:10]], 0.0),
    "banner-only": ([_BANNER], 0.0),
    "dribbling": ([_BANNER[at : at + 1] for at in range(len(_BANNER))], _DRIBBLE_S),
}
# The kernel's own period for a quota. Source: cgroups(7), cpu.max.
_PERIOD_S = 0.1
_SHARE = 0.1
_LEFT_ALONE = frozenset(("sshd", "sshd-session", "sshd-auth"))


def _door(kind: str) -> Callable[[], object]:
    """Take port 22, or for a ``kind`` that does not answer, the one place that its sshd has for logins."""
    if kind not in _ANSWERS:
        door = socket.create_connection(("127.0.0.1", _PORT))
        if not door.recv(1):
            raise ConnectionError("sshd has no place")
        return lambda: (door, threading.Event().wait())
    listening = socket.create_server(("0.0.0.0", _PORT), backlog=128)  # noqa: S104 - a machine's own network

    def serve() -> None:
        while True:
            conn, _ = listening.accept()
            threading.Thread(target=_answer, args=(kind, conn), daemon=True).start()

    return serve


def _answer(kind: str, conn: socket.socket) -> None:
    pieces, pause_s = _ANSWERS[kind]
    with conn, suppress(OSError):
        for piece in pieces:
            conn.sendall(piece)
            time.sleep(pause_s)
        while conn.recv(4096):
            continue


def _relay(path: str, uid: str, gid: str) -> Callable[[], object]:
    """Carry each connection to a Unix socket on the outer machine to this machine's own port 22.

    Parameters: the socket's path, and who alone may connect to it.
    """
    # A socket's name has 107 bytes at most, unix(7), and its folder may have a longer one.
    os.chdir(Path(path).parent)
    listening = socket.socket(socket.AF_UNIX)
    os.umask(0o177)
    listening.bind(Path(path).name)
    os.chown(Path(path).name, int(uid), int(gid))
    listening.listen(128)

    def serve() -> None:
        while True:
            came, _ = listening.accept()
            with suppress(OSError):
                onward = socket.create_connection(("127.0.0.1", _PORT))
                for source, sink in ((came, onward), (onward, came)):
                    threading.Thread(target=_carry, args=(source, sink), daemon=True).start()

    return serve


def _carry(source: socket.socket, sink: socket.socket) -> None:
    with suppress(OSError):
        while piece := source.recv(65536):
            sink.sendall(piece)
    with suppress(OSError):
        sink.shutdown(socket.SHUT_WR)


def _flap(_whose: str, order: str) -> Callable[[], object]:
    """Take links down to a fraction of their rate and up again.

    Parameters: whose links they are, and an object: ``every_s`` is how long a link stays up and how long
    it stays down; ``links`` has for each a command that takes lines of ``tc``, and the lines that take
    it down and up.
    """
    told = json.loads(order)

    def flap() -> None:
        # One tc for each link all the time: it carries out each line as it reads it, and ends with this.
        pipes = [
            subprocess.Popen(link["argv"], stdin=subprocess.PIPE, text=True, bufsize=1)
            for link in told["links"]
        ]
        turn_s = time.monotonic()
        while True:
            for state in ("down", "up"):
                for link, pipe in zip(told["links"], pipes, strict=True):
                    assert pipe.stdin  # noqa: S101 - it was opened with a pipe
                    pipe.stdin.write(link[state] + "\n")
                turn_s += told["every_s"]
                time.sleep(max(0.0, turn_s - time.monotonic()))

    return flap


def _starve(folder: str) -> Callable[[], object]:
    """Give the processes of a machine a tenth of the time, as a quota of CPU time does.

    They are stopped and continued: a control group would do it, too, but is not to be had in many
    containers. Those of sshd are left alone, so that the faults that stop them stay what they are; and so
    is what was put into the machine from outside, since nsenter(1) stops when what it started does.

    Parameters: the machine's own /proc as seen from here.
    """
    # Opened now: seen from inside, the path would lead elsewhere.
    proc = Path(f"/proc/self/fd/{os.open(folder, os.O_PATH | os.O_DIRECTORY)}")

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


_PROGRAMS: dict[str, Callable[..., Callable[[], object]]] = {
    "door": _door,
    "flap": _flap,
    "relay": _relay,
    "starve": _starve,
}


def _main(program: str, *args: str) -> int:
    work = _PROGRAMS[program](*args)
    # Held by this process until it is gone, and by no other.
    here, held = os.pipe()
    pid = os.fork()
    if pid:
        sys.stdout.write(f"{pid}\n")
        return 0
    os.close(held)
    os.read(here, 1)
    os.setsid()
    null = os.open(os.devnull, os.O_RDWR)
    for standard in (0, 1, 2):
        os.dup2(null, standard)
    work()
    return 0


if __name__ == "__main__":
    sys.exit(_main(*sys.argv[1:]))
