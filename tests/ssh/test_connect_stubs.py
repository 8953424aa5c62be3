"""What no real sshd does: half a handshake, an endless one, an answer that comes too late."""

from __future__ import annotations

import re
import socket
import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from connect_helpers import (  # type: ignore[import-not-found]
    PATIENT,
    KeyFile,
    Stub,
    Way,
    echo,
    error_of,
    hold,
    host_at,
)
from ports import held_port

from clusterboot.errors import UnreachableError
from clusterboot.inventory.cluster import Host, Login
from clusterboot.ssh.refusals import refusal_of

pytestmark = pytest.mark.usefixtures("no_threads_left")

StartStub = Callable[..., Stub]
BANNER = b"SSH-2.0-OpenSSH_9.2\r\n"


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
        pace.wait(0.2)


def flood(conn: socket.socket) -> None:
    while True:
        conn.sendall(b"x" * 65536)


def hang_up(conn: socket.socket) -> None:
    conn.shutdown(socket.SHUT_WR)
    hold(conn)


TOLD = [
    ("silent", hold, "banner", r"^connected, but no SSH banner came within 0.3 s$", {"banner_s": 0.3}),
    (
        "half a banner",
        sends(b"SSH-2.0-Op"),
        "banner",
        r"^only part of an SSH banner came within 2 s: 'SSH-2.0-Op'$",
        {"banner_s": 2},
    ),
    ("dribbling", dribble, "banner", r"^only part of an SSH banner came within 2 s: 'S", {"banner_s": 2}),
    (
        "banner, then nothing",
        sends(BANNER),
        "hostkey",
        r"^after its banner the server did not finish",
        {"exchange_s": 0.3},
    ),
    ("endless", flood, "banner", r"is no SSH server: '….*xxx'$", {}),
    (
        "http",
        sends(b"HTTP/1.1 400 Bad Request\r\n\r\n", then=hang_up),
        "banner",
        r"no SSH server: 'HTTP/1.1 400 Bad",
        {},
    ),
    (
        "escapes",
        sends(b"\x1b]0;owned\x07\x1b[31mhi\r\n", then=hang_up),
        "banner",
        r"no SSH server: 'hi'$",
        {},
    ),
    (
        "huge packet",
        sends(BANNER, b"\x7f\xff\xff\xfc" + bytes(60)),
        "hostkey",
        r"failed: a packet of \d+ bytes was announced",
        {},
    ),
    (
        "old protocol",
        sends(b"SSH-1.5-old\r\n", then=hang_up),
        "hostkey",
        r"failed: Incompatible version",
        {},
    ),
]


@pytest.mark.parametrize(
    ("behave", "stage", "cause", "waits_s"), [t[1:] for t in TOLD], ids=[t[0] for t in TOLD]
)
def test_a_handshake_that_goes_wrong_is_told(
    *,
    way: Way,
    stub: StartStub,
    key: KeyFile,
    behave: Any,
    stage: str,
    cause: str,
    waits_s: dict[str, float],
) -> None:
    server = stub(behave)
    error = error_of(
        way.fleet(timeouts=replace(PATIENT, **waits_s)).each([host_at(server.port, key)], echo)["n"]
    )

    assert (error.host, error.stage, error.status) == ("n", stage, "unreachable")
    assert re.search(cause, error.cause), error.cause
    assert error.remedy
    assert server.connections == 1


# What OpenSSH sends in place of its banner, exactly; how often it is tried; what is said in the end.
AWAY = [
    (
        "MaxStartups until 9.7",
        b"Exceeded MaxStartups\r\n",
        ("banner", "the server has too many logins in progress: 'Exceeded MaxStartups'", "--fanout"),
        5,
    ),
    (
        "any reason since 9.8",
        b"Not allowed at this time\r\n",
        (
            "banner",
            "the server accepts no connection from this source address for now: 'Not allowed at this time'",
            "after 'penalty: …' wait until it ends",
        ),
        3,
    ),
    ("no word", b"", ("banner", "the server hung up before its SSH banner", "hosts.deny"), 5),
    ("after its banner", BANNER, ("hostkey", "the server hung up during the key exchange", "log"), 5),
]


@pytest.mark.parametrize(("words", "told", "tries"), [t[1:] for t in AWAY], ids=[t[0] for t in AWAY])
def test_being_turned_away_is_tried_again_a_few_times(
    *,
    way: Way,
    stub: StartStub,
    key: KeyFile,
    monkeypatch: pytest.MonkeyPatch,
    words: bytes,
    told: tuple[str, str, str],
    tries: int,
) -> None:
    monkeypatch.setattr("random.uniform", lambda _low, _high: 0.01)
    server = stub(sends(words, then=hang_up))

    error = error_of(way.fleet().each([host_at(server.port, key)], echo)["n"])

    assert (error.stage, error.cause) == told[:2]
    assert told[2] in (error.remedy or "")
    assert server.connections == tries


def test_a_penalty_is_not_tried_again_in_a_hurry() -> None:
    """OpenSSH enforces none that is shorter than 15 s: PerSourcePenalties min in sshd_config(5)."""
    soon, later = refusal_of("Exceeded MaxStartups"), refusal_of("Not allowed at this time")
    assert soon
    assert later
    assert len(later.pauses_s) < len(soon.pauses_s)
    assert min(later.pauses_s) >= 1


def test_a_port_that_nobody_listens_on_is_told_at_once_and_once(way: Way, key: KeyFile) -> None:
    with socket.socket() as holder:
        port = held_port(holder, "127.0.0.1")
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
        error = error_of(way.fleet(timeouts=replace(PATIENT, resolve_s=0.2)).each([host], echo)["n"])
    finally:
        answer.set()

    assert (error.stage, error.cause) == ("resolve", "the name server did not answer within 0.2 s")


@pytest.mark.parametrize("name", ["no-such-host.invalid", "a" * 64 + ".example", "x..y"])
def test_a_name_that_does_not_resolve_is_told(way: Way, key: KeyFile, name: str) -> None:
    host = Host("n", Login(name, "u", 22, (key.path,), identities_only=True))

    assert error_of(way.fleet().each([host], echo)["n"]).stage == "resolve"


def test_all_hosts_of_a_dead_network_cost_one_deadline_each_and_no_thread(
    way: Way, stub: StartStub, key: KeyFile
) -> None:
    server = stub(hold)
    hosts = [host_at(server.port, key, name=f"n{i}") for i in range(30)]

    outcomes = way.fleet(timeouts=replace(PATIENT, banner_s=0.3), fanout=30).each(hosts, echo)

    assert all(isinstance(outcome, UnreachableError) for outcome in outcomes.values())
    assert {outcome.host for outcome in outcomes.values()} == {host.name for host in hosts}  # type: ignore[union-attr]


def test_an_interrupt_ends_a_dial_that_hangs(way: Way, stub: StartStub, key: KeyFile) -> None:
    server = stub(hold)
    fleet = way.fleet()

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
