"""A man in the middle, on any hop, hears of nobody: real commands, and a real sshd that lets everybody in."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import pytest

from clusterboot import lab as labs
from clusterboot.lab.sshd import LOG
from operator_fixture import Operator

pytestmark = [pytest.mark.lab, pytest.mark.long]


@pytest.fixture(scope="module")
def shared(bootstrapped: Callable[[int], tuple[labs.Lab, Operator]]) -> tuple[labs.Lab, Operator]:
    """A lab of four nodes that was bootstrapped, and who did it."""
    return bootstrapped(4)


@pytest.fixture
def lab(shared: tuple[labs.Lab, Operator]) -> Iterator[labs.Lab]:
    """That lab, mended afterwards."""
    lab, _ = shared
    yield lab
    for machine in lab.machines:
        labs.mend(lab.name, machine.name)


@pytest.fixture
def operator(shared: tuple[labs.Lab, Operator]) -> Operator:
    return shared[1]


def heard(lab: labs.Lab, node: str, since: int) -> str:
    """What the sshd of a machine has written since its log was so long."""
    return labs.node_exec(lab.name, node, ["tail", "-c", f"+{since + 1}", LOG]).stdout


def length(lab: labs.Lab, node: str) -> int:
    return int(labs.node_exec(lab.name, node, ["stat", "-c", "%s", LOG]).stdout)


def met_nobody(said: str) -> bool:
    """True where a server was dialled, and not one user was named to it."""
    words = ("Accepted", "Postponed", "Failed", "authenticating user", "Invalid user")
    return "Connection from" in said and not any(word in said for word in words)


@pytest.mark.parametrize("command", [["bootstrap", "--accept-new"], ["run", "true"], ["rotate-keys"]])
def test_at_the_heads_address_nobody_gets_further_than_its_key(
    lab: labs.Lab, operator: Operator, command: list[str]
) -> None:
    labs.break_node(lab.name, "head", "impostor")
    before, logins = length(lab, "head"), {node.name: length(lab, node.name) for node in lab.nodes}

    said = operator.document(command[0], "--cluster", str(lab.cluster_file), *command[1:], expect=5)

    for host in said["hosts"]:
        assert (host["status"], host["stage"]) == ("untrusted", "hostkey")
        assert host["cause"].startswith(f"{lab.head_address}: host key has changed: got SHA256:")
        assert f"{lab.folder / 'known_hosts'}:" in host["cause"]
    assert met_nobody(heard(lab, "head", before))
    # An earlier command's connections may still be coming to their end.
    assert not [name for name, since in logins.items() if "Connection from" in heard(lab, name, since)]


@pytest.mark.parametrize("command", [["bootstrap", "--accept-new"], ["facts"]])
def test_at_a_nodes_address_nobody_gets_further_than_its_key_and_the_others_are_done(
    lab: labs.Lab, operator: Operator, command: list[str]
) -> None:
    labs.break_node(lab.name, "n2", "impostor")
    before = length(lab, "n2")

    said = operator.document(command[0], "--cluster", str(lab.cluster_file), *command[1:], expect=5)

    hosts = {host["name"]: host for host in said["hosts"]}
    assert (hosts["n2"]["status"], hosts["n2"]["stage"]) == ("untrusted", "hostkey")
    assert [hosts[name]["status"] for name in ("n1", "n3", "n4")] == ["ok"] * 3
    assert met_nobody(heard(lab, "n2", before))


def test_between_two_nodes_nobody_gets_further_than_its_key(lab: labs.Lab, operator: Operator) -> None:
    # n3 has the port of n2's address for all nodes, and lets in whoever comes; the operator still sees n2.
    labs.break_node(lab.name, "n2", "intercepted:n3")
    labs.break_node(lab.name, "n3", "impostor")
    cluster, before, pins = ("--cluster", str(lab.cluster_file)), length(lab, "n3"), pinned(lab)

    said = operator.document("bootstrap", "--verify", "full", *cluster, expect=5)

    hosts = {host["name"]: host for host in said["hosts"]}
    assert (hosts["n2"]["status"], hosts["n2"]["stage"]) == ("untrusted", "verify")
    assert re.search(
        r"host key seen there is not the pinned one \(got SHA256:\S+, pinned at \S+known_hosts:\d",
        hosts["n2"]["cause"],
    )
    assert "find out who answers" in hosts["n2"]["remedy"]
    assert (hosts["n3"]["status"], hosts["n3"]["stage"]) == ("untrusted", "hostkey")
    assert [hosts[name]["status"] for name in ("n1", "n4")] == ["ok", "ok"]
    told = {(login["from"], login["to"]): login["cause"] for login in said["failed_logins"]}
    assert told == {("n1", "n2"): "pin", ("n4", "n2"): "pin"}

    # The launch's own proof finds it as well, and what is launched goes without the node.
    ran = operator.document("nccl-test", "-b", "8", "-e", "8", "-n", "1", "-w", "0", *cluster, expect=5)
    told = {host["name"]: host["cause"] for host in ran["hosts"] if host["status"] == "untrusted"}
    assert "n2 cannot be reached by anyone: the host key seen there is not the pinned one" in told["n2"]
    assert {rank["host"] for rank in ran["tests"][0]["ranks"]} == {"n1", "n4"}

    # Nor does anything that a person types there, and nothing is learnt from the impostor.
    typed = operator.document("run", *cluster, "ssh -o BatchMode=yes n2 echo reached", expect=5)
    assert "reached" not in typed["answers"]["n1"]["stdout"]
    assert typed["answers"]["n2"]["stdout"] == "reached\n"
    assert met_nobody(heard(lab, "n3", before))
    assert pinned(lab) == pins


def test_a_node_that_answers_for_another_is_taken_for_neither(lab: labs.Lab, operator: Operator) -> None:
    # No impostor's sshd: n3's own, which would let the others in with the very keys that they have for n2.
    labs.break_node(lab.name, "n2", "intercepted:n3")

    said = operator.document("bootstrap", "--cluster", str(lab.cluster_file), expect=5)

    # The launching node's login, and that of a second node, which sees the same.
    told = {(login["from"], login["to"], login["cause"]) for login in said["failed_logins"]}
    assert ("n1", "n2", "pin") in told
    assert {(to, cause) for _, to, cause in told} == {("n2", "pin")}
    assert [host["name"] for host in said["hosts"] if host["status"] == "ok"] == ["n1", "n3", "n4"]


def test_swapped_nodes_are_both_refused_by_name(lab: labs.Lab, operator: Operator) -> None:
    labs.break_node(lab.name, "n2", "swapped:n3")

    said = operator.document("run", "--cluster", str(lab.cluster_file), "hostname", expect=5)

    stages = {host["name"]: (host["status"], host["stage"]) for host in said["hosts"]}
    assert stages["n2"] == stages["n3"] == ("untrusted", "hostkey")
    assert {name: answer["stdout"] for name, answer in said["answers"].items()} == {
        "n1": "n1\n",
        "n4": "n4\n",
    }


def pinned(lab: labs.Lab) -> dict[str, str]:
    """What the nodes believe of each other."""
    return {
        node.name: (lab.home(node.name) / f".ssh/clusterboot/{lab.name}/known_hosts").read_text()
        for node in lab.nodes
    }
