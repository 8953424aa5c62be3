"""Paramiko's transport with what it lacks: bounds on what a server may send, and ends that are prompt."""

from __future__ import annotations

import logging
import math
import select
import socket
import threading
import time
from contextlib import suppress
from typing import Any

import paramiko
from paramiko.common import cMSG_CHANNEL_REQUEST, cMSG_GLOBAL_REQUEST
from paramiko.packet import Packetizer

# Paramiko reports through logging what is raised here as errors; without a handler the
# logging module would print it on standard error.
logging.getLogger("paramiko").addHandler(logging.NullHandler())
logging.getLogger("paramiko").propagate = False

# More before the SSH banner than OpenSSH's client puts up with: SSH_MAX_BANNER_LEN in ssh.h.
_MAX_GREETING_BYTES = 64 * 1024
# sshd sends a Banner file of up to 1 MiB as one packet: auth2.c. A length beyond that is an attack.
_MAX_PACKET_BYTES = 2 * 1024 * 1024
# Who waits for an answer looks so often; the end of a connection is noticed at once.
_LOOK_S = 0.005
# So long what came meanwhile is looked for, before a server is said to owe an answer.
_AGAIN_S = 0.5

# RFC 4254, section 5.1.
PROHIBITED = 1


class ChannelRefusedError(Exception):
    """A server would not open a channel: RFC 4254's reason code, and its own words."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(code, text)
        self.code = code
        self.text = text


class BoundedPacketizer(Packetizer):
    """A packetizer that keeps what was said before the SSH banner, and takes no endless anything."""

    def __init__(self, sock: Any) -> None:
        super().__init__(sock)
        self.greeting = bytearray()
        self.heard_s = time.monotonic()

    def start_handshake(self, timeout: float) -> None:
        """Start no timer: a thread for each connection, where a watchdog serves them all."""

    def write_all(self, out: Any) -> None:
        """Send all of it; where the other end hung up before our first line, what it said is still read."""
        try:
            super().write_all(out)
        except EOFError:
            if not out.startswith(b"SSH-2.0-"):
                raise

    def _read_timeout(self, timeout: float) -> bytes:
        data: bytes = super()._read_timeout(timeout)  # type: ignore[misc]
        self.greeting += data
        if len(self.greeting) > _MAX_GREETING_BYTES:
            raise paramiko.SSHException("no end of text before the SSH banner")
        return data

    def read_all(self, n: int, check_rekey: bool = False) -> bytes:
        """Read ``n`` bytes, as a packet's header announced them.

        Errors: ``paramiko.SSHException`` where that is too much.
        """
        if n > _MAX_PACKET_BYTES:
            raise paramiko.SSHException(f"a packet of {n} bytes was announced")
        return super().read_all(n, check_rekey)

    def read_message(self) -> tuple[int, paramiko.Message]:
        """Read a packet, and note when."""
        message = super().read_message()
        self.heard_s = time.monotonic()
        return message


class PinnedTransport(paramiko.Transport):
    """A transport that keeps which host key it saw, why channels were refused, and the last words."""

    packetizer: BoundedPacketizer
    # With these a packet needs no MAC of its own, which paramiko compares byte by byte in Python:
    # a tenth of a login's time. OpenSSH has them since 6.2.
    _preferred_ciphers = (
        "aes128-gcm@openssh.com",
        "aes256-gcm@openssh.com",
        "aes128-ctr",
        "aes192-ctr",
        "aes256-ctr",
    )

    def __init__(self, sock: Any) -> None:
        super().__init__(sock, packetizer_class=BoundedPacketizer)
        # Reads wait for what comes, not for the next tenth of a second: close() wakes them.
        sock.settimeout(None)
        self.host_key_blob = b""
        self.last_words = ""
        self.fell_silent = False
        self.host_key_types: tuple[str, ...] = ()
        self.greeted = threading.Event()
        # Before anything was asked: earlier than any moment of the clock, which may just have begun.
        self._asked_s = -math.inf
        self._opening = threading.local()
        self._refusals: dict[int, tuple[int, str]] = {}
        self._abandoned: dict[int, paramiko.Channel] = {}

    @property
    def preferred_keys(self) -> tuple[str, ...]:
        """The host key algorithms to ask for, best first; paramiko's own where nothing is preferred."""
        known = tuple(super().preferred_keys)
        if not self.host_key_types:
            return known
        wanted = [kind for kind in self.host_key_types if kind in self._key_info]  # type: ignore[attr-defined]
        return (*wanted, *(kind for kind in known if kind not in wanted))

    @property
    def greeting(self) -> bytes:
        """The first line that the server sent, or as much of it as came."""
        return bytes(self.packetizer.greeting.split(b"\n", 1)[0][:255])

    def run(self) -> None:
        """Be the connection's thread; whatever ends it, nobody goes on waiting."""
        try:
            super().run()
        finally:
            self._wake()

    def close(self) -> None:
        """End the connection at once, whoever waits on it, and in whatever state it is."""
        self.active = False
        self._wake()
        for channel in list(self._channels.values()):  # type: ignore[attr-defined]
            channel._unlink()
        if isinstance(self.sock, socket.socket):
            # Closing alone does not wake a thread that is reading: socket(7) has no such promise.
            with suppress(OSError):
                self.sock.shutdown(socket.SHUT_RDWR)
        with suppress(paramiko.SSHException, EOFError, OSError):
            self.packetizer.close()
        with suppress(paramiko.SSHException, EOFError, OSError):
            self.sock.close()

    def open_within(
        self, kind: str, timeout_s: float, target: tuple[str, int] | None = None
    ) -> paramiko.Channel:
        """Open a channel: ``session``, or ``direct-tcpip`` to a ``target`` as this machine sees it.

        Errors: :class:`ChannelRefusedError` with the server's own words; ``TimeoutError`` after
        ``timeout_s`` seconds, the channel then being closed if it opens after all;
        ``paramiko.SSHException``, ``EOFError`` or ``OSError`` where the connection ends.
        """
        self._opening.number = -1
        try:
            return self.open_channel(kind, target, ("", 0) if target else None, timeout=timeout_s)
        except (paramiko.SSHException, EOFError):
            number: int = self._opening.number
            refusal = self._refusals.pop(number, None)
            if refusal is not None:
                # Not paramiko's own: it keeps one refusal a connection, which another may have taken.
                raise ChannelRefusedError(*refusal) from None
            if not self.active or number < 0:
                raise
            self._abandon(number)
            raise TimeoutError(timeout_s) from None

    def send_signal(self, channel: paramiko.Channel, name: str) -> None:
        """Have the process group behind a session get a signal.

        Source: RFC 4254, section 6.9; sshd does it from OpenSSH 7.9 on.
        """
        message = paramiko.Message()
        message.add_byte(cMSG_CHANNEL_REQUEST)
        message.add_int(channel.remote_chanid)
        message.add_string("signal")
        message.add_boolean(False)
        message.add_string(name)
        self._send_user_message(message)  # type: ignore[attr-defined]

    def ping(self) -> None:
        """Ask the server for a sign of life, unless it already owes one."""
        if self.unanswered_s > 0 or not self.active:
            return
        self._asked_s = time.monotonic()
        message = paramiko.Message()
        message.add_byte(cMSG_GLOBAL_REQUEST)
        message.add_string("keepalive@openssh.com")
        message.add_boolean(True)
        with suppress(paramiko.SSHException, EOFError, OSError):
            self._send_user_message(message)  # type: ignore[attr-defined]

    def stands(self, patience_s: float) -> bool:
        """Ask the server for a sign of life, and wait for that or for the end of the connection.

        The wait is counted in looks: a time for which this machine stood still is one of them.
        Returns: false where the connection has ended; true also where nothing came in time.
        """
        self.ping()
        for _ in range(math.ceil(patience_s / _LOOK_S)):
            if not self.is_active() or self.unanswered_s == 0:
                break
            self.join(_LOOK_S)
        return bool(self.is_active())

    def owes_for(self, limit_s: float) -> bool:
        """Tell whether the server has owed a sign of life for so long.

        Never without a look at what has come meanwhile: this machine may have been the one that stood still.
        """
        if self.unanswered_s < limit_s:
            return False
        self.stands(_AGAIN_S)
        return self.unanswered_s >= limit_s

    @property
    def unanswered_s(self) -> float:
        """How long the server has owed a sign of life, in seconds; 0 where it owes none."""
        return time.monotonic() - self._asked_s if self._asked_s > self.packetizer.heard_s else 0.0

    @property
    def can_send(self) -> bool:
        """False where a message would wait for somebody on the way to read."""
        poller = select.poll()
        try:
            poller.register(self.sock, select.POLLOUT)
        except ValueError:
            return False
        return any(events & select.POLLOUT for _, events in poller.poll(0))

    def _wake(self) -> None:
        events = [self.greeted, self.completion_event, *list(self.channel_events.values())]
        if self.auth_handler is not None:
            events.append(self.auth_handler.auth_event)
        for event in events:
            if event is not None:
                event.set()

    def _abandon(self, number: int) -> None:
        with self.lock:
            channel: paramiko.Channel | None = self._channels.get(number)  # type: ignore[attr-defined]
            opened = channel is not None and channel.active
            if channel is not None and not opened:
                self._abandoned[number] = channel
        if channel is not None and opened:
            channel.close()

    def _next_channel(self) -> int:
        number: int = super()._next_channel()  # type: ignore[misc]
        self._opening.number = number
        return number

    def _parse_channel_open_success(self, m: paramiko.Message) -> None:
        number = m.get_int()
        m.rewind()
        super()._parse_channel_open_success(m)  # type: ignore[misc]
        late = self._abandoned.pop(number, None)
        if late is not None:
            late.close()

    def _parse_channel_open_failure(self, m: paramiko.Message) -> None:
        number, reason, text = m.get_int(), m.get_int(), m.get_text()
        if self._abandoned.pop(number, None) is None and number in self.channel_events:
            self._refusals[number] = (reason, text)
        m.rewind()
        super()._parse_channel_open_failure(m)  # type: ignore[misc]

    def _check_banner(self) -> None:
        try:
            super()._check_banner()  # type: ignore[misc]
        finally:
            self.greeted.set()

    def _verify_key(self, host_key: bytes, sig: bytes) -> None:
        super()._verify_key(host_key, sig)  # type: ignore[misc]
        if self.host_key_blob not in (b"", host_key):
            raise paramiko.SSHException("the host key changed while the connection was in use")
        self.host_key_blob = host_key

    def _parse_disconnect(self, m: paramiko.Message) -> None:
        m.get_int()
        self.last_words = m.get_text()
