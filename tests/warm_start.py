"""Runs command lines by way of ``warm_server``, one server for each process of the tests."""

from __future__ import annotations

import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

SERVER = Path(__file__).with_name("warm_server.py")


@cache
def _server() -> str:
    """Start the server; gives its abstract socket's name. It ends with this process, however that ends."""
    name = f"clusterboot-tests-{os.getpid()}-{secrets.token_hex(4)}"
    # Python warns of a process that nobody waits for; this one's end is that of its standard input.
    held, _ = os.pipe()
    ready, told = os.pipe()
    os.posix_spawn(
        sys.executable,
        [sys.executable, str(SERVER), name],
        os.environ,
        file_actions=[(os.POSIX_SPAWN_DUP2, held, 0), (os.POSIX_SPAWN_DUP2, told, 1)],
        setsid=True,
    )
    os.close(held)
    os.close(told)
    assert os.read(ready, 16) == b"ready\n"
    os.close(ready)
    # The other end, which nobody closes, is closed when this process ends.
    return name


def run(
    arguments: Sequence[str], folder: Path, environment: Mapping[str, str], timeout_s: float
) -> subprocess.CompletedProcess[str]:
    """Run ``clusterboot`` with these arguments, without input; gives its exit status and what it printed.

    Errors: ``TimeoutError``. What is not waited for to its end is killed.
    """
    request = {"arguments": list(arguments), "folder": str(folder), "environment": dict(environment)}
    with (
        socket.socket(socket.AF_UNIX) as connection,
        tempfile.TemporaryFile() as stdout,
        tempfile.TemporaryFile() as stderr,
        Path(os.devnull).open("rb") as stdin,
    ):
        connection.connect(f"\0{_server()}")
        connection.settimeout(timeout_s)
        files = [file.fileno() for file in (stdin, stdout, stderr)]
        message = json.dumps(request).encode() + b"\n"
        sent = socket.send_fds(connection, [message], files)
        connection.sendall(message[sent:])
        with connection.makefile("rb") as answers:
            command = int(answers.readline())
            try:
                status = int(answers.readline())
            except BaseException:
                os.kill(command, signal.SIGKILL)
                raise
        said = []
        for file in (stdout, stderr):
            file.seek(0)
            said.append(file.read().decode())
    return subprocess.CompletedProcess(["clusterboot", *arguments], status, *said)
