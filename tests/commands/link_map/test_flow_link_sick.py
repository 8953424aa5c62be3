"""A link map of a node that loses packets or comes and goes: it is named, and no figure is above the line."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from statistics import median
from typing import Any

import pytest

from clusterboot import lab as labs
from operator_fixture import Operator

pytestmark = [pytest.mark.lab, pytest.mark.alone, pytest.mark.long]

# A rate at which the links, and not this machine's cores, are what limits.
RATE = "100mbit"
LINE_GB_S = 0.0125
SICK = "n5"


@pytest.fixture(scope="module")
def eight(lab_root: str) -> Iterator[labs.Lab]:
    name = f"t-{os.getpid()}-{secrets.token_hex(3)}"
    try:
        yield labs.up(name, nodes=8, rate=RATE)
    finally:
        labs.down(name)


@pytest.fixture(scope="module")
def user(eight: labs.Lab, tmp_path_factory: pytest.TempPathFactory) -> Operator:
    operator = Operator(tmp_path_factory.mktemp("operator"))
    operator.document("bootstrap", "--cluster", str(eight.cluster_file))
    return operator


def sick_map(user: Operator, lab: labs.Lab, fault: str) -> dict[str, Any]:
    """Map while a node has the fault, and see that nothing else is named and no sample is above the line."""
    labs.break_node(lab.name, SICK, fault)
    try:
        said = user.document("link-map", "--cluster", str(lab.cluster_file), expect=6)
    finally:
        labs.mend(lab.name, SICK)
    assert [(each["kind"], each["hosts"]) for each in said["findings"]] == [("node", [SICK])]
    assert said["verdict"] == "slow"
    assert max(cell["max_gb_s"] for row in said["samples"] for cell in row if cell) <= 1.05 * LINE_GB_S
    return said


@pytest.mark.parametrize(
    ("fault", "direction"), [("lossy:4", "both"), ("lossy-in:10", "in"), ("lossy-out:10", "out")]
)
def test_a_node_that_loses_packets_is_named_with_the_way_and_the_share(
    eight: labs.Lab, user: Operator, fault: str, direction: str
) -> None:
    said = sick_map(user, eight, fault)

    (finding,) = said["findings"]
    assert finding["direction"] == direction
    assert "had to be sent again; of the others', 0" in finding["evidence"]
    at = said["nodes"].index(SICK)
    shares: dict[bool, list[float]] = {True: [], False: []}
    for node, row in enumerate(said["segments"]):
        for other, cell in enumerate(row):
            if cell:
                loses = (node == at and direction != "in") or (other == at and direction != "out")
                shares[loses].append(cell["resent"] / cell["sent"])
    # A queue that overflows loses something of a sound link, too.
    assert median(shares[True]) > 0.01
    assert median(shares[False]) < 0.005
    assert any(note.startswith(f"{SICK}: ") and "TCP segments again" in note for note in said["notes"])


@pytest.mark.parametrize("fault", ["flapping", "bursty"])
def test_a_node_whose_link_comes_and_goes_is_named(eight: labs.Lab, user: Operator, fault: str) -> None:
    said = sick_map(user, eight, fault)

    (finding,) = said["findings"]
    assert finding["direction"] == "both"
    if fault == "flapping":
        assert finding["stability"] == "swinging"
        # Half of the time it has its rate, and hardly anything in the other half.
        at = said["nodes"].index(SICK)
        longest = max(
            (cell["bytes"], other) for other, cell in enumerate(said["samples"][at]) if cell is not None
        )[1]
        assert 0.3 * LINE_GB_S < said["bandwidth_gb_s"][at][longest] < 0.75 * LINE_GB_S
