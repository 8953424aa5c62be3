"""A node that says of its neighbour that it cannot be reached: nobody is left out on its word."""

from __future__ import annotations

import re
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


def test_a_copy_that_one_node_says_did_not_arrive_is_made_there(bed: tuple[labs.Lab, Operator]) -> None:
    victim = bed[0].nodes[1].address
    with rewriting(bed[0], "n1", f"s/^{victim} \\(ok\\|same\\).*/{victim} error No space left on device/"):
        document = said(bed, "nccl-test", "--backend", "mpi", *SWEEP, expect=0)

    assert len(document["tests"][0]["ranks"]) == 4


@pytest.mark.parametrize(("others", "named"), [("[12]", {"n4"}), ("2", {None})], ids=["of several", "of one"])
def test_a_port_that_one_node_says_is_shut_is_nobody_elses_fault(
    bed: tuple[labs.Lab, Operator], others: str, named: set[str | None]
) -> None:
    lie = f"s/^port n\\({others}\\) .*/port n\\1 ssh: connect to host x port 9: Connection timed out/"
    with rewriting(bed[0], "n4", lie):
        document = said(bed, "nccl-test", "--backend", "mpi", *SWEEP, expect=6)

    assert document["verdict"] == "could-not-launch"
    assert {problem["host"] for problem in document["problems"]} == named
    assert {host["name"] for host in document["hosts"] if host["status"] != "ok"} == named - {None}
    assert re.match("between (it and n[12], n[12]|n4 and n2) a connection", document["problems"][0]["text"])


def test_a_node_that_gives_itself_two_names_has_nobody_else_blamed(bed: tuple[labs.Lab, Operator]) -> None:
    with rewriting(bed[0], "n4", "s/hostname:n4$/hostname:n7/"):
        document = said(bed, "nccl-test", "--backend", "mpi", *SWEEP, expect=6)

    assert document["verdict"] == "inconclusive"
    assert [problem["host"] for problem in document["problems"]] == [None]
    assert "either n4 has two names for itself, or n1 ran its ranks elsewhere" in document["reason"]


def test_a_rotation_stops_and_says_which_pair_and_blames_neither(
    bed: tuple[labs.Lab, Operator],
) -> None:
    with lie(bed[0], LIES["a refused key"]):
        document = said(bed, "rotate-keys", expect=3)

    assert not document["finished"]
    assert {host["status"] for host in document["hosts"]} == {"ok"}
    assert [(one["from"], one["to"]) for one in document["failed_logins"]] == [("n1", "n2")]
    assert said(bed, "rotate-keys", expect=0)["finished"]
