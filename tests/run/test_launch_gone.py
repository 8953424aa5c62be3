"""Runs whose operator is gone: by silence, and on the other nodes too."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from supervised import Run

from clusterboot.mpi.script_names import new_run_id

# Stands for ssh: notes whom it was to dial, and runs what it is given on this machine.
AGENT = """#!/bin/sh
while [ "$1" != -- ]; do shift; done
echo "$2" >>"$DIALLED"
exec sh -c "$3"
"""


@pytest.fixture
def dialled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    agent = tmp_path / "agent"
    agent.write_text(AGENT)
    agent.chmod(0o700)
    made = tmp_path / "dialled"
    monkeypatch.setenv("DIALLED", str(made))
    return made


@pytest.mark.usefixtures("seconds_from_ready")
def test_an_operator_who_falls_silent_is_gone(start: Callable[..., Run], gone: Callable[[int], bool]) -> None:
    run = start("echo $$; : >ready; sleep 600", silence_s=1)

    assert run.finish().how == "gone"
    assert gone(int(run.said))


# Each second that the supervisor waits for is over when the test writes into its pipe.
SECOND = """#!/bin/sh
[ "$1" = 1 ] || exec /bin/sleep "$@"
mkfifo "$HOME/second.$$"
echo $$ >>"$HOME/seconds"
read -r over <"$HOME/second.$$"
"""


@pytest.fixture
def next_second(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], Path]]:
    """Give the pipe of the second that began after all that were given before."""
    clock, log = tmp_path / "clock", home / "seconds"
    clock.mkdir()
    (clock / "sleep").write_text(SECOND)
    (clock / "sleep").chmod(0o755)
    monkeypatch.setenv("PATH", f"{clock}:{os.environ['PATH']}")
    given = 0

    def begun() -> list[str]:
        return log.read_text().split() if log.exists() else []

    def following() -> Path:
        nonlocal given
        while len(begun()) <= given:
            time.sleep(0.005)
        given += 1
        return home / f"second.{begun()[given - 1]}"

    yield following
    for pid in begun():
        with suppress(ProcessLookupError):
            os.kill(int(pid), signal.SIGKILL)


def test_lines_from_the_operator_keep_a_run_alive(
    start: Callable[..., Run], home: Path, next_second: Callable[[], Path]
) -> None:
    run = start("until [ -e go ]; do /bin/sleep 0.02; done; exit 4", silence_s=3)
    # More seconds than the silence that is allowed, and a line after each.
    for _ in range(4):
        next_second().write_text("over\n")
        next_second()
        run.stdin.write(b"\n")
        run.stdin.flush()
    (home / "go").touch()

    assert (run.finish().how, run.stream.end and run.stream.end.exit_code) == ("exited", 4)


def test_what_the_run_left_on_other_nodes_goes_with_the_operator(
    start: Callable[..., Run], dialled: Path, gone: Callable[[int], bool]
) -> None:
    name = new_run_id()
    run = start(
        "echo ready; sleep 600",
        run_id=name,
        others=("10.1.0.2", "n3"),
        agent=(str(dialled.with_name("agent")),),
    )
    run.read_until(b"ready\n")
    run.stdin.close()

    assert run.finish().how == "gone"
    assert sorted(dialled.read_text().split()) == ["10.1.0.2", "n3"]


def test_another_node_is_cleared_of_this_run_alone(
    start: Callable[..., Run], dialled: Path, tmp_path: Path, gone: Callable[[int], bool]
) -> None:
    """The agent makes a rank just before it sweeps: as it would be on a node of its own."""
    name = new_run_id()
    agent = dialled.with_name("agent")
    ranks = tmp_path / "ranks"
    begin = f"{sys.executable} -c 'import signal; signal.pause()' >/dev/null 2>&1 &"
    agent.write_text(
        f"#!/bin/sh\nCLUSTERBOOT_RUN={name} {begin}\necho $! >{ranks}\n"
        f"CLUSTERBOOT_RUN=x{name} {begin}\necho $! >>{ranks}\nexec sh -s\n"
    )
    run = start("echo ready; sleep 600", run_id=name, others=("n2",), agent=(str(agent),))
    run.read_until(b"ready\n")
    run.stdin.close()
    run.finish()
    ours, other = map(int, ranks.read_text().split())

    assert gone(ours)
    os.kill(other, 9)


def test_where_the_operator_is_there_the_other_nodes_are_left_to_him(
    start: Callable[..., Run], dialled: Path
) -> None:
    run = start("exit 1", others=("n2",), agent=(str(dialled.with_name("agent")),))

    assert run.finish().how == "exited"
    assert not dialled.exists()


@pytest.mark.usefixtures("seconds_from_ready")
def test_another_node_that_never_answers_does_not_hold_the_end(
    start: Callable[..., Run],
    tmp_path: Path,
    gone: Callable[[int], bool],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Those of one second go on: how often the operator's end is told of is counted with them.
    monkeypatch.setenv("WAITING_CLOCK", "2")
    agent, waiting = tmp_path / "deaf", tmp_path / "waiting"
    agent.write_text(f'#!/bin/sh\necho $$ >{waiting}\n: >"$HOME/ready"\nexec /bin/sleep 600\n')
    agent.chmod(0o700)
    run = start("echo ready; sleep 600", others=("n2",), agent=(str(agent),), clear_s=2)
    run.read_until(b"ready\n")
    run.stdin.close()

    assert run.finish().how == "gone"
    assert gone(int(waiting.read_text()))
