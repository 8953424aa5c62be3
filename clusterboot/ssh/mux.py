"""The messages of OpenSSH's control socket, and a TCP stream that is opened over it.

Source: PROTOCOL.mux of OpenSSH, version 4 of the protocol; ``mux_client_request_stdio_fwd()`` in mux.c.
"""

from __future__ import annotations

import socket
import struct
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

VERSION = 4
_HELLO = 0x00000001
_ALIVE_CHECK = 0x10000004
_NEW_STDIO_FWD = 0x10000008
_ALIVE = 0x80000005
_OPENED = 0x80000006
_PERMISSION_DENIED = 0x80000002
_FAILURE = 0x80000003
# The longest answer is a reason in words; more than this is none of OpenSSH's.
_MAX_MESSAGE_BYTES = 64 * 1024


class NotMuxError(Exception):
    """What answers on a socket does not speak this protocol, or no longer does."""


class StreamRefusedError(Exception):
    """The master, or the server behind it, opened no stream; its words."""


@dataclass(frozen=True)
class Message:
    """One message: its number, and what follows it."""

    number: int
    body: bytes


def hello() -> bytes:
    """Write what each side says first."""
    return _packet(_HELLO, struct.pack(">I", VERSION))


def alive_check(request: int) -> bytes:
    """Ask a master whether it is there."""
    return _packet(_ALIVE_CHECK, struct.pack(">I", request))


def new_stdio_forward(request: int, host: str, port: int) -> bytes:
    """Ask for a TCP stream to ``host`` and ``port`` as the server sees them; two descriptors follow it."""
    body = struct.pack(">I", request) + _string(b"") + _string(host.encode()) + struct.pack(">I", port)
    return _packet(_NEW_STDIO_FWD, body)


def split(data: bytes) -> tuple[Message, bytes] | None:
    """Take the first message off what came.

    Returns: it, and what came behind it; ``None`` where it is not whole yet.
    Errors: :class:`NotMuxError` for a length that is none.
    """
    if len(data) < 4:
        return None
    (length,) = struct.unpack_from(">I", data)
    if not 4 <= length <= _MAX_MESSAGE_BYTES:
        raise NotMuxError(f"a message of {length} bytes")
    if len(data) < 4 + length:
        return None
    (number,) = struct.unpack_from(">I", data, 4)
    return Message(number, data[8 : 4 + length]), data[4 + length :]


def reason(body: bytes) -> str:
    """Read the words of a refusal: a request's number and a string."""
    length = int.from_bytes(body[4:8], "big")
    return body[8 : 8 + length].decode(errors="replace")


class MuxStream(socket.socket):
    """A byte stream through a master, which lives as long as the control connection that opened it."""

    control: socket.socket | None = None

    def close(self) -> None:
        """Close both."""
        if self.control is not None:
            self.control.close()
        super().close()


def is_alive(path: Path, timeout_s: float) -> bool:
    """Tell whether a master answers on a control socket within so many seconds."""
    try:
        with _greeted(path, timeout_s) as control:
            control.sendall(alive_check(1))
            return _answer(control, b"").number == _ALIVE
    except (OSError, NotMuxError):
        return False


def open_stream(path: Path, host: str, port: int, timeout_s: float) -> MuxStream:
    """Open a TCP stream through the master on a control socket.

    Errors: :class:`StreamRefusedError` where it was refused; ``TimeoutError`` after ``timeout_s`` seconds;
    ``OSError`` and :class:`NotMuxError` where the master has ended.
    """
    control = _greeted(path, timeout_s)
    try:
        ours, theirs = socket.socketpair()
        with theirs:
            stream = MuxStream(fileno=ours.detach())
            stream.control = control
            control.sendall(new_stdio_forward(1, host, port))
            # One message each: mm_receive_fd() takes one descriptor at a time.
            for _ in range(2):
                socket.send_fds(control, [b"\0"], [theirs.fileno()])
        answer = _answer(control, b"")
    except BaseException:
        control.close()
        with suppress(UnboundLocalError):
            stream.close()
        raise
    if answer.number == _OPENED:
        return stream
    stream.close()
    if answer.number in (_FAILURE, _PERMISSION_DENIED):
        raise StreamRefusedError(reason(answer.body))
    raise NotMuxError(f"message {answer.number:#x}")


def _greeted(path: Path, timeout_s: float) -> socket.socket:
    control = socket.socket(socket.AF_UNIX)
    try:
        control.settimeout(max(timeout_s, 0.001))
        control.connect(str(path))
        control.sendall(hello())
        greeting = _answer(control, b"")
    except BaseException:
        control.close()
        raise
    if greeting.number != _HELLO or greeting.body[:4] != struct.pack(">I", VERSION):
        control.close()
        raise NotMuxError("another version")
    return control


def _answer(control: socket.socket, data: bytes) -> Message:
    """Read one message; a master says nothing that it was not asked for."""
    while True:
        found = split(data)
        if found is not None:
            return found[0]
        came = control.recv(65536)
        if not came:
            raise ConnectionError("the master has ended")
        data += came


def _packet(number: int, body: bytes) -> bytes:
    return struct.pack(">II", 4 + len(body), number) + body


def _string(text: bytes) -> bytes:
    return struct.pack(">I", len(text)) + text
