"""Starts command lines from a process that has loaded the package once: imports are half of a short command.

Each command is a process of its own, forked before anything ran: its arguments, environment, working folder
and files are those of a fresh start, and it ends as any Python does.
"""

from __future__ import annotations

import importlib
import json
import os
import select
import signal
import socket
import sys

# What commands load when they begin.
MODULES = (
    *("clusterboot.tasks", "clusterboot.commands.bootstrap", "clusterboot.commands.nccl_test"),
    *("clusterboot.commands.link_map", "clusterboot.ssh.fleet", "clusterboot.report.formats"),
)


def next_command(listener: socket.socket) -> None:
    """Wait for requests; return in each process that is to be a command, and in no other."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    while True:
        ready, _, _ = select.select([listener, 0], [], [])
        # Standard input is held by the tests: they are over.
        if 0 in ready:
            os._exit(0)
        connection, _ = listener.accept()
        if os.fork() == 0:
            listener.close()
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            if become_command(connection):
                return
        connection.close()


def become_command(connection: socket.socket) -> bool:
    """Fork the command and tell how it ended; true in the command itself."""
    message, files, _, _ = socket.recv_fds(connection, 1 << 16, 3)
    while not message.endswith(b"\n"):
        message += connection.recv(1 << 16)
    command = os.fork()
    if command:
        for file in files:
            os.close(file)
        connection.sendall(b"%d\n" % command)
        _, status = os.waitpid(command, 0)
        connection.sendall(b"%d\n" % os.waitstatus_to_exitcode(status))
        os._exit(0)
    connection.close()
    for number, file in enumerate(files):
        os.dup2(file, number)
        os.close(file)
    request = json.loads(message)
    os.chdir(request["folder"])
    os.environ.clear()
    os.environ.update(request["environment"])
    sys.argv = ["clusterboot", *request["arguments"]]
    return True


if __name__ == "__main__":
    for module in MODULES:
        importlib.import_module(module)
    with socket.socket(socket.AF_UNIX) as listener:
        # An abstract name: nothing is left of it in any folder.
        listener.bind(f"\0{sys.argv[1]}")
        listener.listen()
        os.write(1, b"ready\n")
        next_command(listener)
    importlib.import_module("clusterboot.__main__").main()
