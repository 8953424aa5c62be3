"""A node that says of its neighbour that it cannot be reached: nobody is left out on its word."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from clusterboot import lab as labs
from operator_fixture import Operator

pytestmark = [pytest.mark.lab, pytest.mark.long]

LIES = {
    "a refused key": "ubuntu@x: Permission denied (publickey).",
    "an impostor": "Host key verification failed.",
}


@pytest.fixture(scope="module")
def bed(bootstrapped: Callable[[int], tuple[labs.Lab, Operator]]) -> tuple[labs.Lab, Operator]:
    return bootstrapped(4)


@pytest.fixture
def liar(bed: tuple[labs.Lab, Operator]) -> Iterator[Path]:
    """The start-up file of n1, from where a launch would start."""
    path = bed[0].home("n1") / ".bashrc"
    yield path
    path.unlink(missing_ok=True)


def said(bed: tuple[labs.Lab, Operator], *args: str, expect: int) -> dict[str, Any]:
    lab, operator = bed
    document: dict[str, Any] = operator.document(*args, "--cluster", str(lab.cluster_file), expect=expect)
    return document


def lie(lab: labs.Lab, path: Path, words: str) -> None:
    """Have all that scripts print of a login to n2 say that it failed."""
    victim = lab.nodes[1].address
    path.write_text(f"exec > >(sed -u 's/^login {victim} 0.*/login {victim} 255 {words}/')\n")


@pytest.mark.parametrize("words", LIES.values(), ids=LIES)
@pytest.mark.parametrize("verify", ["launch", "full"])
def test_nobody_is_out_and_a_launch_starts_elsewhere(
    bed: tuple[labs.Lab, Operator], liar: Path, words: str, verify: str
) -> None:
    lie(bed[0], liar, words)
    document = said(bed, "bootstrap", "--verify", verify, expect=3)

    assert {host["status"] for host in document["hosts"]} == {"ok"}
    assert document["launch_host"] == "n2"
    assert [(one["from"], one["to"]) for one in document["failed_logins"]] == [("n1", "n2")]
    hostfile = bed[1].folder / f"hostfiles/{bed[0].name}/openmpi"
    assert len(hostfile.read_text().splitlines()) == 4


def test_a_benchmark_runs_on_all_nodes_from_one_that_reaches_them(
    bed: tuple[labs.Lab, Operator], liar: Path
) -> None:
    lie(bed[0], liar, LIES["a refused key"])
    small = ("--backend", "mpi", "-b", "1K", "-e", "4K", "-f", "4", "-n", "2", "-w", "0")
    document = said(bed, "nccl-test", *small, expect=0)

    assert document["launch_host"] == "n2"
    assert len(document["tests"][0]["ranks"]) == 4


def test_a_rotation_stops_and_says_which_pair_and_blames_neither(
    bed: tuple[labs.Lab, Operator], liar: Path
) -> None:
    lie(bed[0], liar, LIES["a refused key"])
    document = said(bed, "rotate-keys", expect=3)

    assert not document["finished"]
    assert {host["status"] for host in document["hosts"]} == {"ok"}
    assert [(one["from"], one["to"]) for one in document["failed_logins"]] == [("n1", "n2")]
    liar.unlink()
    assert said(bed, "rotate-keys", expect=0)["finished"]
