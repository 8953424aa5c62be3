"""Two operators, each with a machine of their own, and one cluster: they see each other on its nodes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from patience import HANGS_S

from clusterboot import lab as labs
from operator_fixture import Operator

pytestmark = [pytest.mark.lab, pytest.mark.long]


@pytest.fixture(scope="module")
def lab(module_lab: Callable[..., labs.Lab]) -> labs.Lab:
    return module_lab(nodes=2)


@pytest.fixture
def first(lab: labs.Lab, tmp_path: Path) -> Iterator[Operator]:
    operator = Operator(tmp_path / "first")
    operator.folder.mkdir()
    operator.document("bootstrap", *cluster(lab))
    yield operator
    operator.document("teardown", *cluster(lab))


@pytest.fixture
def second(tmp_path: Path) -> Operator:
    operator = Operator(tmp_path / "second")
    operator.folder.mkdir()
    return operator


def cluster(lab: labs.Lab) -> tuple[str, str]:
    return ("--cluster", str(lab.cluster_file))


def claims(lab: labs.Lab) -> list[Path]:
    paths = (lab.home(node.name) / f".ssh/clusterboot/{lab.name}/changing" for node in lab.nodes)
    return [path for path in paths if path.exists()]


def own_lines(lab: labs.Lab, node: str) -> list[str]:
    text = (lab.home(node) / ".ssh/authorized_keys").read_text()
    return [line for line in text.splitlines() if f"clusterboot:{lab.name}:" in line]


@contextmanager
def at_work(lab: labs.Lab, operator: Operator, command: str) -> Iterator[subprocess.Popen[str]]:
    """Start a command, and have it stop once it has claimed every node."""
    with operator.halted(command, *cluster(lab), "--json", line="nodes claimed") as process:
        assert len(claims(lab)) == len(lab.nodes)
        yield process


@pytest.mark.parametrize("command", ["rotate-keys", "teardown"])
def test_what_one_has_begun_no_other_comes_between(
    lab: labs.Lab, first: Operator, second: Operator, command: str
) -> None:
    with at_work(lab, first, command) as process:
        before = own_lines(lab, "n1")
        for theirs in ("bootstrap", "rotate-keys", "teardown"):
            done = second.run(theirs, *cluster(lab))
            assert done.returncode == 3, done.stdout + done.stderr
            assert "somebody else changes this cluster: " in done.stderr
            assert f" with {command}, since " in done.stderr
            assert "remove ~/.ssh/clusterboot/" in done.stderr
        assert own_lines(lab, "n1") == before
        assert len(claims(lab)) == len(lab.nodes)

        process.send_signal(signal.SIGCONT)
        said, _ = process.communicate(timeout=HANGS_S)
        assert process.returncode == 0, said
        assert json.loads(said)["exit_code"] == 0
    assert claims(lab) == []
    assert second.document("bootstrap", *cluster(lab))["failed_logins"] == []
    assert claims(lab) == []


def test_what_was_killed_is_taken_up_by_its_own_operator_and_after_an_hour_by_any(
    lab: labs.Lab, first: Operator, second: Operator
) -> None:
    with at_work(lab, first, "rotate-keys"):
        pass
    assert len(claims(lab)) == len(lab.nodes)
    assert second.run("bootstrap", *cluster(lab)).returncode == 3
    assert first.document("rotate-keys", *cluster(lab))["finished"]
    assert claims(lab) == []

    with at_work(lab, first, "rotate-keys"):
        pass
    for path in claims(lab):
        hour_ago_s = time.time() - 3601
        os.utime(path, (hour_ago_s, hour_ago_s))
    assert second.document("rotate-keys", *cluster(lab))["finished"]
    assert claims(lab) == []


def test_an_interrupted_command_holds_nothing(lab: labs.Lab, first: Operator, second: Operator) -> None:
    with at_work(lab, first, "rotate-keys") as process:
        process.send_signal(signal.SIGINT)
        process.send_signal(signal.SIGCONT)
        process.communicate(timeout=HANGS_S)
        assert process.returncode == 130
    assert claims(lab) == []
    second.document("bootstrap", *cluster(lab))
