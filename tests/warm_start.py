"""Runs command lines by way of ``warm_server``, one server for each process of the tests."""

from __future__ import annotations

import atexit
import json
import os
import shutil
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
    """Start the server; gives its socket. It ends with this process, however that ends."""
    folder = tempfile.mkdtemp(prefix="warm-")
    path = f"{folder}/socket"
    process = subprocess.Popen([sys.executable, SERVER, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdin
    assert process.stdout

    def end() -> None:
        process.communicate()
        shutil.rmtree(folder)

    atexit.register(end)
    assert process.stdout.readline() == b"ready\n"
    return path


def run(
    arguments: Sequence[str], folder: Path, environment: Mapping[str, str], timeout_s: float
) -> subprocess.CompletedProcess[str]:
    """Run ``clusterboot`` with these arguments, without input; gives its exit status and what it printed.

    Errors: ``TimeoutError``, and the command is killed.
    """
    request = {"arguments": list(arguments), "folder": str(folder), "environment": dict(environment)}
    with (
        socket.socket(socket.AF_UNIX) as connection,
        tempfile.TemporaryFile() as stdout,
        tempfile.TemporaryFile() as stderr,
        Path(os.devnull).open("rb") as stdin,
    ):
        connection.connect(_server())
        connection.settimeout(timeout_s)
        files = [file.fileno() for file in (stdin, stdout, stderr)]
        message = json.dumps(request).encode() + b"\n"
        sent = socket.send_fds(connection, [message], files)
        connection.sendall(message[sent:])
        with connection.makefile("rb") as answers:
            command = int(answers.readline())
            try:
                status = int(answers.readline())
            except TimeoutError:
                os.kill(command, signal.SIGKILL)
                raise
        said = []
        for file in (stdout, stderr):
            file.seek(0)
            said.append(file.read().decode())
    return subprocess.CompletedProcess(["clusterboot", *arguments], status, *said)
