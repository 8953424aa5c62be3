"""What answers at a machine's port 22 in the place of its sshd, or sits at its sshd's door."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Sequence

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


def prepare(args: Sequence[str]) -> Callable[[], None]:
    """Take the place. Parameters: one argument, the kind of fault."""
    (kind,) = args
    if kind not in _ANSWERS:
        door = socket.create_connection(("127.0.0.1", _PORT))
        if not door.recv(1):
            raise ConnectionError("sshd has no place")
        return lambda: _sit(door)
    listening = socket.create_server(("0.0.0.0", _PORT), backlog=128)  # noqa: S104 - a machine's own network
    return lambda: _serve(listening, kind)


def _sit(door: socket.socket) -> None:
    with door:
        threading.Event().wait()


def _serve(listening: socket.socket, kind: str) -> None:
    while True:
        conn, _ = listening.accept()
        threading.Thread(target=_answer, args=(kind, conn), daemon=True).start()


def _answer(kind: str, conn: socket.socket) -> None:
    with conn:
        try:
            _ANSWERS[kind](conn)
            while conn.recv(4096):
                continue
        except OSError:
            return
