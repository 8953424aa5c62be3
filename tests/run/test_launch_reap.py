from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clusterboot.mpi.script_names import new_run_id
from clusterboot.nodes.script import SectionOutput, read, render
from clusterboot.run.reap import Reaped, orphans, parse_orphans, parse_reaped, reaping

NONCE = "fedcba9876543210"


@pytest.fixture
def spawn() -> Iterator[Callable[..., subprocess.Popen[bytes]]]:
    made: list[subprocess.Popen[bytes]] = []

    def start(*argv: str, stdout: int | None = None, **env: str) -> subprocess.Popen[bytes]:
        made.append(subprocess.Popen(argv, env={**os.environ, **env}, stdout=stdout))
        return made[-1]

    yield start
    for process in made:
        process.kill()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()


def answer(shell: list[str], section: str, home: Path, run_id: str = "") -> SectionOutput:
    made = (reaping("lab", run_id) if section == "reap" else orphans("lab")).sections
    script = render(made, NONCE)
    ran = subprocess.run(
        [*shell, "-s"],
        input=script.encode(),
        env={**os.environ, "HOME": str(home)},
        capture_output=True,
        check=True,
    )
    return read(ran.stdout, NONCE).sections[section]


def test_ranks_and_daemons_of_the_run_go_and_nothing_else(
    shell: list[str], home: Path, spawn: Callable[..., subprocess.Popen[bytes]]
) -> None:
    wait = (sys.executable, "-c", "import signal; signal.pause()")
    run_id = new_run_id()
    rank = spawn(*wait, CLUSTERBOOT_RUN=run_id)
    daemon = spawn(*wait, "-mca", "clusterboot_run", run_id, "-mca", "plm", "rsh")
    others = [
        spawn("sleep", "600", CLUSTERBOOT_RUN=run_id[:-1]),
        spawn("sleep", "600", CLUSTERBOOT_RUN=run_id + "c"),
        spawn("sleep", "600", OTHER_CLUSTERBOOT_RUN=run_id),
        spawn(*wait, "-mca", "other", run_id),
    ]

    reaped = parse_reaped(answer(shell, "reap", home, run_id))

    assert {rank.pid, daemon.pid} <= set(reaped.killed)
    assert reaped.left == ()
    assert (rank.wait(), daemon.wait()) == (-9, -9)
    assert [other.poll() for other in others] == [None] * 4


MAPS = """
import mmap, pathlib, signal, sys
files = [pathlib.Path(file).open("r+b") for file in sys.argv[1:]]
kept = [mmap.mmap(file.fileno(), 0) for file in files]
print(flush=True)
signal.pause()
"""


def test_what_open_mpi_keeps_of_the_run_goes_with_it_and_nothing_else(
    shell: list[str], home: Path, tmp_path: Path, spawn: Callable[..., subprocess.Popen[bytes]]
) -> None:
    """A daemon has files of its folder in memory, and a rank is told of it in its environment."""
    uid, run_id = os.getuid(), new_run_id()
    names = ("jf.1", "jf.2", f"../prted.n1.77.{uid}", "../precious", f"../other.n1.77.{uid}")
    folders = [tmp_path / "tmp" / f"ompi.n1.{uid}" / name for name in names]
    for folder in folders:
        (folder / "pmix_dstor").mkdir(parents=True)
        (folder / "pmix_dstor/smseg").write_bytes(b"x" * 4096)
    ours, another_run, daemons, precious, others = (folder.resolve() for folder in folders)
    (ours / "link").symlink_to(precious)
    linked = tmp_path / f"ompi.n2.{uid}"
    linked.symlink_to(precious)
    mapped = [str(folder / "pmix_dstor/smseg") for folder in (daemons, others, precious)]
    env = {"CLUSTERBOOT_RUN": run_id}
    held = [
        spawn(sys.executable, "-c", MAPS, *mapped, stdout=subprocess.PIPE, **env),
        spawn(sys.executable, "-c", MAPS, stdout=subprocess.PIPE, PMIX_SERVER_TMPDIR=str(ours), **env),
        spawn(
            sys.executable,
            "-c",
            MAPS,
            stdout=subprocess.PIPE,
            PMIX_SERVER_TMPDIR=f"{linked}/pmix_dstor",
            **env,
        ),
        spawn(sys.executable, "-c", MAPS, stdout=subprocess.PIPE, OTHER=str(another_run), **env),
    ]
    for process in held:
        assert process.stdout is not None
        process.stdout.readline()

    assert parse_reaped(answer(shell, "reap", home, run_id)).left == ()
    assert [folder.exists() for folder in (ours, daemons)] == [False, False]
    assert [(folder / "pmix_dstor/smseg").exists() for folder in (another_run, precious, others)] == [
        True
    ] * 3
    assert another_run.parent.is_dir()


def test_a_node_without_the_run_has_nothing_to_kill(shell: list[str], home: Path) -> None:
    assert parse_reaped(answer(shell, "reap", home, new_run_id())) == Reaped()


@given(st.binary(), st.integers(0, 255))
def test_no_answer_breaks_the_reading(raw: bytes, code: int) -> None:
    reaped = parse_reaped(SectionOutput(raw, code))

    assert all(pid >= 0 for pid in reaped.killed + reaped.left)
    assert isinstance(parse_orphans(SectionOutput(raw, code)), tuple)


def test_a_run_that_could_not_be_ended_is_none() -> None:
    """A node may say anything: what is no run's name is not looked for on the others."""
    said = b"orphan -x\norphan .\norphan ..\norphan a;b\norphan a1\n"
    assert parse_orphans(SectionOutput(said, 0)) == ("a1",)


@pytest.mark.parametrize("bad", ["", "a b", "$(x)", "../r", "-a", "a\n"])
def test_only_a_run_can_be_reaped(bad: str) -> None:
    with pytest.raises(ValueError, match="not usable"):
        reaping("lab", bad)


def test_runs_whose_supervisor_died_are_told_and_those_that_live_stay(shell: list[str], home: Path) -> None:
    runs = home / ".ssh/clusterboot/lab/runs"
    born = Path(f"/proc/{os.getpid()}/stat").read_text().rpartition(")")[2].split()[19]
    for name, supervisor in {
        "alive": f"{os.getpid()} {born}",
        "reused": f"{os.getpid()} {int(born) + 1}",
        "dead": "999999999 5",
        "empty": "",
    }.items():
        (runs / name).mkdir(parents=True)
        (runs / name / "supervisor").write_text(supervisor + "\n")
    (runs / "cut-off").mkdir()

    orphans = parse_orphans(answer(shell, "orphans", home))

    assert sorted(orphans) == ["cut-off", "dead", "empty", "reused"]
    assert [path.name for path in runs.iterdir()] == ["alive"]
    assert parse_orphans(answer(shell, "orphans", home)) == ()
