"""A node that says of its neighbour that it cannot be reached: nobody is left out on its word."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import pytest
from benchmark_bed import SWEEP
from start_files import rewriting

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


def said(bed: tuple[labs.Lab, Operator], *args: str, expect: int) -> dict[str, Any]:
    lab, operator = bed
    document: dict[str, Any] = operator.document(*args, "--cluster", str(lab.cluster_file), expect=expect)
    return document


def lie(lab: labs.Lab, words: str) -> AbstractContextManager[None]:
    """Have all that scripts print on n1, from where a launch would start, say that no login to n2 works."""
    victim = lab.nodes[1].address
    return rewriting(lab, "n1", f"s/^login {victim} 0.*/login {victim} 255 {words}/")


@pytest.mark.parametrize("words", LIES.values(), ids=LIES)
@pytest.mark.parametrize("verify", ["launch", "full"])
def test_nobody_is_out_and_a_launch_starts_elsewhere(
    bed: tuple[labs.Lab, Operator], words: str, verify: str
) -> None:
    with lie(bed[0], words):
        document = said(bed, "bootstrap", "--verify", verify, expect=3)

    assert {host["status"] for host in document["hosts"]} == {"ok"}
    assert document["launch_host"] == "n2"
    assert [(one["from"], one["to"]) for one in document["failed_logins"]] == [("n1", "n2")]
    hostfile = bed[1].folder / f"hostfiles/{bed[0].name}/openmpi"
    assert len(hostfile.read_text().splitlines()) == 4


def test_a_benchmark_runs_on_all_nodes_from_one_that_reaches_them(
    bed: tuple[labs.Lab, Operator],
) -> None:
    with lie(bed[0], LIES["a refused key"]):
        document = said(bed, "nccl-test", "--backend", "mpi", *SWEEP, expect=0)

    assert document["launch_host"] == "n2"
    assert len(document["tests"][0]["ranks"]) == 4


def test_a_rotation_stops_and_says_which_pair_and_blames_neither(
    bed: tuple[labs.Lab, Operator],
) -> None:
    with lie(bed[0], LIES["a refused key"]):
        document = said(bed, "rotate-keys", expect=3)

    assert not document["finished"]
    assert {host["status"] for host in document["hosts"]} == {"ok"}
    assert [(one["from"], one["to"]) for one in document["failed_logins"]] == [("n1", "n2")]
    assert said(bed, "rotate-keys", expect=0)["finished"]
