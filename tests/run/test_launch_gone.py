"""Runs whose operator is gone: by silence, and on the other nodes too."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
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


def test_an_operator_who_falls_silent_is_gone(start: Callable[..., Run], gone: Callable[[int], bool]) -> None:
    run = start("echo $$; sleep 600", silence_s=1)

    assert run.finish().how == "gone"
    assert gone(int(run.said))


def test_lines_from_the_operator_keep_a_run_alive(start: Callable[..., Run]) -> None:
    # Longer than the silence that is allowed, and no second of it without a line.
    run = start("for n in 1 2 3 4 5; do echo $n; sleep 0.5; done; exit 4", silence_s=2)
    for n in range(1, 6):
        run.read_until(b"%d\n" % n)
        run.stdin.write(b"\n")
        run.stdin.flush()

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


def test_another_node_that_never_answers_does_not_hold_the_end(
    start: Callable[..., Run], tmp_path: Path, gone: Callable[[int], bool]
) -> None:
    agent, waiting = tmp_path / "deaf", tmp_path / "waiting"
    agent.write_text(f"#!/bin/sh\necho $$ >{waiting}\nexec sleep 600\n")
    agent.chmod(0o700)
    run = start("echo ready; sleep 600", others=("n2",), agent=(str(agent),), clear_s=1)
    run.read_until(b"ready\n")
    run.stdin.close()

    assert run.finish().how == "gone"
    assert gone(int(waiting.read_text()))
