"""Link maps whose launch breaks: a node that cannot start a rank, and an mpirun that is killed."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

import launch_mpis
from clusterboot import lab as labs
from clusterboot.linkmap.inference.schedule import MOST_LOOKS
from operator_fixture import Operator

pytestmark = [pytest.mark.lab, pytest.mark.slow]

NODES = 5


@pytest.fixture(scope="module")
def five(module_lab: Callable[..., labs.Lab]) -> labs.Lab:
    return module_lab(nodes=NODES, rate="60mbit")


@pytest.fixture(scope="module")
def user(five: labs.Lab, tmp_path_factory: pytest.TempPathFactory) -> Operator:
    operator = Operator(tmp_path_factory.mktemp("operator"))
    operator.document("bootstrap", "--cluster", str(five.cluster_file))
    return operator


def root(lab: labs.Lab, node: str, script: str) -> str:
    done = labs.node_exec(lab.name, node, ["sh", "-ec", script])
    assert done.returncode == 0, done.stderr
    return done.stdout


def pairs_measured(said: dict[str, Any]) -> set[tuple[str, str]]:
    names = said["nodes"]
    return {
        (names[at], names[to])
        for at, row in enumerate(said["bandwidth_gb_s"])
        for to, cell in enumerate(row)
        if cell is not None
    }


def test_a_node_that_cannot_launch_is_named_and_the_others_are_mapped(five: labs.Lab, user: Operator) -> None:
    daemon = launch_mpis.system_openmpi().daemon
    root(five, "n3", f"mount --bind /dev/null {daemon}")
    try:
        said = user.document("link-map", "--cluster", str(five.cluster_file), expect=6)
    finally:
        root(five, "n3", f"umount {daemon}")
    (finding,) = said["findings"]
    assert (finding["kind"], finding["hosts"], finding["fraction_of_expected"]) == ("node", ["n3"], None)
    assert f"it has no {daemon}" in finding["evidence"]
    assert said["verdict"] == "inconclusive"
    others = {"n1", "n2", "n4", "n5"}
    assert pairs_measured(said) == {(one, other) for one in others for other in others if one != other}
    assert {host["name"]: host["status"] for host in said["hosts"]} == {
        **dict.fromkeys(others, "ok"),
        "n3": "failed",
    }


def test_a_killed_mpirun_costs_no_round_that_had_ended(five: labs.Lab, user: Operator) -> None:
    words = ["link-map", "--cluster", str(five.cluster_file), "--mode", "full", "--json"]
    with user.started("round 2 of", *words) as process:
        root(five, "n1", "kill -9 $(pgrep -x 'mpirun|orterun|prterun')")
        out, err = process.communicate()
    said = json.loads(out)
    assert (process.returncode, said["verdict"], said["findings"]) == (0, "ok", []), err
    # The second went on; what was held up for a moment, as happens on a shared machine, is looked at again.
    assert 2 <= said["launches"] <= 2 + MOST_LOOKS
    assert any("broke off after" in note for note in said["notes"])
    assert len(pairs_measured(said)) == NODES * (NODES - 1)
    # No round that had ended was measured again: there are as many as nodes.
    assert said["rounds"] == NODES
