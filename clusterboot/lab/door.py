"""What answers at a machine's port 22 in the place of its sshd, or sits at its sshd's door.

Run by itself as a program, inside a machine's network and process namespaces but not among its
files, with nothing but Python's standard library. Its one argument says what it does; once it does
it, it goes on in the background and prints its process number on standard output.
"""

from __future__ import annotations

import os
import socket
import sys
import threading
import time

_BANNER = b"SSH-2.0-OpenSSH_9.2\r\n"
_PORT = 22
_DRIBBLE_S = 1.0


def _say_half(conn: socket.socket) -> None:
    conn.sendall(_BANNER[:10])


def _say_no_more(conn: socket.socket) -> None:
    conn.sendall(_BANNER)


def _dribble(conn: socket.socket) -> None:
    for number in range(len(_BANNER)):
        conn.sendall(_BANNER[number : number + 1])
        time.sleep(_DRIBBLE_S)


_ANSWERS = {"half-banner": _say_half, "banner-only": _say_no_more, "dribbling": _dribble}


def _main(kind: str) -> int:
    if kind in _ANSWERS:
        door = socket.create_server(("0.0.0.0", _PORT), backlog=128)  # noqa: S104 - a machine's own network
    else:
        door = socket.create_connection(("127.0.0.1", _PORT))
        if not door.recv(1):
            return 1
    pid = os.fork()
    if pid:
        sys.stdout.write(f"{pid}\n")
        return 0
    os.setsid()
    null = os.open(os.devnull, os.O_RDWR)
    for standard in (0, 1, 2):
        os.dup2(null, standard)
    while kind in _ANSWERS:
        conn, _ = door.accept()
        threading.Thread(target=_answer, args=(kind, conn), daemon=True).start()
    threading.Event().wait()
    return 0


def _answer(kind: str, conn: socket.socket) -> None:
    with conn:
        try:
            _ANSWERS[kind](conn)
            while conn.recv(4096):
                continue
        except OSError:
            return


if __name__ == "__main__":
    sys.exit(_main(sys.argv[1]))
