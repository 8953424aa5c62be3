"""A port of this machine's that is nobody else's until a test has put its own server there."""

from __future__ import annotations

import socket


def held_port(holder: socket.socket, address: str) -> int:
    """Bind a socket to a free port, which stays held for as long as that is open; gives the port.

    A server that sets SO_REUSEADDR, as sshd does, can listen there: of two sockets that both set it only
    one may listen. Nobody is given a held port as a free one, and who connects to it is refused.
    """
    holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    holder.bind((address, 0))
    port: int = holder.getsockname()[1]
    return port
