"""The page's made-up MPI, added as the page says: one file, one line, and everything follows."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from clusterboot.checks.program_files import fitness_section, other_mpi, parse_fitness
from clusterboot.facts.collect import question
from clusterboot.facts.node import NodeFacts
from clusterboot.hostfiles.outputs import render_all
from clusterboot.hostfiles.slots import Slot
from clusterboot.inventory.cluster import MpiOptions, Options
from clusterboot.inventory.loader import load
from clusterboot.inventory.problems import ConfigError
from clusterboot.mpi.launcher import Launcher, Mpi, RunSpec, TreeLogin
from clusterboot.mpi.launchers import LAUNCHERS, command, launch_logins
from clusterboot.nodes.question import Reply
from clusterboot.nodes.script import Section, SectionOutput, new_nonce, read, render
from clusterboot.report.nodes import mpi_to_install
from clusterboot.run.standstill import parse_processes, ranks_there

PAGE = Path(__file__).parents[2] / "docs/architecture.md"


@pytest.fixture(autouse=True)
def tiny(monkeypatch: pytest.MonkeyPatch) -> Launcher:
    found = re.search(r"## A made-up MPI\n.*?```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert found
    module: dict[str, Any] = {"__name__": "clusterboot.mpi.tinympi"}
    exec(compile(found[1], str(PAGE), "exec"), module)  # noqa: S102  # the page's own example
    launcher: Launcher = module["TinyMpi"]()
    monkeypatch.setitem(LAUNCHERS, launcher.kind, launcher)
    return launcher


@pytest.fixture
def bin_(tmp_path: Path) -> Path:
    """A folder with a TinyMPI in it."""
    folder = tmp_path / "tinympi-1.2/bin"
    folder.mkdir(parents=True)
    for name in ("tinyrun", "tinycc"):
        (folder / name).write_text("#!/bin/sh\necho 'tinyrun (TinyMPI) 1.2.3'\n")
        (folder / name).chmod(0o755)
    return folder


def ask(home: Path, *asked: Section) -> dict[str, SectionOutput]:
    nonce = new_nonce()
    done = subprocess.run(
        ["/bin/sh", "-s"],
        input=render(asked, nonce).encode(),
        env={**os.environ, "HOME": str(home)},
        capture_output=True,
        check=True,
    )
    return dict(read(done.stdout, nonce).sections)


def spec(bin_: Path, **more: Any) -> RunSpec:
    mpi = Mpi("tinympi", "1.2.3", f"{bin_}/tinyrun")
    return RunSpec(mpi, "r1", "runs/r1/hostfile", 4, 2, ("/opt/prog", "-b", "8"), "lab", **more)


def test_it_is_found_and_known_from_others(bin_: Path, tmp_path: Path) -> None:
    asked = question(Options(mpi=MpiOptions(prefix=str(bin_.parent))))
    facts = asked.parse(Reply(ask(tmp_path, *asked.sections)))

    assert facts.mpi == (Mpi("tinympi", "1.2.3", f"{bin_}/tinyrun", f"{bin_}/tinycc"),)
    (section,) = (each for each in question(Options()).sections if each.name == "facts.mpi")
    assert "/opt/tinympi*/bin" in section.body


def test_the_cluster_file_may_ask_for_it(tmp_path: Path) -> None:
    text = "type: fleet\nname: lab\nssh_config: {{hosts: [n1]}}\nclusterboot: {{mpi: {{kind: {}}}}}\n"
    file = tmp_path / "cluster.yaml"
    file.write_text(text.format("tinympi"))
    assert load(file, ssh_config=Path("/dev/null"), environ={}).options.mpi.kind == "tinympi"
    file.write_text(text.format("tinmpi"))
    *others, last = (f"'{kind}'" for kind in LAUNCHERS)
    with pytest.raises(ConfigError, match=f"write {', '.join(others)} or {last}"):
        load(file, ssh_config=Path("/dev/null"), environ={})


def test_its_hostfile_is_written_beside_the_others() -> None:
    texts = render_all([Slot("n1", "10.1.0.4", 8), Slot("n2", "10.1.0.5", 4)])

    assert list(texts) == list(LAUNCHERS)
    assert texts["tinympi"] == "10.1.0.4 x8\n10.1.0.5 x4\n"


def test_a_run_is_told_in_its_words(bin_: Path) -> None:
    made = command(spec(bin_, env={"TOKEN": "s3cret"}, interfaces=("ib0",)))

    at = made.argv.index("/bin/sh")
    assert made.argv[1:at] == (
        *("-hosts", "runs/r1/hostfile", "-n", "4", "-rsh", "ssh -o BatchMode=yes -o ConnectTimeout=10"),
        *("-via", "ib0", "-label", "clusterboot_run", "r1", "-pass=CLUSTERBOOT_RUN", "-pass=TOKEN"),
    )
    assert made.argv[at + 3 :] == ("/opt/prog", "-b", "8")
    assert made.env == {"CLUSTERBOOT_RUN": "r1", "TOKEN": "s3cret"}


def test_its_logins_are_those_that_are_proven() -> None:
    logins = launch_logins("tinympi", "n1", ["n1", "n2", "n3"])

    assert logins == (TreeLogin("n1", "n2"), TreeLogin("n1", "n3"))


def test_what_it_needs_is_looked_for_before_a_launch(bin_: Path, tmp_path: Path) -> None:
    asked = fitness_section(spec(bin_).mpi, (), {})
    assert parse_fitness(ask(tmp_path, asked)["fitness"]).absent == (f"{bin_}/tinyd",)
    (bin_ / "tinyrun").rename(bin_ / "tinyd")
    assert parse_fitness(ask(tmp_path, asked)["fitness"]).absent == ()


def test_programs_of_other_mpis_are_known() -> None:
    tiny, open_mpi = Mpi("tinympi", "1", "/m"), Mpi("openmpi", "5", "/m")

    assert other_mpi(tiny, ["/lib/libmpi.so.40"]) == "Open MPI (libmpi.so.40)"
    assert other_mpi(open_mpi, ["/lib/libtinympi.so.1"]) == "TinyMPI (libtinympi.so.1)"
    assert other_mpi(tiny, ["/lib/libtinympi.so.1"]) is None


@pytest.fixture
def rank() -> Iterator[int]:
    env = {**os.environ, "CLUSTERBOOT_RUN": "r7", "CLUSTERBOOT_PROGRAM": "1", "TINY_RANK": "5"}
    with subprocess.Popen(["sleep", "60"], env=env) as process:
        yield process.pid
        process.kill()


def test_its_ranks_are_found_by_their_numbers(rank: int, tmp_path: Path) -> None:
    seen = parse_processes(ask(tmp_path, *ranks_there("r7").sections)["processes"])

    assert [(each.pid, each.rank) for each in seen] == [(rank, 5)]


def test_the_shell_around_a_rank_knows_its_number(bin_: Path, tmp_path: Path) -> None:
    made = command(spec(bin_, prints_mark=False))
    around = (*made.argv[made.argv.index("/bin/sh") :][:3], "/bin/echo", "x")
    env = {"HOME": str(tmp_path), "PATH": os.environ["PATH"], "TINY_RANK": "0"}

    said = subprocess.run(around, env=env, capture_output=True, text=True, check=True).stdout

    assert said.splitlines()[1] == "x"
    assert said.count("# clusterboot run r1") == 2


def test_it_is_named_where_a_node_has_no_mpi() -> None:
    bare = NodeFacts("n1", None, "Slackware 15", "", "", "", 1, None, None, 1, 1)

    assert " or TinyMPI, the same" in str(mpi_to_install({"n1": bare}, MpiOptions()))
