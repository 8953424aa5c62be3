"""A ``ProxyCommand``: carries standard input and output through a Unix socket, ``through.py SOCKET``.

It stands for the commands of SSM, IAP or Teleport, where no address leads to a machine. It has nothing but
the standard library.
"""

from __future__ import annotations

import os
import socket
import sys
import threading
from pathlib import Path

_PIECE_BYTES = 65536


def _send(door: socket.socket) -> None:
    while piece := os.read(0, _PIECE_BYTES):
        door.sendall(piece)
    door.shutdown(socket.SHUT_WR)


def _main(path: str) -> int:
    # A socket's name has 107 bytes at most, unix(7), and its folder may have a longer one.
    os.chdir(Path(path).parent)
    with socket.socket(socket.AF_UNIX) as door:
        door.connect(Path(path).name)
        threading.Thread(target=_send, args=(door,), daemon=True).start()
        while piece := door.recv(_PIECE_BYTES):
            while piece:
                piece = piece[os.write(1, piece) :]
    return 0


if __name__ == "__main__":
    sys.exit(_main(*sys.argv[1:]))
