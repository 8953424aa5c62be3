from __future__ import annotations

import os
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from clusterboot.errors import ValidationError
from clusterboot.mpi.launcher import Mpi
from clusterboot.nodes.script import SectionOutput, read, render
from clusterboot.programs.collbench.build import Build, building, parse_build

NONCE = "00112233445566778899"
# Stands for mpicc: notes that it ran, complains about sources that say so, else "compiles".
MPICC = """#!/bin/sh
echo run >>"$HOME/compiled"
grep -n '#error' *.c && exit 1
for last; do :; done
cat *.c *.h >"$last" && chmod 755 "$last"
"""
SOURCE = "int a; /* '$(touch pwned)' `touch pwned` \\\\ $HOME\n EOF */\n\tint b;\n"


def identity(path: Path) -> tuple[int, int]:
    """What changes when a file is replaced or written, and not when it is read."""
    return path.stat().st_ino, path.stat().st_mtime_ns


@pytest.fixture
def build(tmp_path: Path) -> Build:
    mpicc = tmp_path / "mpi cc"
    mpicc.write_text(MPICC)
    mpicc.chmod(0o755)
    mpi = Mpi("openmpi", "4.1.4", "/usr/bin/mpirun", str(mpicc))
    return Build("cbbench", {"main.c": SOURCE, "part.h": "int c;"}, mpi, ("-O2", "-ldl; touch pwned"))


def answer(shell: list[str], build: Build, home: Path) -> SectionOutput:
    script = render(building(build, "lab").sections, NONCE)
    ran = subprocess.run(
        [*shell, "-s"],
        input=script.encode(),
        env={**os.environ, "HOME": str(home)},
        capture_output=True,
        check=True,
    )
    return read(ran.stdout, NONCE).sections["build"]


def test_a_program_is_built_from_its_exact_source(shell: list[str], build: Build, home: Path) -> None:
    built = parse_build(answer(shell, build, home))

    program = home / build.path("lab")
    assert built == str(program)
    assert program.read_text() == SOURCE + "int c;\n"
    assert program.stat().st_mode & 0o077 == 0o055
    assert program.parent.stat().st_mode & 0o777 == 0o700
    assert [path.name for path in program.parent.iterdir()] == ["cbbench"]
    assert list(home.rglob("pwned")) == []


def test_a_program_that_is_there_is_not_built_again(shell: list[str], build: Build, home: Path) -> None:
    first = parse_build(answer(shell, build, home))
    before = identity(Path(first))

    again = parse_build(answer(shell, build, home))

    assert again == first
    assert identity(Path(again)) == before
    assert (home / "compiled").read_text() == "run\n"


def test_the_compiler_s_own_words_are_in_the_error(shell: list[str], build: Build, home: Path) -> None:
    broken = replace(build, sources={"main.c": "#error no nccl here\n", "part.h": ""})

    with pytest.raises(ValidationError) as failed:
        parse_build(answer(shell, broken, home))

    assert failed.value.stage == "launch"
    assert "does not compile: " in failed.value.cause
    assert "#error no nccl here" in failed.value.cause
    assert list((home / broken.path("lab")).parent.iterdir()) == []


def test_a_compiler_that_went_away_is_named(shell: list[str], build: Build, home: Path) -> None:
    Path(str(build.mpi.mpicc)).unlink()

    with pytest.raises(ValidationError, match="compiler is not there"):
        parse_build(answer(shell, build, home))


def test_a_home_that_cannot_be_written_is_named(shell: list[str], build: Build, home: Path) -> None:
    (home / ".ssh").write_text("")

    with pytest.raises(ValidationError, match="cannot be written"):
        parse_build(answer(shell, build, home))


def test_a_noexec_home_is_named(build: Build) -> None:
    with pytest.raises(ValidationError, match="noexec"):
        parse_build(SectionOutput(b"failed noexec\n", 1))


@pytest.mark.lab
def test_a_home_mounted_noexec_is_found_out(shell: list[str], build: Build, home: Path) -> None:
    script = render(building(build, "lab").sections, NONCE)
    mounted = 'mount -t tmpfs -o noexec none "$HOME" && exec "$@"'
    ran = subprocess.run(
        ["unshare", "-m", "sh", "-c", mounted, "sh", *shell, "-s"],
        input=script.encode(),
        env={**os.environ, "HOME": str(home)},
        capture_output=True,
        check=True,
    )

    with pytest.raises(ValidationError, match="noexec"):
        parse_build(read(ran.stdout, NONCE).sections["build"])


@pytest.mark.parametrize(
    "change",
    [
        {"args": ("-O3",)},
        {"program": "other"},
        {"sources": {"main.c": "int a;"}},
        {"mpi": Mpi("openmpi", "4.1.5", "/usr/bin/mpirun", "/usr/bin/mpicc")},
    ],
)
def test_another_source_mpi_or_argument_is_another_build(build: Build, change: dict[str, object]) -> None:
    assert replace(build, **change).digest != build.digest  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "change",
    [
        {"program": "a;b"},
        {"program": "../a"},
        {"sources": {"../main.c": ""}},
        {"sources": {"main.sh": ""}},
        {"sources": {"main.c": "\0"}},
        {"mpi": Mpi("openmpi", "4", "/m")},
    ],
)
def test_what_is_no_build_is_refused(build: Build, change: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"usable|ends in|as text|no mpicc"):
        building(replace(build, **change), "lab")  # type: ignore[arg-type]


@pytest.mark.parametrize("raw", [b"", b"built relative\n", b"noise\n", b"failed what\n", b"\xff\n"])
def test_an_answer_that_is_none_is_an_error(raw: bytes) -> None:
    with pytest.raises(ValidationError):
        parse_build(SectionOutput(raw, 0))
