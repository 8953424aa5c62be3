"""What runs on a node: its output as it is, an end when it is due, and nothing left of it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from connect_helpers import PATIENT, Way, echo, error_of, hosts_of, said  # type: ignore[import-not-found]
from patience import HANGS_S

from clusterboot import lab as labs
from clusterboot.errors import UnreachableError
from clusterboot.inventory.cluster import Host
from clusterboot.nodes.question import Question
from clusterboot.nodes.script import Section
from clusterboot.nodes.sessions import Session
from clusterboot.nodes.watchdog import Watchdog
from clusterboot.ssh.fleet import Fleet

pytestmark = [pytest.mark.lab, pytest.mark.usefixtures("no_threads_left")]


def test_a_head_that_dies_while_commands_run_is_noticed_long_before_their_deadline(
    broken: labs.Lab, way: Way
) -> None:
    fleet = way.fleet(files=(broken.folder / "known_hosts",), timeouts=replace(PATIENT, alive_s=3))

    def long(session: Session) -> str:
        return session.ask(said("long", "sleep 3600", 3600))

    fleet.each(hosts_of(broken), echo)
    labs.break_node(broken.name, "head", "frozen")
    outcomes = fleet.each(hosts_of(broken), long)

    assert {error_of(o).stage for o in outcomes.values()} == {"gateway"}
    assert {error_of(o).cause for o in outcomes.values()} == {"the gateway does not answer any more"}


def test_at_the_deadline_all_hosts_say_the_same_of_a_head_that_died_just_before_it(
    broken: labs.Lab, fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    hosts = hosts_of(broken)
    fleet.each(hosts, echo)
    labs.break_node(broken.name, "head", "frozen")
    monkeypatch.setattr(Watchdog, "out_of_time", True)

    # One host's command has run for long when the time is up, the other's has only begun.
    said_of = []
    for host, waited_s in zip(hosts, (100.0, 2.0), strict=False):
        with pytest.raises(UnreachableError) as caught:
            fleet.session(host).connection.blame_gateway(waited_s)
        said_of.append((caught.value.stage, caught.value.cause))
    assert said_of == [("gateway", "the gateway does not answer any more")] * 2


def test_at_the_deadline_a_head_that_answers_is_not_blamed(
    broken: labs.Lab, fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    fleet.each(hosts_of(broken), echo)
    monkeypatch.setattr(Watchdog, "out_of_time", True)
    for host in hosts_of(broken):
        fleet.session(host).connection.blame_gateway(0.0)


def test_a_line_that_drops_in_mid_command_is_told(broken: labs.Lab, fleet: Fleet) -> None:
    hosts = hosts_of(broken)

    def work(session: Session) -> str:
        if session.name == "n2":
            # The parent of this shell is the sshd that carries it.
            return session.ask(said("cut", "kill -9 $PPID; sleep 3600"))
        return echo(session)

    outcomes = fleet.each(hosts, work)

    error = error_of(outcomes["n2"])
    assert (error.host, error.stage, error.cause) == ("n2", "facts", "the connection was lost")
    assert outcomes["n1"] == "hello\n"


def test_a_node_that_prints_without_end_is_cut_off(broken: labs.Lab, fleet: Fleet) -> None:
    def flood(session: Session) -> object:
        body = "yes" if session.name == "n2" else "echo hello"
        return session.ask(said("flood", body))

    outcomes = fleet.each(hosts_of(broken), flood)

    assert "printed more than 16 MiB" in error_of(outcomes["n2"]).cause
    assert outcomes["n1"] == "hello\n"
    _none_left(broken, "n2", "yes")


def test_binary_output_comes_back_byte_for_byte(broken: labs.Lab, fleet: Fleet) -> None:
    def bytes_of(session: Session) -> bytes:
        body = r"printf '\000\001\377\033]0;x\007\n\r\n'"
        return session.ask(Question.of_one(Section("raw", body), lambda said: said.stdout, "facts"))

    assert set(fleet.each(hosts_of(broken), bytes_of).values()) == {b"\0\1\xff\x1b]0;x\7\n\r\n"}


def test_at_its_deadline_a_command_is_killed_on_the_node(broken: labs.Lab, fleet: Fleet) -> None:
    def hang(session: Session) -> object:
        body = "sleep 7777 & sleep 7777" if session.name == "n2" else "echo hello"
        return session.ask(said("hang", body, 0.5 if session.name == "n2" else None))

    outcomes = fleet.each(hosts_of(broken), hang)

    assert error_of(outcomes["n2"]).cause == "no answer within 0.5 s"
    assert outcomes["n1"] == "hello\n"
    _none_left(broken, "n2", "sleep 7777")
    assert fleet.each(hosts_of(broken), echo)["n2"] == "hello\n"


def test_closing_a_fleet_ends_what_runs_on_the_nodes(broken: labs.Lab, fleet: Fleet) -> None:
    def hang(session: Session) -> object:
        return session.ask(said("hang", "sleep 8888"))

    def close(host: Host, outcome: object) -> None:
        raise KeyboardInterrupt

    hosts = hosts_of(broken)

    def work(session: Session) -> object:
        return (
            echo(session) if session.name == "n1" and _running(broken, "n2", "sleep 8888") else hang(session)
        )

    with pytest.raises(KeyboardInterrupt):
        fleet.each(hosts, work, close)

    for name in ("n2", "n3"):
        _none_left(broken, name, "sleep 8888")


def _running(lab: labs.Lab, node: str, command: str) -> bool:
    """Wait until a command runs on a node."""
    script = 'until pgrep -f -x "$1" >/dev/null; do sleep 0.01; done'
    return (
        labs.node_exec(lab.name, node, ["sh", "-c", script, "sh", command], timeout_s=HANGS_S).returncode == 0
    )


def _none_left(lab: labs.Lab, node: str, command: str) -> None:
    """Wait until no such process is left on a node; where one stays, time runs out."""
    script = 'while pgrep -f -x "$1" >/dev/null; do sleep 0.01; done'
    labs.node_exec(lab.name, node, ["sh", "-c", script, "sh", command], timeout_s=HANGS_S)


def test_no_agent_is_ever_forwarded(
    broken: labs.Lab, fleet: Fleet, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("SSH_AUTH_SOCK", str(tmp_path / "agent"))

    def sock(session: Session) -> str:
        return session.ask(said("env", 'echo "${SSH_AUTH_SOCK-none}"'))

    assert set(fleet.each(hosts_of(broken), sock).values()) == {"none\n"}


def test_what_runs_can_be_asked_about_where_a_connection_has_one_session(
    broken: labs.Lab, fleet: Fleet
) -> None:
    labs.break_node(broken.name, "n2", "max-sessions")
    (host,) = (host for host in hosts_of(broken) if host.name == "n2")
    answers: list[str] = []

    def ask(_: bytes) -> None:
        with fleet.session(host).beside() as second:
            answers.append(second.ask(said("echo", "touch asked; echo hello")))

    def work(session: Session) -> int | None:
        script = b"echo begun; until [ -e asked ]; do sleep 0.02; done; rm asked; exit 0\n"
        return session.stream(script, ask, lambda _: None, "launch")

    assert fleet.each([host], work) == {"n2": 0}
    assert answers == ["hello\n"]
