"""The shell around a rank's program: it hides nothing from the launcher, and leaves word of a bad end."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from launch_specs import spec

from clusterboot.mpi.launchers import mark_line, ranked_program
from clusterboot.nodes.script import read, render
from clusterboot.run.reap import BadEnd, Reaped, parse_reaped, reaping

NONCE = "fedcba9876543210"


@pytest.fixture
def node(home: Path) -> Path:
    (home / ".ssh/clusterboot/lab").mkdir(parents=True)
    return home


def run(shell: list[str], home: Path, script: str, **env: str) -> subprocess.CompletedProcess[bytes]:
    (_, c, around, *_) = ranked_program(spec("openmpi", "4.1.4", "/m"))
    argv = [*shell, c, around, "/bin/sh", "-c", script, "program", "a b", "*"]
    full = {**os.environ, "HOME": str(home), **env}
    return subprocess.run(argv, env=full, input=b"in\n", capture_output=True, check=False)


def reaped(shell: list[str], home: Path) -> Reaped:
    ran = subprocess.run(
        [*shell, "-s"],
        input=render(reaping("lab", "r1").sections, NONCE).encode(),
        env={**os.environ, "HOME": str(home)},
        capture_output=True,
        check=True,
    )
    return parse_reaped(read(ran.stdout, NONCE).sections["reap"])


def test_a_program_has_its_arguments_its_input_and_its_output(shell: list[str], node: Path) -> None:
    done = run(shell, node, 'read -r line; echo "$line|$1|$2|$#"; echo said >&2', PMIX_RANK="3")

    assert (done.returncode, done.stdout, done.stderr) == (0, b"in|a b|*|2\n", b"said\n")
    assert reaped(shell, node) == Reaped()


def test_the_mark_stands_around_what_rank_0_prints_and_nowhere_else(shell: list[str], node: Path) -> None:
    mark = mark_line("r1").encode()

    assert run(shell, node, "echo x", PMI_RANK="0").stdout.split(b"\n") == [mark, b"x", mark, b""]
    assert run(shell, node, "echo x", PMI_RANK="1").stdout == b"x\n"


@pytest.mark.parametrize(
    ("end", "launcher_sees", "told"),
    [
        ("exit 7", 7, BadEnd(4, 7)),
        ("kill -KILL $$", -9, BadEnd(4, 137)),
        ("kill -SEGV $$", -11, BadEnd(4, 139)),
        ("exit 255", 255, BadEnd(4, 255)),
        # A number that would stop the shell, if it were taken for a signal.
        ("exit 147", 147, BadEnd(4, 147)),
        ("exec /no/such/program", 127, BadEnd(4, 127)),
    ],
)
def test_a_bad_end_is_the_launchers_to_see_and_the_nodes_to_tell(
    shell: list[str], node: Path, end: str, launcher_sees: int, told: BadEnd
) -> None:
    assert run(shell, node, end, OMPI_COMM_WORLD_RANK="4").returncode == launcher_sees

    assert reaped(shell, node).bad_ends == (told,)
    assert reaped(shell, node).bad_ends == ()
    assert list((node / ".ssh/clusterboot/lab").iterdir()) == []


def test_what_stands_in_the_files_place_is_not_read(shell: list[str], node: Path) -> None:
    name = subprocess.run(["uname", "-n"], capture_output=True, text=True, check=True).stdout.strip()
    path = node / f".ssh/clusterboot/lab/ends.r1.{name}"
    for make in (lambda: os.mkfifo(path), lambda: path.symlink_to("/dev/zero")):
        make()
        assert reaped(shell, node).bad_ends == ()
        assert not path.is_symlink()
        assert not path.exists()
    path.write_text("3 9\nended 4 1\n4 1; x\n5 1234\n")
    assert reaped(shell, node).bad_ends == (BadEnd(3, 9),)
