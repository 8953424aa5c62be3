"""Commands, scripts and files on the nodes of a lab, over SSH."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable

import pytest

import clusterboot.lab as labs
from operator_fixture import Operator


@pytest.fixture(scope="module")
def pair(module_lab: Callable[..., labs.Lab]) -> labs.Lab:
    return module_lab(nodes=2)


def test_a_script_and_its_words_arrive_over_ssh(pair: labs.Lab, operator: Operator) -> None:
    operator.write(
        "check.sh", '#!/bin/bash -u\n[[ -n $BASH_VERSION ]] && printf "<%s>\\n" "$(hostname)" "$@"\n'
    )
    cluster = ("--cluster", str(pair.cluster_file))
    said = operator.document("run", *cluster, "--script", "check.sh", "a b", "$(id)", "; id")
    assert {name: answer["stdout"] for name, answer in said["answers"].items()} == {
        name: f"<{name}>\n<a b>\n<$(id)>\n<; id>\n" for name in ("n1", "n2")
    }
    live = operator.run("run", *cluster, "--live", "echo out; echo err >&2; exit 3")
    assert live.returncode == 3
    assert sorted(live.stdout.splitlines()) == ["n1: out", "n2: out"]
    assert {"n1: err", "n2: err"} <= set(live.stderr.splitlines())


def test_a_large_file_arrives_over_ssh_as_it_is(pair: labs.Lab, operator: Operator) -> None:
    content = os.urandom(5_000_000)
    (operator.folder / "data").write_bytes(content)
    (operator.folder / "data").chmod(0o640)
    cluster = ("--cluster", str(pair.cluster_file))
    first, again = (operator.document("copy", "data", *cluster) for _ in range(2))

    assert first["sha256"] == hashlib.sha256(content).hexdigest()
    assert [host["changed"] for host in first["hosts"] + again["hosts"]] == [True, True, False, False]
    for node in ("n1", "n2"):
        path = pair.home(node) / "data"
        assert (path.read_bytes(), path.stat().st_mode & 0o777) == (content, 0o640)


def test_a_copy_that_is_cut_off_leaves_nothing(pair: labs.Lab, operator: Operator) -> None:
    with (operator.folder / "sparse").open("wb") as file:
        file.truncate(500_000_000)
    operator.document("copy", "sparse", "--cluster", str(pair.cluster_file), "--deadline", "1", expect=4)

    for node in ("n1", "n2"):
        wait = 'until [ -z "$(find /home/ubuntu -maxdepth 1 -name ".clusterboot-*")" ]; do sleep 0.1; done'
        labs.node_exec(pair.name, node, ["sh", "-c", wait], timeout_s=120)
        assert not (pair.home(node) / "sparse").exists()
