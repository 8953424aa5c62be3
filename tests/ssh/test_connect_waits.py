"""What no real sshd does once the handshake is over: an answer that comes too late, or never."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import paramiko
import pytest
from connect_helpers import PATIENT, KeyFile, Stub, Way, echo, error_of, host_at  # type: ignore[import-not-found]
from patience import HANGS_S

from clusterboot.ssh.knownhosts import render_line
from clusterboot.ssh.wire import PinnedTransport

pytestmark = pytest.mark.usefixtures("no_threads_left")

StartStub = Callable[..., Stub]


class Hooks(paramiko.ServerInterface):
    """An SSH server that answers each question only when it is let to."""

    def __init__(self) -> None:
        self.hold_auth = self.hold_channel = self.hold_exec = self.hold_forward = False
        self.partial = False
        self.banner: str | None = None
        self.let_go = threading.Event()
        self.asked = threading.Event()

    def _answer(self, held: bool, answer: int) -> int:
        self.asked.set()
        if held:
            self.let_go.wait()
        return answer

    def get_allowed_auths(self, username: str) -> str:
        return "keyboard-interactive" if self.partial else "publickey"

    def get_banner(self) -> tuple[str | None, str | None]:
        return self.banner, "en"

    def check_auth_publickey(self, username: str, key: paramiko.PKey) -> int:
        done = paramiko.common.AUTH_PARTIALLY_SUCCESSFUL if self.partial else paramiko.common.AUTH_SUCCESSFUL
        return self._answer(self.hold_auth, done)

    def check_channel_request(self, kind: str, chanid: int) -> int:
        return self._answer(self.hold_channel, paramiko.common.OPEN_SUCCEEDED)

    def check_channel_exec_request(self, channel: paramiko.Channel, command: bytes) -> bool:
        return bool(self._answer(self.hold_exec, 1))

    def check_channel_direct_tcpip_request(self, chanid: int, origin: Any, destination: Any) -> int:
        return self._answer(self.hold_forward, paramiko.common.OPEN_SUCCEEDED)


class FakeSshd:
    """A stub that speaks SSH as :class:`Hooks` has it."""

    def __init__(self, stub: StartStub, folder: Path, make_key: Callable[..., KeyFile]) -> None:
        self.hooks = Hooks()
        self.transports: list[paramiko.Transport] = []
        self.host_key = make_key("fake-host")
        self.stub = stub(self._serve)

    def _serve(self, conn: socket.socket) -> None:
        transport = paramiko.Transport(conn)
        self.transports.append(transport)
        transport.add_server_key(paramiko.Ed25519Key.from_private_key_file(str(self.host_key.path)))
        with contextlib.suppress(paramiko.SSHException, EOFError):
            transport.start_server(event=threading.Event(), server=self.hooks)

    @property
    def known(self) -> str:
        return render_line(f"[127.0.0.1]:{self.stub.port}", self.host_key.blob)

    def close(self) -> None:
        self.hooks.let_go.set()
        for transport in self.transports:
            transport.close()
            transport.join(HANGS_S)


@pytest.fixture
def fake(stub: StartStub, tmp_path: Path, new_key: Callable[..., KeyFile]) -> Iterator[FakeSshd]:
    made = FakeSshd(stub, tmp_path, new_key)
    yield made
    made.close()


HELD = [
    ("hold_auth", "auth_s", "auth", "no answer to the login within 0.4 s"),
    ("hold_channel", "channel_s", "channel", "no answer within 0.4 s"),
    ("hold_exec", "channel_s", "channel", "no answer within 0.4 s"),
    (None, "command_s", "channel", "the login shell began nothing within 0.4 s"),
]


@pytest.mark.parametrize(("held", "wait", "stage", "cause"), HELD)
def test_every_wait_after_the_handshake_has_its_own_deadline(
    *, way: Way, fake: FakeSshd, key: KeyFile, held: str | None, wait: str, stage: str, cause: str
) -> None:
    if held:
        setattr(fake.hooks, held, True)

    fleet = way.fleet(known=fake.known, timeouts=replace(PATIENT, **{wait: 0.4}))
    error = error_of(fleet.each([host_at(fake.stub.port, key)], echo)["n"])

    assert (error.host, error.stage, error.cause) == ("n", stage, cause)


@pytest.mark.parametrize("banner", [None, "Authorised users only.\r\n" * 43_000], ids=["quiet", "1 MB"])
def test_a_second_factor_is_told_whatever_was_said_before(
    way: Way, fake: FakeSshd, key: KeyFile, banner: str | None
) -> None:
    fake.hooks.partial, fake.hooks.banner = True, banner

    error = error_of(way.fleet(known=fake.known).each([host_at(fake.stub.port, key)], echo)["n"])

    assert (error.stage, error.cause) == (
        "auth",
        "the key is right, and the server wants more: keyboard-interactive",
    )


def stand_still(transport: PinnedTransport) -> None:
    """Ask for a sign of life, as if this machine had then stood still for an hour."""
    transport.packetizer.heard_s -= 7200
    transport.ping()
    transport._asked_s -= 3600


def test_an_answer_that_came_while_this_machine_stood_still_counts(
    way: Way, fake: FakeSshd, key: KeyFile
) -> None:
    transport = way.fleet(known=fake.known).session(host_at(fake.stub.port, key)).connection.transport
    stand_still(transport)

    assert not transport.owes_for(5)


def test_a_server_that_answers_nothing_owes_an_answer(way: Way, fake: FakeSshd, key: KeyFile) -> None:
    fake.hooks.hold_forward = True
    transport = way.fleet(known=fake.known).session(host_at(fake.stub.port, key)).connection.transport
    with pytest.raises(TimeoutError):
        transport.open_within("direct-tcpip", 0.2, ("10.0.0.1", 22))
    stand_still(transport)

    assert transport.owes_for(5)


def test_a_forward_that_opens_too_late_is_closed_again(way: Way, fake: FakeSshd, key: KeyFile) -> None:
    fake.hooks.hold_forward = True
    gateway = host_at(fake.stub.port, key).login
    fleet = way.fleet(known=fake.known, timeouts=replace(PATIENT, connect_s=1))

    error = error_of(fleet.each([host_at(9, key, gateway)], echo)["n"])
    (server,) = fake.transports
    # The stub is one thread: while it holds its answer it gives no sign of life, and is blamed for that.
    assert (error.stage, error.cause) == ("gateway", "the gateway does not answer any more")
    fake.hooks.let_go.set()
    server.join(HANGS_S)
    assert not server.is_alive()


def test_a_channel_that_opens_too_late_is_closed_again(way: Way, fake: FakeSshd, key: KeyFile) -> None:
    fake.hooks.hold_forward = True
    fleet = way.fleet(known=fake.known)
    transport = fleet.session(host_at(fake.stub.port, key)).connection.transport

    with pytest.raises(TimeoutError):
        transport.open_within("direct-tcpip", 0.2, ("10.0.0.1", 22))
    fake.hooks.let_go.set()
    channel = fake.transports[0].accept(HANGS_S)
    assert channel is not None
    channel.settimeout(HANGS_S)

    assert channel.recv(1) == b""
    assert transport.is_active()
    assert not transport._abandoned
