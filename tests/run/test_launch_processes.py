"""Which ranks of a run a node has, under every shell."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clusterboot.mpi.script_names import new_run_id
from clusterboot.nodes.script import SectionOutput, read, render
from clusterboot.run.standstill import RankProcess, parse_processes, ranks_there

NONCE = "fedcba9876543210"
# Says that it runs, and waits: a name with spaces and brackets is what proc(5) warns of.
WAIT = "import os, signal; os.write(1, b'x'); signal.pause()"


@pytest.fixture
def spawn(tmp_path: Path) -> Iterator[Callable[..., int]]:
    made: list[subprocess.Popen[bytes]] = []

    def start(**env: str) -> int:
        process = subprocess.Popen(
            [sys.executable, "-c", WAIT], env={**os.environ, **env}, stdout=subprocess.PIPE
        )
        made.append(process)
        assert process.stdout
        assert process.stdout.read(1) == b"x"
        return process.pid

    yield start
    for process in made:
        process.kill()
        process.communicate()


def seen(shell: list[str], home: Path, run_id: str) -> tuple[RankProcess, ...]:
    ran = subprocess.run(
        [*shell, "-s"],
        input=render(ranks_there(run_id).sections, NONCE).encode(),
        env={**os.environ, "HOME": str(home)},
        capture_output=True,
        check=True,
    )
    return parse_processes(read(ran.stdout, NONCE).sections["processes"])


def test_ranks_of_every_mpi_are_listed_with_their_state(
    shell: list[str], home: Path, spawn: Callable[..., int]
) -> None:
    run_id = new_run_id()
    variables = ("OMPI_COMM_WORLD_RANK", "PMI_RANK", "PMIX_RANK")
    program = {"CLUSTERBOOT_RUN": run_id, "CLUSTERBOOT_PROGRAM": "1"}
    ranks = {spawn(**program, **{name: str(at)}): at for at, name in enumerate(variables, 10)}
    spawn(**program)
    # The shell that waits for a rank's program does nothing itself, and is no rank that stands still.
    spawn(CLUSTERBOOT_RUN=run_id, PMI_RANK="3")
    spawn(CLUSTERBOOT_RUN=run_id + "x", PMI_RANK="3")
    first = next(iter(ranks))
    os.kill(first, signal.SIGSTOP)
    os.waitpid(first, os.WUNTRACED)

    found = seen(shell, home, run_id)

    assert {each.pid: each.rank for each in found} == ranks
    assert {each.pid for each in found if each.is_stopped} == {first}
    assert all(each.cpu_ticks >= 0 for each in found)


def test_a_node_without_the_run_has_no_ranks(shell: list[str], home: Path) -> None:
    assert seen(shell, home, new_run_id()) == ()


@given(st.binary(), st.integers(0, 255))
def test_no_answer_breaks_the_reading(raw: bytes, code: int) -> None:
    assert isinstance(parse_processes(SectionOutput(raw, code)), tuple)
