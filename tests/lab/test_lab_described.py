"""What a lab will be, before anything is made."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any

import pytest

from clusterboot import lab as labs
from clusterboot.errors import UsageError
from clusterboot.lab import description, machine, machine_files, process, store, wiring
from clusterboot.lab.faults import paths


def a_lab(nodes: int = 2, faults: tuple[labs.Fault, ...] = ()) -> labs.Lab:
    lab = description.new_lab("lab", Path("/srv/it's/lab"), 3, nodes, 10**9, shared_home=False)
    started = tuple(labs.Process(100 + i, i) for i in range(nodes + 2))
    return replace(description.with_processes(lab, started[0], started[1:]), faults=faults)


def test_a_thousand_nodes_have_their_own_addresses_in_one_network() -> None:
    lab = a_lab(nodes=1000)

    addresses = {m.address for m in lab.machines}

    assert len(addresses) == 1001
    assert str(lab.network[-2]) not in addresses
    assert {IPv4Network(address).subnet_of(lab.network) for address in addresses} == {True}


def test_state_survives_its_file() -> None:
    lab = a_lab(
        faults=(
            labs.Fault("n1", "frozen", held=(labs.Process(7, 8),)),
            labs.Fault("n1", "slow-pair", "n2"),
            labs.Fault("n1", "lossy", amount=0.1),
        )
    )

    assert description.from_json(description.to_json(lab)) == lab


def test_a_free_subnet_is_one_that_nobody_has() -> None:
    assert wiring.free_index([], []) == 0
    assert wiring.free_index([0, 1], [IPv4Network("10.66.0.0/24"), IPv4Network("198.19.3.0/30")]) == 4


def test_a_wide_route_over_the_inside_does_not_matter_but_one_over_the_link_does() -> None:
    assert wiring.free_index([0], [IPv4Network("10.0.0.0/8")]) == 1
    assert wiring.free_index([], [IPv4Network("198.18.0.0/15")]) is None


def test_the_switch_is_described() -> None:
    assert wiring.switch_lines(a_lab(nodes=1)) == [
        "link set lo up",
        "address add 10.67.255.254/32 dev lo",
        "link add to-head up address 02:cb:00:00:00:00"
        " type veth peer name eth0 address 02:cb:00:01:00:00 netns 101",
        "route add 10.67.255.1/32 dev to-head",
        "neighbour add 10.67.255.1 lladdr 02:cb:00:01:00:00 dev to-head nud permanent",
        "link add to-n1 up address 02:cb:00:00:00:01"
        " type veth peer name eth0 address 02:cb:00:01:00:01 netns 102",
        "route add 10.67.0.1/32 dev to-n1",
        "neighbour add 10.67.0.1 lladdr 02:cb:00:01:00:01 dev to-n1 nud permanent",
    ]


def test_a_node_is_described() -> None:
    lab = a_lab()
    assert wiring.node_lines(lab, lab.nodes[1]) == [
        "link set lo up",
        "link set eth0 up",
        "address replace 10.67.0.2/16 dev eth0 noprefixroute",
        "neighbour replace 10.67.255.254 lladdr 02:cb:00:00:00:02 dev eth0 nud permanent",
        "route replace 10.67.0.0/16 via 10.67.255.254 dev eth0 onlink src 10.67.0.2",
    ]


def test_shapes_follow_from_the_faults() -> None:
    clean = "tbf rate 1000000000bit burst 250000b limit 2750000b"
    slow = "tbf rate 100000000bit burst 32000b limit 282000b"
    n1, n2 = a_lab().nodes

    def shapes(*faults: labs.Fault) -> tuple[str, str]:
        lab = a_lab(faults=faults)
        return wiring.out_shape(lab, n1)[0].partition("root ")[2], wiring.in_shape(lab, n1)[0].partition(
            "root "
        )[2]

    assert shapes() == (clean, clean)
    assert shapes(labs.Fault("n2", "slow-nic")) == (clean, clean)
    assert shapes(labs.Fault("n1", "slow-nic")) == (slow, slow)
    assert shapes(labs.Fault("n1", "slow-out")) == (slow, clean)
    assert shapes(labs.Fault("n1", "slow-in")) == (clean, slow)
    assert wiring.out_shape(a_lab(faults=(labs.Fault("n2", "slow-pair", "n1"),)), n1) == [
        "qdisc add dev eth0 root handle 1: htb default 1",
        "class add dev eth0 parent 1: classid 1:1"
        " htb rate 1000000000bit ceil 1000000000bit burst 250000b cburst 250000b quantum 15000",
        "class add dev eth0 parent 1: classid 1:2"
        " htb rate 100000000bit ceil 100000000bit burst 32000b cburst 32000b quantum 15000",
        f"filter add dev eth0 parent 1: protocol ip u32 match ip dst {n2.address}/32 flowid 1:2",
    ]


def test_what_flaps_and_what_is_bursty_is_stacked_over_the_other_shapes() -> None:
    faults = tuple(labs.Fault("n1", kind) for kind in ("bursty", "slow-in", "flapping"))
    lab = a_lab(faults=faults)

    assert wiring.in_shape(lab, lab.nodes[0]) == [
        "qdisc add dev to-n1 root handle f0: tbf rate 1000000000bit burst 250000b limit 2750000b",
        "qdisc add dev to-n1 parent f0:1 handle b0: tbf rate 100000000bit burst 25000000b limit 2750000b"
        " peakrate 1000000000bit mtu 250000b",
        "qdisc add dev to-n1 parent b0:1 tbf rate 100000000bit burst 32000b limit 282000b",
    ]
    assert wiring.in_shape(lab, lab.nodes[1]) == [
        "qdisc add dev to-n2 root tbf rate 1000000000bit burst 250000b limit 2750000b"
    ]
    # One burst all the time: a queued segment that is larger than it would wait until the link is up again.
    assert wiring.flap_lines(lab, "eth0") == (
        "qdisc change dev eth0 root handle f0: tbf rate 66666666bit burst 250000b limit 416666b",
        "qdisc change dev eth0 root handle f0: tbf rate 1000000000bit burst 250000b limit 2750000b",
    )


def test_a_group_behind_an_uplink_is_described_and_taken_back() -> None:
    fault = labs.Fault("n1", "slow-group", "n2")
    lab = a_lab(nodes=3, faults=(fault,))
    rules = [
        "pref 100 iif to-n1 lookup 1002",
        "pref 100 iif to-n2 lookup 1002",
        "pref 100 iif up1 lookup 1002",
        "pref 120 to 10.67.0.1/32 lookup 1003",
        "pref 120 to 10.67.0.2/32 lookup 1003",
    ]
    assert paths.uplink_lines(lab, fault) == [
        "link add up1 up address 02:cb:00:02:00:01 type veth peer name up1-far address 02:cb:00:03:00:01",
        "link set up1-far up",
        "neighbour add 192.0.2.1 lladdr 02:cb:00:03:00:01 dev up1 nud permanent",
        "neighbour add 192.0.2.1 lladdr 02:cb:00:02:00:01 dev up1-far nud permanent",
        "route add default via 192.0.2.1 dev up1 onlink table 1002",
        "route add default via 192.0.2.1 dev up1-far onlink table 1003",
        "route add 10.67.0.1/32 dev to-n1 table 1002",
        "route add 10.67.0.2/32 dev to-n2 table 1002",
        *(f"rule add {rule}" for rule in rules),
    ]
    assert paths.without_uplink(lab, fault) == [
        *(f"rule del {rule}" for rule in rules),
        "route flush table 1002",
        "link del up1",
    ]


def test_a_path_with_a_quote_is_quoted_in_the_cluster_file() -> None:
    assert "identity_file: '/srv/it''s/lab/node_key'\n" in machine_files.cluster_file(a_lab())


def test_one_node_is_not_folded() -> None:
    assert "    - n1\n" in machine_files.cluster_file(a_lab(nodes=1))


@pytest.mark.parametrize("name", ["", "x", "Lab", "-lab", "1lab", "a/b", "..", "a b", "l" * 42, "lab\n"])
def test_a_name_that_cannot_be_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match="lab's name"):
        store.folder(name)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"nodes": 0}, "0 nodes"),
        ({"nodes": 1001}, "1001 nodes"),
        ({"rate": "fast"}, "fast"),
        ({"rate": "1kbit"}, "slow"),
    ],
)
def test_parameters_are_checked_before_anything_is_asked_for(given: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        labs.up("lab", **given)


def test_all_that_is_missing_is_said_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "_PATH", "/nowhere")

    with pytest.raises(UsageError) as caught:
        machine.require()

    assert "sshd" in str(caught.value)
    assert "mpicc" in str(caught.value)
    assert "apt-get install" in str(caught.value)
    assert "openssh-server" in str(caught.value)
    assert "libopenmpi-dev" in str(caught.value)


def test_without_root_and_without_sudo_it_says_what_to_do(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(machine, "_absent", lambda **_: {})
    monkeypatch.setattr(machine.os, "geteuid", lambda: 1000)
    monkeypatch.setattr(machine, "_PATH", str(tmp_path))
    with pytest.raises(UsageError, match="as root"):
        machine.require()

    sudo = tmp_path / "sudo"
    sudo.write_text("#!/bin/sh\nexit 1\n")
    sudo.chmod(0o755)
    with pytest.raises(UsageError, match="wants a password"):
        machine.require()


def test_with_sudo_the_same_command_is_started_again(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    sudo = tmp_path / "sudo"
    sudo.write_text("#!/bin/sh\nexit 0\n")
    sudo.chmod(0o755)
    monkeypatch.setattr(machine, "_absent", lambda **_: {})
    monkeypatch.setattr(machine.os, "geteuid", lambda: 1000)
    monkeypatch.setattr(machine, "_PATH", str(tmp_path))
    monkeypatch.setattr(machine.sys, "orig_argv", ["python", "-m", "clusterboot", "lab.up"])
    monkeypatch.setenv("CLUSTERBOOT_LAB_ROOT", "/srv/labs")
    started: list[list[str]] = []

    def execv(path: str, argv: list[str]) -> None:
        started.append([path, *argv])
        raise SystemExit

    monkeypatch.setattr(machine.os, "execv", execv)

    with pytest.raises(SystemExit):
        machine.require()

    (argv,) = started
    assert argv[:4] == [str(sudo), str(sudo), "-n", "env"]
    assert "CLUSTERBOOT_LAB_ROOT=/srv/labs" in argv
    assert argv[-3:] == ["-m", "clusterboot", "lab.up"]


def test_a_process_is_not_mistaken_for_a_later_one_with_its_number() -> None:
    me = process.identify(1)
    assert me is not None
    assert process.alive(me)
    assert not process.alive(labs.Process(1, me.start_ticks + 1))
    assert process.identify(2**22 + 1) is None
