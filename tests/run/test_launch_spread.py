from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clusterboot.nodes.script import SectionOutput, read, render
from clusterboot.programs.collbench.spread import Copied, copying, parse_spread

NONCE = "00112233445566778899"
PATH = ".ssh/clusterboot/lab/bench/d1/prog"
PROGRAM = bytes(range(256)) * 600
# Stands for ssh: each target has a home beside the launching node's, a talking start-up
# file, and the login shell that the test chose.
SSH = """#!/bin/sh
while [ "$1" != -- ]; do echo "$1" >>"$NODES/args"; shift; done
[ "$2" != down ] || { echo "ssh: connect to host down port 22: No route to host" >&2; exit 255; }
[ "$2" != silent ] || exit 0
HOME=$NODES/$2; export HOME
cd "$HOME" || exit 1
echo "Welcome, ok same error!"
exec $LOGIN_SHELL -c "$3"
"""


def identity(path: Path) -> tuple[int, int]:
    """What changes when a file is replaced or written, and not when it is read."""
    return path.stat().st_ino, path.stat().st_mtime_ns


@pytest.fixture
def nodes(tmp_path: Path, home: Path) -> Path:
    (home / PATH).parent.mkdir(parents=True)
    (home / PATH).write_bytes(PROGRAM)
    (home / PATH).chmod(0o700)
    made = tmp_path / "nodes"
    made.mkdir()
    for name in ("n1", "n2", "10.1.0.3", "fd00::4", "n5"):
        (made / name).mkdir()
    (made / "ssh").write_text(SSH)
    (made / "ssh").chmod(0o755)
    return made


def spread(shell: list[str], home: Path, nodes: Path, *targets: str, fanout: int = 3) -> tuple[Copied, ...]:
    agent = (str(nodes / "ssh"), "-o", "BatchMode=yes")
    question = copying("lab", "d1", "prog", targets, nonce="5eed", fanout=fanout, agent=agent)
    env = {**os.environ, "HOME": str(home), "NODES": str(nodes), "LOGIN_SHELL": " ".join(shell)}
    ran = subprocess.run(
        [*shell, "-s"],
        input=render(question.sections, NONCE).encode(),
        env=env,
        capture_output=True,
        check=True,
    )
    assert ran.stderr == b""
    return parse_spread(read(ran.stdout, NONCE).sections["spread"], targets)


@pytest.mark.parametrize("fanout", [1, 3, 50])
def test_every_node_has_the_program_after(shell: list[str], home: Path, nodes: Path, fanout: int) -> None:
    targets = ("n1", "n2", "10.1.0.3", "fd00::4", "n5")

    copied = spread(shell, home, nodes, *targets, fanout=fanout)

    assert copied == tuple(Copied(target, "ok") for target in targets)
    for target in targets:
        program = nodes / target / PATH
        assert program.read_bytes() == PROGRAM
        assert program.stat().st_mode & 0o777 == 0o700
        assert program.parent.stat().st_mode & 0o777 == 0o700
        assert [path.name for path in program.parent.iterdir()] == ["prog"]


def test_a_node_that_has_it_keeps_it(shell: list[str], home: Path, nodes: Path) -> None:
    spread(shell, home, nodes, "n1")
    before = identity(nodes / "n1" / PATH)

    assert spread(shell, home, nodes, "n1", "n2") == (Copied("n1", "same"), Copied("n2", "ok"))
    assert identity(nodes / "n1" / PATH) == before


def test_a_damaged_copy_is_replaced(shell: list[str], home: Path, nodes: Path) -> None:
    spread(shell, home, nodes, "n1")
    (nodes / "n1" / PATH).write_bytes(PROGRAM[:-1])

    assert spread(shell, home, nodes, "n1") == (Copied("n1", "ok"),)
    assert (nodes / "n1" / PATH).read_bytes() == PROGRAM


def test_a_bad_node_is_told_with_its_words_and_hurts_no_other(
    shell: list[str], home: Path, nodes: Path
) -> None:
    (nodes / "n2" / ".ssh").write_text("")

    down, silent, unwritable, good = spread(shell, home, nodes, "down", "silent", "n2", "n5")

    assert down == Copied("down", "error", "ssh: connect to host down port 22: No route to host")
    assert silent.result == "error"
    assert unwritable.error == "cannot write .ssh/clusterboot/lab/bench/d1"
    assert good == Copied("n5", "ok")


def test_each_login_is_batch_and_notices_a_frozen_node(shell: list[str], home: Path, nodes: Path) -> None:
    spread(shell, home, nodes, "n1")

    said = (nodes / "args").read_text().split()
    assert said == ["-o", "BatchMode=yes", "-o", "ServerAliveInterval=10", "-o", "ServerAliveCountMax=3"]


def test_without_the_program_nothing_is_copied(shell: list[str], home: Path, nodes: Path) -> None:
    (home / PATH).unlink()

    assert spread(shell, home, nodes, "n1") == (Copied("n1", "error", "no answer"),)
    assert list((nodes / "n1").iterdir()) == []


@pytest.mark.lab
def test_a_target_mounted_noexec_is_told(shell: list[str], home: Path, nodes: Path) -> None:
    mounted = SSH.replace("exec $LOGIN_SHELL", 'mount -t tmpfs -o noexec none "$HOME"; cd; exec $LOGIN_SHELL')
    (nodes / "ssh").write_text(mounted.replace("#!/bin/sh", "#!/usr/bin/unshare -m\n#!/bin/sh", 0))
    (nodes / "inner").write_text(mounted)
    (nodes / "ssh").write_text(f'#!/bin/sh\nexec unshare -m sh {nodes}/inner "$@"\n')

    assert spread(shell, home, nodes, "n1") == (
        Copied("n1", "error", "the home directory is mounted noexec"),
    )


@pytest.mark.parametrize("bad", ["", "-oProxyCommand=x", "n1;x", "n1 n2", "$(x)", "a\nb", "u@n1", "'"])
def test_a_target_is_a_name_and_nothing_more(bad: str) -> None:
    with pytest.raises(ValueError, match="not usable"):
        copying("lab", "d1", "prog", ["n1", bad], nonce="5eed")


def test_a_fan_out_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="fan-out"):
        copying("lab", "d1", "prog", ["n1"], nonce="5eed", fanout=0)


def test_what_a_csh_would_read_otherwise_is_not_sent() -> None:
    body = copying("lab", "d1", "prog", ["n1"], nonce="5eed").sections[0].body
    sent = next(line for line in body.splitlines() if line.startswith("receive="))

    assert "!" not in sent
    assert "'" not in sent.removeprefix("receive=").replace("'$sum'", "").strip("'")


@given(st.binary())
def test_every_target_has_a_result_whatever_was_said(raw: bytes) -> None:
    copied = parse_spread(SectionOutput(raw, 0), ("n1", "n2"))

    assert [copy.target for copy in copied] == ["n1", "n2"]
