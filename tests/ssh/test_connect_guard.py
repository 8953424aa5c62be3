"""Nothing that was begun on a node outlives its operator by long: the line's end, or the clock, ends it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from connect_helpers import echo, error_of, hosts_of, said  # type: ignore[import-not-found]
from patience import HANGS_S

from clusterboot import lab as labs
from clusterboot.nodes.script import Section, new_nonce, read, render
from clusterboot.ssh.fleet import Fleet
from operator_fixture import Operator

SHELLS = [["dash"], ["bash", "--posix"], ["busybox", "sh"]]


class Shell:
    """A shell that runs a guarded script as sshd has it: at the head of a process group of its own."""

    def __init__(self, argv: list[str], body: str) -> None:
        self.nonce = new_nonce()
        self.process = subprocess.Popen(
            [*argv, "-s"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True
        )
        self.say(render([Section("body", body)], self.nonce, guarded=True).encode())

    def say(self, data: bytes) -> None:
        assert self.process.stdin
        self.process.stdin.write(data)
        self.process.stdin.flush()

    def hear(self, line: bytes) -> None:
        assert self.process.stdout
        while self.process.stdout.readline() != line:
            assert self.process.poll() is None

    def rest(self) -> bytes:
        assert self.process.stdout
        return self.process.stdout.read()

    def hang_up(self) -> None:
        assert self.process.stdin
        self.process.stdin.close()

    @property
    def group(self) -> list[str]:
        """The words of all processes of its group."""
        asked = subprocess.run(["ps", "-eo", "pgid=,args="], capture_output=True, text=True, check=True)
        rows = (line.split(None, 1) for line in asked.stdout.splitlines())
        return [row[1] for row in rows if row[0] == str(self.process.pid) and "<defunct>" not in row[1]]


@pytest.fixture
def start() -> Iterator[Callable[[str], list[Shell]]]:
    """Start a guarded script in every kind of shell that there is here."""
    started: list[Shell] = []

    def make(body: str) -> list[Shell]:
        started.extend(Shell(argv, body) for argv in SHELLS)
        return started

    yield make
    for shell in started:
        with shell.process:
            if shell.group:
                os.killpg(shell.process.pid, signal.SIGKILL)


def until(true: Callable[[], bool]) -> None:
    end_s = time.monotonic() + HANGS_S
    while not true():
        assert time.monotonic() < end_s
        time.sleep(0.02)


def test_the_end_of_the_line_ends_all_of_a_script(start: Callable[[str], list[Shell]]) -> None:
    shells = start("sleep 7001 & echo in; sleep 7001")
    for shell in shells:
        shell.hear(b"in\n")
        shell.hang_up()

    assert [shell.process.wait(HANGS_S) for shell in shells] == [-signal.SIGKILL] * len(SHELLS)
    until(lambda: not any(shell.group for shell in shells))


def test_what_is_nearly_done_then_may_come_to_its_end(
    start: Callable[[str], list[Shell]], tmp_path: Path
) -> None:
    shells = start(
        f"echo in; until [ -e '{tmp_path}/go' ]; do sleep 0.02; done; echo whole >>'{tmp_path}/file'"
    )
    for shell in shells:
        shell.hear(b"in\n")
    for shell in shells:
        shell.hang_up()
    (tmp_path / "go").touch()

    assert [shell.process.wait(HANGS_S) for shell in shells] == [0] * len(SHELLS)
    assert (tmp_path / "file").read_text() == "whole\n" * len(SHELLS)


def test_a_script_that_was_told_its_time_ends_with_it(start: Callable[[str], list[Shell]]) -> None:
    shells = start("sleep 7002 & echo in; sleep 7002")
    for shell in shells:
        shell.hear(b"in\n")
        shell.say(b"1\n")

    assert [shell.process.wait(HANGS_S) for shell in shells] == [-signal.SIGKILL] * len(SHELLS)
    until(lambda: not any(shell.group for shell in shells))


@pytest.mark.parametrize("told", [b"", b"3600\n"])
def test_a_script_that_is_done_leaves_no_guard_and_its_jobs_alone(
    start: Callable[[str], list[Shell]], told: bytes
) -> None:
    shells = start("sleep 7003 >/dev/null & echo in; sleep 0.3")
    for shell in shells:
        shell.hear(b"in\n")
        shell.say(told)

    for shell in shells:
        assert shell.rest().endswith(f"\n{shell.nonce} end\n".encode())
        assert shell.process.wait(HANGS_S) == 0
    until(lambda: all(shell.group == ["sleep 7003"] for shell in shells))


@pytest.mark.parametrize(
    "body", ["cat; exec <&0; cat", "read -r x; echo $x", "eval 'echo )'", "exec 3<&1; exit 5"]
)
def test_a_guarded_script_is_answered_as_any_other(start: Callable[[str], list[Shell]], body: str) -> None:
    for shell in start(body):
        answer = read(shell.rest(), shell.nonce)
        assert answer.complete
        assert set(answer.sections) == {"body"}


def running(lab: labs.Lab, node: str, words: str) -> bool:
    return labs.node_exec(lab.name, node, ["pgrep", "-f", "-x", words]).returncode == 0


@pytest.fixture
def begun(broken: labs.Lab, operator: Operator) -> Iterator[Callable[..., subprocess.Popen[bytes]]]:
    """Start a command that runs on all nodes of the lab for ever, and wait until it does."""
    started: list[subprocess.Popen[bytes]] = []

    def begin(seconds: int) -> subprocess.Popen[bytes]:
        argv = ["run", "--cluster", str(broken.cluster_file), f"sleep {seconds} & sleep {seconds}"]
        started.append(
            subprocess.Popen(
                [sys.executable, "-m", "clusterboot", *argv],
                cwd=operator.folder,
                env=operator.environment(),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
            )
        )
        for node in broken.nodes:
            until(lambda node=node: running(broken, node.name, f"sleep {seconds}"))  # type: ignore[misc]
        return started[-1]

    yield begin
    for process in started:
        process.kill()
        process.communicate()


@pytest.mark.lab
def test_an_operator_who_is_killed_leaves_nothing_running(
    broken: labs.Lab, begun: Callable[..., subprocess.Popen[bytes]]
) -> None:
    begun(7004).kill()

    for node in broken.nodes:
        until(lambda node=node: not running(broken, node.name, "sleep 7004"))  # type: ignore[misc]


@pytest.mark.lab
def test_a_line_that_a_firewall_cuts_in_mid_run_leaves_nothing_running_at_the_deadline(
    broken: labs.Lab, fleet: Fleet
) -> None:
    (host,) = (host for host in hosts_of(broken) if host.name == "n2")
    # The login has all the time that it needs: only what runs then is to be cut off.
    fleet.each([host], echo)
    outcomes: dict[str, object] = {}

    def work() -> None:
        question = said("long", "sleep 7005 & sleep 7005", 8)
        outcomes.update(fleet.each([host], lambda session: session.ask(question)))

    thread = threading.Thread(target=work)
    thread.start()
    # The guard has been told its time: there is a clock on the node.
    until(lambda: running(broken, "n2", "sleep (10|[0-9])"))
    labs.break_node(broken.name, "n2", "dropped-pair:head")
    thread.join(HANGS_S)

    assert error_of(outcomes["n2"]).cause == "no answer within 8 s"
    until(lambda: not running(broken, "n2", "sleep 7005"))
