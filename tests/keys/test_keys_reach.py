from __future__ import annotations

import string
import subprocess
from ipaddress import ip_network
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clusterboot.keys import nodeconfig, reach
from clusterboot.keys.records import Member


def member(name: str, address: str, **changes: object) -> Member:
    fields: dict[str, object] = {
        "name": name,
        "user": "ubuntu",
        "port": 22,
        "address": address,
        "names": (f"{name}.example.org",),
        "sources": (address,),
        "public_key": "ssh-ed25519 AAAA",
        "host_keys": (),
        "key_owner": name,
        "host_certified": True,
    }
    return Member(**{**fields, **changes})  # type: ignore[arg-type]


def nodes(*numbers: int) -> list[Member]:
    return [member(f"gpu{number:03d}", f"10.1.16.{number}") for number in numbers]


def config(members: list[Member], before: str = "") -> str:
    return nodeconfig.render_open_config(
        "lab", members, "10.1.16.0/20", cheap_exchange=False, identity="id_ed25519", before=before
    )


def test_names_with_other_numbers_are_covered_and_other_names_are_not() -> None:
    lines = reach.patterns(["n1", "n12", "gpu001.example.org", "head", "rack1-node03"], None)
    for word in ("n7", "n99", "n123", "gpu064.example.org", "head", "rack2-node11"):
        assert reach.covers(lines, word), word
    for word in ("nas", "n1a", "na1", "gpu064.example.com", "gpux64.example.org", "heads", "rack1-nodeab"):
        assert not reach.covers(lines, word), word


@pytest.mark.parametrize(
    "network", ["10.1.0.0/16", "10.1.16.0/20", "10.1.2.0/24", "10.1.2.64/26", "fd00:1:2::/64"]
)
def test_every_address_of_the_network_is_covered_and_its_neighbours_are_not(network: str) -> None:
    subnet = ip_network(network)
    lines = reach.patterns([str(subnet[1])], network)
    assert all(len(line) < 1000 for line in lines)
    for address in (subnet[1], subnet[2], subnet[min(subnet.num_addresses - 2, 4000)]):
        assert reach.covers(lines, str(address))
    for address in (subnet[0] - 1, subnet[subnet.num_addresses - 1] + 1):
        assert not reach.covers(lines, str(address))
    assert not reach.covers(lines, "10.1.example.org")


@settings(deadline=None, max_examples=50)
@given(st.lists(st.text(string.ascii_lowercase + string.digits + "-.", min_size=1, max_size=40), max_size=9))
def test_whatever_the_names_are_all_are_covered_by_short_lines(words: list[str]) -> None:
    lines = reach.patterns(words, None)
    assert all(reach.covers(lines, word) for word in words)
    assert all(len(line) < 1000 for line in lines)


def test_a_configuration_stays_as_it_is_while_nodes_come_and_go() -> None:
    text = config(nodes(1, 2, 3))
    assert config(nodes(1, 2, 3, 4, 77), text) == text
    assert config(nodes(1, 3), text) == text
    assert "gpu077" not in text


@pytest.mark.parametrize(
    "members",
    [
        [*nodes(1, 2), member("gpu003", "10.1.16.99")],
        [*nodes(1, 2, 3), member("storage", "10.1.16.9")],
        [*nodes(1, 2, 3), member("gpu004", "10.9.0.4")],
        [*nodes(1, 2, 3), member("gpu004", "10.1.16.4", port=2222)],
        [*nodes(1, 2), member("gpu009", "10.1.16.3")],
        [*nodes(1, 2, 3), member("gpu004", "10.1.16.4", host_certified=False)],
    ],
    ids=[
        "address moved",
        "another kind of name",
        "another network",
        "another port",
        "address taken over",
        "pinned",
    ],
)
def test_it_is_written_anew_where_it_would_not_do(members: list[Member]) -> None:
    text = config(nodes(1, 2, 3))
    anew = config(members, text)
    assert anew != text
    assert anew == config(members)
    assert config(members, anew) == anew


def test_ssh_reads_it_as_it_is_meant(tmp_path: Path) -> None:
    path = tmp_path / "config"
    path.write_text(config(nodes(1, 2, 3)))
    for host, ours in (("gpu002", True), ("gpu077", True), ("10.1.31.7", True), ("gpuabc", False)):
        asked = ["ssh", "-G", "-F", str(path), host]
        said = subprocess.run(
            asked, capture_output=True, text=True, check=True, timeout=30
        ).stdout.splitlines()
        assert ("stricthostkeychecking true" in said) is ours
        assert any(line.endswith("/clusterboot/lab/known_hosts") for line in said) is ours


def test_one_line_stands_for_all_hosts_with_certificates_and_a_pin_for_each_other() -> None:
    key = b"\0\0\0\x0bssh-ed25519\0\0\0\x20" + b"h" * 32
    members = [member("n1", "10.1.0.1"), member("n2", "10.1.0.2", host_keys=(key,), host_certified=False)]
    first, second = nodeconfig.render_known_hosts("lab", members, "ssh-ed25519 AAAAca").splitlines()
    assert first == "@cert-authority * ssh-ed25519 AAAAca clusterboot:lab:@ca"
    assert second.startswith("n2 ssh-ed25519 ")
