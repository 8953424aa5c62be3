"""Faults of links in a real lab of 16 nodes: each is named for what it is, and nothing else is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from clusterboot import lab as labs
from operator_fixture import Operator

pytestmark = [pytest.mark.lab, pytest.mark.alone]

# A rate at which the links, and not this machine's cores, are what limits.
RATE = "60mbit"
Told = set[tuple[str, tuple[str, ...], str]]


@pytest.fixture(scope="module")
def sixteen(module_lab: Callable[..., labs.Lab]) -> labs.Lab:
    return module_lab(nodes=16, rate=RATE)


@pytest.fixture(scope="module")
def user(sixteen: labs.Lab, tmp_path_factory: pytest.TempPathFactory) -> Operator:
    operator = Operator(tmp_path_factory.mktemp("operator"))
    operator.document("bootstrap", "--cluster", str(sixteen.cluster_file))
    return operator


def broken_map(user: Operator, lab: labs.Lab, faults: list[tuple[str, str]], *words: str) -> dict[str, Any]:
    """Make faults, map, and mend them."""
    for node, fault in faults:
        labs.break_node(lab.name, node, fault)
    try:
        return user.document(
            "link-map", "--cluster", str(lab.cluster_file), *words, expect=6 if faults else 0
        )
    finally:
        for node, _ in faults:
            labs.mend(lab.name, node)


def told(said: dict[str, Any]) -> Told:
    """Give what is named for certain, a link's ends in the order in which its direction is meant."""
    found: Told = set()
    for each in said["findings"]:
        hosts = (
            each["hosts"] if each["direction"] == "out" else sorted(each["hosts"], key=lambda h: int(h[1:]))
        )
        found.add((each["kind"], tuple(hosts), "open" if each["next_pairs"] else each["direction"]))
    return found


@pytest.mark.slow
def test_nodes_and_links_that_are_bad_at_once_are_each_named(sixteen: labs.Lab, user: Operator) -> None:
    faults = [
        *(("n3", "slow-nic"), ("n6", "slow-out"), ("n8", "slow-pair:n12")),
        *(("n9", "dead-pair:n14"), ("n2", "dropped-pair:n11")),
    ]
    said = broken_map(user, sixteen, faults, "--exclude", "n16")
    assert told(said) == {
        ("node", ("n3",), "both"),
        ("node", ("n6",), "out"),
        ("link", ("n8", "n12"), "both"),
        ("link", ("n9", "n14"), "both"),
        ("link", ("n2", "n11"), "both"),
    }
    dead = {tuple(each["hosts"]) for each in said["findings"] if each["fraction_of_expected"] == 0}
    assert {frozenset(pair) for pair in dead} == {frozenset(("n9", "n14")), frozenset(("n2", "n11"))}
    assert len(said["nodes"]) == 15
    good = (user.folder / "hostfiles" / sixteen.name / "openmpi-good").read_text()
    bad = [node.address for node in sixteen.nodes if node.name in ("n3", "n6")]
    assert not any(f"{address} " in good for address in bad)


@pytest.mark.slow
def test_a_group_behind_a_slow_uplink_is_named_as_one(sixteen: labs.Lab, user: Operator) -> None:
    said = broken_map(user, sixteen, [("n2", "slow-group:n7,n8,n13")])
    assert told(said) == {("group", ("n2", "n7", "n8", "n13"), "both")}
    assert said["findings"][0]["where"] == "across"


FAULTS: dict[str, tuple[list[tuple[str, str]], Told]] = {
    "nothing": ([], set()),
    "slow NIC": ([("n5", "slow-nic")], {("node", ("n5",), "both")}),
    "slow outbound": ([("n16", "slow-out")], {("node", ("n16",), "out")}),
    "slow inbound": ([("n1", "slow-in")], {("node", ("n1",), "in")}),
    "slow pair": ([("n4", "slow-pair:n10")], {("link", ("n4", "n10"), "both")}),
    "slow one way": ([("n4", "slow-to:n10")], {("link", ("n4", "n10"), "out")}),
    "dead pair": ([("n1", "dead-pair:n9")], {("link", ("n1", "n9"), "both")}),
    "two slow nodes": (
        [("n7", "slow-nic"), ("n15", "slow-nic")],
        {("node", ("n7",), "both"), ("node", ("n15",), "both")},
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("case", FAULTS)
def test_each_fault_by_itself(sixteen: labs.Lab, user: Operator, case: str) -> None:
    faults, expected = FAULTS[case]
    assert told(broken_map(user, sixteen, faults)) == expected


@pytest.mark.slow
def test_a_slow_node_is_named_though_all_share_a_switch(sixteen: labs.Lab, user: Operator) -> None:
    said = broken_map(user, sixteen, [("switch", "shared-switch"), ("n5", "slow-nic")])
    assert told(said) == {("node", ("n5",), "both")}
    assert said["crowd"]["pairs_at_once"] <= 2
    assert any("the fabric between the nodes is shared" in note for note in said["notes"])
