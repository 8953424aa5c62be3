"""Faults are made, look as they should from outside, and are undone exactly."""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing

import pytest

from clusterboot import lab as labs
from clusterboot.errors import UsageError
from clusterboot.lab import process

pytestmark = pytest.mark.lab

Reach = Callable[[str, str], str]


@pytest.fixture(scope="module")
def small(lab_root: str) -> Iterator[labs.Lab]:
    name = "t-faults"
    try:
        yield labs.up(name, nodes=3)
    finally:
        labs.down(name)


@pytest.fixture
def broken(small: labs.Lab) -> Iterator[labs.Lab]:
    """The small lab, mended afterwards."""
    yield small
    for m in small.machines:
        labs.mend(small.name, m.name)


def reach(lab: labs.Lab, sender: str, target: str) -> str:
    """Say what somebody on one machine meets at another's port 22: a banner, silence or a refusal."""
    address = next(m.address for m in lab.machines if m.name == target)
    script = f'exec 3<>/dev/tcp/{address}/22 && IFS= read -r -t 0.5 line <&3 && echo "$line"'
    result = labs.node_exec(lab.name, sender, ["timeout", "1", "bash", "-c", script])
    if result.returncode == 124:
        return "silent connect"
    if result.returncode == 0 and result.stdout.startswith("SSH-2.0"):
        return "banner"
    return next((w for w in ("refused", "No route") if w in result.stderr), "silent")


@pytest.mark.parametrize(
    ("fault", "seen", "from_third"),
    [
        ("sshd-stopped", "refused", "refused"),
        ("port-closed", "refused", "refused"),
        ("port-filtered", "silent connect", "silent connect"),
        ("frozen", "silent", "silent"),
        ("powered-off", "silent connect", "silent connect"),
        ("dead-pair:n1", "No route", "banner"),
        ("dropped-pair:n1", "silent connect", "banner"),
        ("dead-to:n1", "silent connect", "banner"),
        ("slow-group:n3", "banner", "banner"),
        ("slow-nic", "banner", "banner"),
        ("home-read-only", "banner", "banner"),
    ],
)
def test_a_fault_shows_and_is_mended(broken: labs.Lab, fault: str, seen: str, from_third: str) -> None:
    assert reach(broken, "n1", "n2") == "banner"

    labs.break_node(broken.name, "n2", fault)

    assert reach(broken, "n1", "n2") == seen
    assert reach(broken, "n3", "n2") == from_third
    assert {m.name: m.faults for m in labs.status(broken.name)[0].machines}["n2"] == (fault,)
    assert broken.name in labs.running()
    assert [f.text for f in labs.mend(broken.name, "n2")] == [fault]
    assert reach(broken, "n1", "n2") == reach(broken, "n2", "n1") == "banner"
    assert all(not m.faults for m in labs.status(broken.name)[0].machines)


def test_the_head_can_be_powered_off_and_on(broken: labs.Lab) -> None:
    labs.break_node(broken.name, "head", "powered-off")
    with closing(socket.socket()) as outside:
        outside.settimeout(0.3)
        with pytest.raises(OSError, match=r"timed out|No route"):
            outside.connect((str(broken.head_address), 22))

    labs.mend(broken.name, "head")

    with socket.create_connection((str(broken.head_address), 22), timeout=5) as head:
        assert head.recv(100).startswith(b"SSH-2.0")
    assert reach(broken, "head", "n1") == "banner"


def test_a_read_only_home_refuses_writes_until_mended(broken: labs.Lab) -> None:
    labs.break_node(broken.name, "n1", "home-read-only")
    refused = labs.node_exec(broken.name, "n1", ["touch", "f"], "ubuntu")
    labs.mend(broken.name, "n1")
    allowed = labs.node_exec(broken.name, "n1", ["sh", "-c", "touch f && rm f"], "ubuntu")

    assert "Read-only file system" in refused.stderr
    assert allowed.returncode == 0


def test_a_closed_port_lets_sessions_go_on_and_a_stopped_sshd_does_not(broken: labs.Lab) -> None:
    for fault, alive in (("port-closed", True), ("sshd-stopped", False)):
        session = subprocess.Popen(
            [
                *(
                    "ssh",
                    "-F",
                    "/dev/null",
                    "-i",
                    str(broken.folder / "head_key"),
                    "-o",
                    "IdentitiesOnly=yes",
                ),
                *("-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=yes", "-o", "LogLevel=ERROR"),
                *("-o", f"UserKnownHostsFile={broken.folder}/known_hosts"),
                *(f"ubuntu@{broken.head_address}", "echo in; read x; echo $x"),
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert session.stdout
        assert session.stdout.readline() == "in\n"
        labs.break_node(broken.name, "head", fault)
        said, _ = session.communicate("still\n")
        assert (said == "still\n") is alive
        labs.mend(broken.name, "head")


def test_faults_of_a_node_pile_up_and_go_together(broken: labs.Lab) -> None:
    for fault in ("slow-pair:n3", "slow-in", "dead-pair:n2", "frozen", "powered-off", "sshd-stopped"):
        labs.break_node(broken.name, "n1", fault)

    undone = labs.mend(broken.name, "n1")

    assert [f.kind for f in undone][::-1][:3] == ["slow-pair", "slow-in", "dead-pair"]
    assert len(undone) == 6
    assert {reach(broken, a, b) for a, b in (("n1", "n2"), ("n2", "n1"), ("n3", "n1"))} == {"banner"}
    assert labs.mend(broken.name, "n1") == ()


def test_a_pair_is_mended_from_either_end(broken: labs.Lab) -> None:
    labs.break_node(broken.name, "n1", "dead-pair:n2")

    assert [f.text for f in labs.mend(broken.name, "n2")] == ["dead-pair:n2"]

    assert reach(broken, "n1", "n2") == "banner"


@pytest.mark.parametrize(
    ("node", "fault", "words"),
    [
        ("n1", "nonsense", "slow-nic"),
        ("n1", "slow-pair", "slow-pair:OTHER"),
        ("n1", "slow-nic:n2", "slow-nic"),
        ("n1", "slow-pair:n1", "two nodes"),
        ("n1", "slow-pair:n9", "n9"),
        ("n7", "frozen", "n7"),
        ("n1", "slow-group", "slow-group:OTHERS"),
        ("n1", "slow-group:n1", "nodes that differ"),
        ("n1", "slow-group:n[2-9]", "n4"),
        ("n1", "slow-group:n[2-x]", "no node"),
        ("n1", "shared-switch", "use switch"),
        ("switch", "frozen", "name a node"),
    ],
)
def test_what_cannot_be_broken_is_a_usage_error(small: labs.Lab, node: str, fault: str, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        labs.break_node(small.name, node, fault)
    assert all(not m.faults for m in labs.status(small.name)[0].machines)


def test_the_same_fault_twice_is_refused(broken: labs.Lab) -> None:
    labs.break_node(broken.name, "n1", "slow-pair:n2")
    with pytest.raises(UsageError, match="already"):
        labs.break_node(broken.name, "n2", "slow-pair:n1")


def test_a_node_is_behind_one_uplink_at_most_and_any_of_the_group_mends_it(broken: labs.Lab) -> None:
    made = labs.break_node(broken.name, "n1", "slow-group:n[2-2]")
    with pytest.raises(UsageError, match=r"n2: .* uplink already"):
        labs.break_node(broken.name, "n3", "shared-uplink:n2")
    assert labs.mend(broken.name, "n2") == (made,)
    labs.break_node(broken.name, "n1", "shared-uplink:n2")
    assert reach(broken, "n1", "n3") == reach(broken, "n2", "n1") == "banner"


def test_the_switch_shows_its_fault_and_is_mended(broken: labs.Lab) -> None:
    labs.break_node(broken.name, "switch", "shared-switch")
    assert labs.status(broken.name)[0].machines[-1].faults == ("shared-switch",)
    assert reach(broken, "n1", "n2") == "banner"
    assert [fault.text for fault in labs.mend(broken.name, "switch")] == ["shared-switch"]
    assert labs.status(broken.name)[0].machines[-1].name == "n3"


def test_a_frozen_sshd_records_what_it_holds(broken: labs.Lab) -> None:
    made = labs.break_node(broken.name, "n3", "frozen")

    assert len(made.held) == 1
    assert all(process.alive(found) for found in made.held)
