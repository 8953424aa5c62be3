"""What no real sshd does: half a handshake, an endless one, an answer that comes too late."""

from __future__ import annotations

import contextlib
import re
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import paramiko
import pytest
from connect_helpers import QUICK, KeyFile, Stub, Way, echo, error_of  # type: ignore[import-not-found]

from clusterboot.config.cluster import Host, Login
from clusterboot.connect.knownhosts import render_line
from clusterboot.connect.retry import Throttle, pauses_s
from clusterboot.errors import UnreachableError

pytestmark = pytest.mark.usefixtures("no_threads_left")

StartStub = Callable[..., Stub]
BANNER = b"SSH-2.0-OpenSSH_9.2\r\n"
# The shortest deadlines for what never comes.
BRISK = replace(QUICK, connect_s=0.4, banner_s=0.3, exchange_s=0.3, auth_s=0.4, channel_s=0.4, command_s=0.4)


@pytest.fixture
def key(new_key: Callable[..., KeyFile]) -> KeyFile:
    return new_key("login")


def host_at(port: int, key: KeyFile, *via: Login, name: str = "n") -> Host:
    return Host(name, Login("127.0.0.1", "u", port, (key.path,), identities_only=True), via)


def hold(conn: socket.socket) -> None:
    """Say nothing more until the other end goes."""
    while conn.recv(65536):
        pass


def sends(*pieces: bytes, then: Callable[[socket.socket], None] = hold) -> Callable[[socket.socket], None]:
    def behave(conn: socket.socket) -> None:
        for piece in pieces:
            conn.sendall(piece)
        then(conn)

    return behave


def dribble(conn: socket.socket) -> None:
    pace = threading.Event()
    for byte in BANNER * 1000:
        conn.sendall(bytes([byte]))
        pace.wait(0.05)


def flood(conn: socket.socket) -> None:
    while True:
        conn.sendall(b"x" * 65536)


def hang_up(conn: socket.socket) -> None:
    conn.shutdown(socket.SHUT_WR)
    hold(conn)


TOLD = [
    ("silent", hold, "banner", r"^connected, but no SSH banner came within 0.3 s$"),
    (
        "half a banner",
        sends(b"SSH-2.0-Op"),
        "banner",
        r"^only part of an SSH banner came within 0.3 s: 'SSH-2.0-Op'$",
    ),
    ("dribbling", dribble, "banner", r"^only part of an SSH banner came within 0.3 s: 'SSH-"),
    ("banner, then nothing", sends(BANNER), "hostkey", r"^after its banner the server did not finish"),
    ("endless", flood, "banner", r"is no SSH server: '….*xxx'$"),
    (
        "http",
        sends(b"HTTP/1.1 400 Bad Request\r\n\r\n", then=hang_up),
        "banner",
        r"no SSH server: 'HTTP/1.1 400 Bad",
    ),
    ("escapes", sends(b"\x1b]0;owned\x07\x1b[31mhi\r\n", then=hang_up), "banner", r"no SSH server: 'hi'$"),
    (
        "huge packet",
        sends(BANNER, b"\x7f\xff\xff\xfc" + bytes(60)),
        "hostkey",
        r"failed: a packet of \d+ bytes was announced",
    ),
    ("old protocol", sends(b"SSH-1.5-old\r\n", then=hang_up), "hostkey", r"failed: Incompatible version"),
]


@pytest.mark.parametrize(("behave", "stage", "cause"), [t[1:] for t in TOLD], ids=[t[0] for t in TOLD])
def test_a_handshake_that_goes_wrong_is_told(
    *, way: Way, stub: StartStub, key: KeyFile, behave: Any, stage: str, cause: str
) -> None:
    server = stub(behave)
    error = error_of(way.fleet(timeouts=BRISK).each([host_at(server.port, key)], echo)["n"])

    assert (error.host, error.stage, error.status) == ("n", stage, "unreachable")
    assert re.search(cause, error.cause), error.cause
    assert error.remedy
    assert server.connections == 1


AWAY = [
    (
        "MaxStartups",
        b"Exceeded MaxStartups\r\n",
        "banner",
        "hung up before its SSH banner: 'Exceeded MaxStartups'",
    ),
    (
        "penalty",
        b"Not allowed at this time\r\n",
        "banner",
        "hung up before its SSH banner: 'Not allowed at this time'",
    ),
    ("no word", b"", "banner", "hung up before its SSH banner"),
    ("after its banner", BANNER, "hostkey", "hung up during the key exchange"),
]


@pytest.mark.parametrize(("words", "stage", "cause"), [t[1:] for t in AWAY], ids=[t[0] for t in AWAY])
def test_being_turned_away_is_tried_again_a_few_times(
    *,
    way: Way,
    stub: StartStub,
    key: KeyFile,
    monkeypatch: pytest.MonkeyPatch,
    words: bytes,
    stage: str,
    cause: str,
) -> None:
    monkeypatch.setattr("clusterboot.connect.retry._PAUSES_S", (0.01,) * 4)
    server = stub(sends(words, then=hang_up))

    error = error_of(way.fleet().each([host_at(server.port, key)], echo)["n"])

    assert (error.stage, error.cause) == (stage, f"the server {cause}")
    assert server.connections == 5


def test_a_port_that_nobody_listens_on_is_told_at_once_and_once(way: Way, key: KeyFile) -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]

    error = error_of(way.fleet().each([host_at(port, key)], echo)["n"])

    assert (error.stage, error.cause) == ("connect", f"cannot connect to port {port}: Connection refused")
    assert len(way.audit_path.read_text().splitlines()) == 1


def test_a_name_server_that_does_not_answer_costs_its_deadline(
    way: Way, key: KeyFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer, asked = threading.Event(), socket.getaddrinfo

    def slow(host: str, *args: Any, **kwargs: Any) -> Any:
        if host == "slow.example" and "flags" not in kwargs:
            answer.wait()
            raise socket.gaierror(socket.EAI_AGAIN, "no answer")
        return asked(host, *args, **kwargs)

    monkeypatch.setattr(socket, "getaddrinfo", slow)
    host = Host("n", Login("slow.example", "u", 22, (key.path,), identities_only=True))
    try:
        error = error_of(way.fleet(timeouts=replace(BRISK, resolve_s=0.2)).each([host], echo)["n"])
    finally:
        answer.set()

    assert (error.stage, error.cause) == ("resolve", "the name server did not answer within 0.2 s")


@pytest.mark.parametrize("name", ["no-such-host.invalid", "a" * 64 + ".example", "x..y"])
def test_a_name_that_does_not_resolve_is_told(way: Way, key: KeyFile, name: str) -> None:
    host = Host("n", Login(name, "u", 22, (key.path,), identities_only=True))

    assert error_of(way.fleet().each([host], echo)["n"]).stage == "resolve"


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
            transport.join(10)


@pytest.fixture
def fake(stub: StartStub, tmp_path: Path, new_key: Callable[..., KeyFile]) -> Iterator[FakeSshd]:
    made = FakeSshd(stub, tmp_path, new_key)
    yield made
    made.close()


HELD = [
    ("hold_auth", "auth", "no answer to the login within 0.4 s"),
    ("hold_channel", "channel", "no answer within 0.4 s"),
    ("hold_exec", "channel", "no answer within 0.4 s"),
    (None, "channel", "the login shell began nothing within 0.4 s"),
]


@pytest.mark.parametrize(("held", "stage", "cause"), HELD)
def test_every_wait_after_the_handshake_has_its_own_deadline(
    *, way: Way, fake: FakeSshd, key: KeyFile, held: str | None, stage: str, cause: str
) -> None:
    if held:
        setattr(fake.hooks, held, True)

    # The handshake is honest work, and may take its time.
    timeouts = replace(BRISK, banner_s=5, exchange_s=10)
    fleet = way.fleet(known=fake.known, timeouts=timeouts)
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


def test_a_forward_that_opens_too_late_is_closed_again(way: Way, fake: FakeSshd, key: KeyFile) -> None:
    fake.hooks.hold_forward = True
    gateway = host_at(fake.stub.port, key).login
    fleet = way.fleet(known=fake.known, timeouts=replace(BRISK, connect_s=1, banner_s=5, exchange_s=10))

    error = error_of(fleet.each([host_at(9, key, gateway)], echo)["n"])
    (server,) = fake.transports
    # The stub is one thread: while it holds its answer it gives no sign of life, and is blamed for that.
    assert (error.stage, error.cause) == ("gateway", "the gateway does not answer any more")
    fake.hooks.let_go.set()
    server.join(10)
    assert not server.is_alive()


def test_a_channel_that_opens_too_late_is_closed_again(way: Way, fake: FakeSshd, key: KeyFile) -> None:
    fake.hooks.hold_forward = True
    fleet = way.fleet(known=fake.known)
    transport = fleet.session(host_at(fake.stub.port, key)).connection.transport

    with pytest.raises(TimeoutError):
        transport.open_within("direct-tcpip", 0.2, ("10.0.0.1", 22))
    fake.hooks.let_go.set()
    channel = fake.transports[0].accept(10)
    assert channel is not None
    channel.settimeout(10)

    assert channel.recv(1) == b""
    assert transport.is_active()
    assert not transport._abandoned


def test_a_throttle_gives_way_and_recovers() -> None:
    throttle = Throttle(32)
    widths = []
    for _ in range(7):
        throttle.turned_away()
        widths.append(throttle.width)
    for _ in range(40):
        throttle.let_in()

    assert widths == [16, 8, 4, 2, 1, 1, 1]
    assert throttle.width == 32


def test_a_throttle_lets_no_more_in_than_its_width() -> None:
    throttle, inside, most = Throttle(8), [0], [0]
    for _ in range(2):
        throttle.turned_away()
    lock = threading.Lock()

    def enter() -> None:
        with throttle.place():
            with lock:
                inside[0] += 1
                most[0] = max(most[0], inside[0])
            threading.Event().wait(0.01)
            with lock:
                inside[0] -= 1

    threads = [threading.Thread(target=enter) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert most[0] <= 2


def test_pauses_grow_and_are_spread() -> None:
    many = [tuple(pauses_s()) for _ in range(50)]

    assert len(set(many)) == 50
    assert all(one[0] < 0.31 and one[-1] > 0.79 for one in many)


def test_all_hosts_of_a_dead_network_cost_one_deadline_each_and_no_thread(
    way: Way, stub: StartStub, key: KeyFile
) -> None:
    server = stub(hold)
    hosts = [host_at(server.port, key, name=f"n{i}") for i in range(30)]

    outcomes = way.fleet(timeouts=BRISK, fanout=30).each(hosts, echo)

    assert all(isinstance(outcome, UnreachableError) for outcome in outcomes.values())
    assert {outcome.host for outcome in outcomes.values()} == {host.name for host in hosts}  # type: ignore[union-attr]


def test_an_interrupt_ends_a_dial_that_hangs(way: Way, stub: StartStub, key: KeyFile) -> None:
    server = stub(hold)
    fleet = way.fleet(timeouts=replace(QUICK, banner_s=3600))

    def work(_: object) -> None:
        raise AssertionError("nobody gets this far")

    def interrupt() -> None:
        while not server.connections:
            threading.Event().wait(0.005)
        fleet.close()

    thread = threading.Thread(target=interrupt)
    thread.start()
    outcomes = fleet.each([host_at(server.port, key)], work)
    thread.join()

    assert error_of(outcomes["n"]).stage == "banner"
