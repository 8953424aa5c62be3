"""Faults are made, look as they should from outside, and are undone exactly."""

from __future__ import annotations

import re
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from patience import HANGS_S

from clusterboot import lab as labs
from clusterboot.errors import UsageError
from clusterboot.lab import process, sshd

pytestmark = pytest.mark.lab

Reach = Callable[[str, str], str]


@pytest.fixture(scope="module")
def small(module_lab: Callable[..., labs.Lab]) -> labs.Lab:
    lab = module_lab(nodes=3)
    spare_probes(lab)
    return lab


def spare_probes(lab: labs.Lab) -> None:
    """Have no node count the probes of these tests, which log in nowhere, as an attack.

    OpenSSH from 9.8 on gives each a penalty, and refuses who has many: PerSourcePenalties of sshd_config(5).
    """
    said = subprocess.run(["ssh", "-V"], capture_output=True, text=True, check=True).stderr
    version = tuple(map(int, said.partition("_")[2].split("p")[0].split(".")))
    if version < (9, 8):
        return
    for node in lab.nodes:
        settings = lab.folder / node.name / "etc/ssh/sshd_config.d/penalties.conf"
        settings.write_text("PerSourcePenalties no\n")
        sshd.restart(node)


@pytest.fixture
def broken(small: labs.Lab) -> Iterator[labs.Lab]:
    """The small lab, mended afterwards."""
    yield small
    for m in small.machines:
        labs.mend(small.name, m.name)


def reach(lab: labs.Lab, sender: str, target: str, expected: str = "banner") -> str:
    """Say what somebody on one machine meets at another's port 22: a banner, silence or a refusal.

    Silence that is ``expected`` is believed soon; whatever else is, is waited for.
    """
    address = next(m.address for m in lab.machines if m.name == target)
    connect_s, read_s = {"silent connect": (1, HANGS_S), "silent": (HANGS_S, 0.5)}.get(
        expected, (HANGS_S, HANGS_S)
    )
    script = f'exec 3<>/dev/tcp/{address}/22 && echo in && IFS= read -r -t {read_s} line <&3 && echo "$line"'
    result = labs.node_exec(lab.name, sender, ["timeout", str(connect_s), "bash", "-c", script])
    if result.returncode == 124:
        return "silent" if result.stdout else "silent connect"
    if result.returncode == 0 and result.stdout.startswith("in\nSSH-2.0"):
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
        ("lossy-in:0.1", "banner", "banner"),
        ("flapping", "banner", "banner"),
        ("bursty", "banner", "banner"),
        ("starved", "banner", "banner"),
        ("home-read-only", "banner", "banner"),
    ],
)
def test_a_fault_shows_and_is_mended(broken: labs.Lab, fault: str, seen: str, from_third: str) -> None:
    assert reach(broken, "n1", "n2") == "banner"

    labs.break_node(broken.name, "n2", fault)

    assert reach(broken, "n1", "n2", seen) == seen
    assert reach(broken, "n3", "n2", from_third) == from_third
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

    with socket.create_connection((str(broken.head_address), 22), timeout=HANGS_S) as head:
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
        ("n1", "lossy", "lossy:PERCENT"),
        ("n1", "lossy:", "from 0.001 to 99"),
        ("n1", "lossy-in:100", "from 0.001 to 99"),
        ("n1", "lossy-out:-1", "from 0.001 to 99"),
        ("n1", "lossy:nan", "not a PERCENT"),
        ("n1", "flapping:0", "from 0.05 to 60"),
        ("n1", "bursty:2", "write bursty"),
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


COUNT = """
import socket
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver:
    # Whatever the system's limit is, all of them have room: SO_RCVBUFFORCE of socket(7).
    receiver.setsockopt(socket.SOL_SOCKET, 33, 1 << 24)
    receiver.bind(("", 7001))
    print("ready", flush=True)
    got = 0
    while receiver.recv(100) == b"x":
        got += 1
    print(got)
"""
SEND = """
import socket, sys
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
    for _ in range(1000):
        sender.sendto(b"x", (sys.argv[1], 7001))
    # Some of them arrive on any link, and behind all that was sent before.
    for _ in range(200):
        sender.sendto(b"end", (sys.argv[1], 7001))
"""


def arrived(lab: labs.Lab, sender: str, receiver: str) -> int:
    """Send a thousand small datagrams, and count those that arrive."""
    target = next(m for m in lab.machines if m.name == receiver)

    def inside(name: str, code: str, *args: str) -> list[str]:
        init = next(m.init for m in lab.machines if m.name == name)
        assert init
        return ["nsenter", f"--net=/proc/{init.pid}/ns/net", sys.executable, "-c", code, *args]

    with subprocess.Popen(inside(receiver, COUNT), stdout=subprocess.PIPE, text=True) as counting:
        assert counting.stdout
        assert counting.stdout.readline() == "ready\n"
        subprocess.run(inside(sender, SEND, target.address), check=True)
        return int(counting.communicate(timeout=HANGS_S)[0])


@pytest.mark.parametrize(
    ("fault", "kept_in", "kept_out"),
    [("lossy:40", 0.6, 0.6), ("lossy-in:25", 0.75, 1), ("lossy-out:12.5", 1, 0.875)],
)
def test_a_lossy_link_loses_the_share_it_says(
    broken: labs.Lab, fault: str, kept_in: float, kept_out: float
) -> None:
    labs.break_node(broken.name, "n2", fault)
    into, out_of = arrived(broken, "n1", "n2"), arrived(broken, "n2", "n1")
    other = arrived(broken, "n1", "n3")
    labs.mend(broken.name, "n2")

    # More than five standard deviations of a thousand draws either way.
    assert into / 1000 == pytest.approx(kept_in, abs=0.08 if kept_in < 1 else 0)
    assert out_of / 1000 == pytest.approx(kept_out, abs=0.08 if kept_out < 1 else 0)
    assert other == arrived(broken, "n1", "n2") == arrived(broken, "n2", "n1") == 1000


def shapes(lab: labs.Lab, node: str) -> list[str]:
    """Give what shapes a node's link, out of it and into it, but for the numbers that the kernel chooses."""
    init = next(m.init for m in lab.machines if m.name == node)
    assert init
    assert lab.switch
    devices = [(init, "eth0"), (lab.switch, f"to-{node}")]
    return [
        re.sub(
            r"tbf [89a-f][0-9a-f]{3}:",
            "tbf",
            subprocess.check_output(
                ["nsenter", f"--net=/proc/{where.pid}/ns/net", "tc", "qdisc", "show", "dev", device],
                text=True,
            ),
        )
        for where, device in devices
    ]


def test_a_flapping_link_goes_down_and_up_both_ways_whatever_else_it_has(broken: labs.Lab) -> None:
    whole = shapes(broken, "n1")
    labs.break_node(broken.name, "n1", "flapping:0.05")
    labs.break_node(broken.name, "n1", "slow-pair:n2")
    labs.break_node(broken.name, "n1", "bursty")
    wanted = {f"f0: root refcnt 3 rate {rate}" for rate in ("1Gbit", "66666Kbit")}
    seen: list[set[str]] = [set(), set()]

    while not all(seen_of >= wanted for seen_of in seen):
        for seen_of, text in zip(seen, shapes(broken, "n1"), strict=True):
            seen_of.update(re.findall(r"f0: root refcnt 3 rate \S+it", text))
            assert "tbf b0: parent f0:1" in text
    assert "htb 1: parent b0:1" in shapes(broken, "n1")[0]

    assert [f.text for f in labs.mend(broken.name, "n1")] == ["bursty", "slow-pair:n2", "flapping:0.05"]
    assert shapes(broken, "n1") == whole
    assert broken.switch
    assert process.inside(broken.switch) == []


def test_a_starved_node_has_a_part_of_the_time_until_mended(broken: labs.Lab) -> None:
    labs.break_node(broken.name, "n2", "frozen")
    labs.break_node(broken.name, "n2", "starved")
    start = time.monotonic()
    spin = "timeout 3 sh -c 'while :; do :; done'; times"
    said = labs.node_exec(broken.name, "n2", ["sh", "-c", spin], "ubuntu").stdout
    wall_s = time.monotonic() - start
    minutes, seconds = re.findall(r"(\d+)m([\d.]+)s", said)[2]

    assert int(minutes) * 60 + float(seconds) < 0.5 * wall_s
    assert states(broken, "n2", "sshd") == {"T"}
    labs.mend(broken.name, "n2")
    assert reach(broken, "n1", "n2") == "banner"


@pytest.mark.parametrize("when", ["stopped", "killed"])
def test_what_was_starved_goes_on_once_mended_even_if_the_starving_was_killed(
    broken: labs.Lab, when: str
) -> None:
    init = next(m.init for m in broken.machines if m.name == "n3")
    assert init
    with subprocess.Popen(
        ["nsenter", f"--target={init.pid}", "--mount", "--net", "--pid", "sh", "-c", "sleep 1000; :"]
    ) as victim:
        labs.break_node(broken.name, "n3", "starved")
        until(lambda: states(broken, "n3", "sleep") == {"T"})
        if when == "killed":
            process.kill(found for found, command in process.inside(init) if command.startswith("python"))
        labs.mend(broken.name, "n3")
        left = process.inside(init)
        until(lambda: states(broken, "n3", "sleep") == {"S"})
        process.kill(found for found, command in left if command == "sleep")
        assert victim.wait() == 0
    assert {command for _, command in left} == {"sshd", "sh", "sleep"}


def until(true: Callable[[], bool]) -> None:
    end_s = time.monotonic() + HANGS_S
    while not true():
        assert time.monotonic() < end_s
        time.sleep(0.005)


def states(lab: labs.Lab, node: str, command: str) -> set[str]:
    """Give the states of a node's processes of one name, as proc_pid_stat(5) has them."""
    init = next(m.init for m in lab.machines if m.name == node)
    assert init
    return {
        Path(f"/proc/{found.pid}/stat").read_text().rpartition(")")[2].split()[0]
        for found, name in process.inside(init)
        if name == command
    }
