"""What two have that one should: an address, a machine with two names, a name on two machines."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator

import pytest

from clusterboot import lab as labs
from operator_fixture import Operator

pytestmark = [pytest.mark.lab, pytest.mark.long]

SMALL = ("--backend", "mpi", "-b", "8", "-e", "64", "-n", "2", "-w", "0")


@pytest.fixture(scope="module")
def small_lab(module_lab: Callable[..., labs.Lab]) -> labs.Lab:
    return module_lab(nodes=3)


@pytest.fixture
def doubled(small_lab: labs.Lab) -> Iterator[str]:
    """Have n2 hold n3's address besides its own: gives that address."""
    (address,) = (str(node.address) for node in small_lab.nodes if node.name == "n3")

    def have(verb: str) -> None:
        script = ["ip", "address", verb, f"{address}/32", "dev", "eth0"]
        assert labs.node_exec(small_lab.name, "n2", script).returncode == 0

    have("add")
    yield address
    have("del")


def test_a_node_that_has_anothers_address_as_well_takes_part_in_nothing(
    small_lab: labs.Lab, operator: Operator, doubled: str
) -> None:
    cluster = ("--cluster", str(small_lab.cluster_file))

    said = operator.document("bootstrap", *cluster, expect=3)
    ran = operator.document("nccl-test", *cluster, *SMALL, expect=6)

    n1, n2, n3 = said["hosts"]
    assert [n1["status"], n3["status"]] == ["ok", "ok"]
    assert (n2["name"], n2["status"], n2["stage"]) == ("n2", "failed", "hostfile")
    assert n2["cause"] == f"it claims the address {doubled}, which is that of n3"
    assert n2["remedy"] == "take that address off its interfaces"
    folder = operator.folder / "hostfiles" / small_lab.name
    assert doubled in (folder / "openmpi").read_text()
    # What n2 sends there comes to itself: a launch over both would hang.
    assert ran["verdict"] == "could-not-launch"
    assert [host["name"] for host in ran["hosts"] if host["status"] != "ok"] == ["n2"]
    operator.document("teardown", *cluster)


def test_two_names_of_one_machine_are_told_and_the_others_are_done(
    small_lab: labs.Lab, operator: Operator
) -> None:
    (address,) = (str(node.address) for node in small_lab.nodes if node.name == "n3")
    text = small_lab.cluster_file.read_text()
    assert "    - n[1-3]\n" in text
    path = operator.write("two.yaml", text.replace("    - n[1-3]\n", f"    - n[1-3]\n    - {address}\n"))
    cluster = ("--cluster", str(path))

    said = operator.document("bootstrap", *cluster, expect=3)

    told = {host["name"]: (host["cause"], host["remedy"]) for host in said["hosts"] if host["stage"]}
    keep = "keep one of the two in the cluster file"
    assert told == {
        "n3": (f"it is the same machine as {address}", keep),
        address: ("it is the same machine as n3", keep),
    }
    operator.document("teardown", *cluster)
    assert not (small_lab.home("n3") / ".ssh/clusterboot").exists()


def test_machines_that_call_themselves_the_same_are_launched_on_and_said_to(
    small_lab: labs.Lab, operator: Operator
) -> None:
    cluster = ("--cluster", str(small_lab.cluster_file))
    labs.node_exec(small_lab.name, "n3", ["hostname", "n2"])
    try:
        operator.document("bootstrap", *cluster)
        done = operator.run("nccl-test", *cluster, *SMALL, "--json")
        operator.document("teardown", *cluster)
    finally:
        labs.node_exec(small_lab.name, "n3", ["hostname", "n3"])

    ran = json.loads(done.stdout)
    assert ran["verdict"] == "ok"
    assert [host["status"] for host in ran["hosts"]] == ["ok"] * 3
    assert [rank["host"] for rank in ran["tests"][0]["ranks"]] == ["n1", "n2", "n2"]
    assert "n[2-3] each call themselves n2: what a benchmark says of n2 may be of any" in done.stderr
