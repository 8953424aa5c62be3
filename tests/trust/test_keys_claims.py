"""How much of a node's own word the other nodes are told."""

from __future__ import annotations

from ipaddress import ip_network
from pathlib import Path

import pytest

from clusterboot.facts.node import Address, Interface, NodeFacts
from clusterboot.inventory.cluster import Cluster, Host, Login
from clusterboot.trust import claims

HEAD = Login("login.site.example", "u")
HOSTS = tuple(Host(name, Login(name, "u"), (HEAD,)) for name in ("10.0.0.1", "10.0.0.2", "gpu3.site.example"))
CLUSTER = Cluster("lab", Path("cluster.yaml"), HOSTS, all_names=tuple(host.name for host in HOSTS))


def facts(hostname: str, *ips: str) -> NodeFacts:
    links = (Interface("eth0", "up", 1500, addresses=tuple(Address(ip, 16) for ip in ips)),)
    return NodeFacts(hostname, None, "", "", "", "", 1, None, None, 1, 1, interfaces=links)


def wanted(hostname: str, other: str = "b", third: str = "gpu3") -> list[str]:
    said = dict(zip(CLUSTER.all_names, map(facts, (hostname, other, third)), strict=True))
    return claims.candidates(CLUSTER, HOSTS, said)["10.0.0.1"]


@pytest.mark.parametrize(
    "lie",
    [
        *("localhost", "LOCALHOST", "localhost.localdomain", "x.localhost", "ip6-loopback", "head"),
        *("10.0.0.2", "10.0.0", "0x7f.1", "2130706433", "0x7f000001", "::1"),
        *("gpu3.site.example", "gpu3", "GPU3", "login.site.example", "login", "LOGIN.site.example"),
        *("*", "a b", "a,b", "!gpu", "-oProxyCommand=x", "a..b", ".", "", "a" * 300, "gpu\n", "%h"),
    ],
)
def test_no_name_of_anything_else_is_wanted(lie: str) -> None:
    assert wanted(lie) == []


def test_a_name_that_two_hosts_claim_is_neithers() -> None:
    assert wanted("gpu1", other="GPU1") == []


def test_a_host_may_have_the_short_form_of_its_own_name() -> None:
    said = dict(zip(CLUSTER.all_names, map(facts, ("a", "b", "gpu3")), strict=True))
    assert claims.candidates(CLUSTER, HOSTS, said)["gpu3.site.example"] == ["gpu3"]


def granted(name: str, *answers: dict[str, tuple[str, ...]]) -> tuple[str, ...]:
    return claims.granted_names(HOSTS[0], [name], "10.1.0.1", answers)[0]


def test_a_name_counts_where_it_leads_to_that_very_host() -> None:
    assert granted("gpu1.site.example", {"gpu1.site.example": ("10.1.0.1",)}) == ("gpu1.site.example",)
    assert granted("gpu1.site.example", {"gpu1.site.example": ("10.0.0.1",)}) == ("gpu1.site.example",)
    # By the name that the cluster file has for it, others know one more address of it.
    looked_up = {"gpu1.site.example": ("192.168.7.1",), "10.0.0.1": ("192.168.7.1",)}
    assert granted("gpu1.site.example", looked_up) == ("gpu1.site.example",)


@pytest.mark.parametrize("name", ["backup.corp.example", "backup"])
def test_a_name_that_leads_elsewhere_for_one_node_is_not_added(name: str) -> None:
    assert granted(name, {name: ("10.1.0.1",)}, {name: ("10.9.9.9",)}) == ()
    assert granted(name, {name: ("10.1.0.1", "10.9.9.9")}) == ()


def test_a_name_that_leads_nowhere_counts_only_as_a_single_label() -> None:
    assert granted("gpu1", {"gpu1": ()}) == ("gpu1",)
    assert granted("backup.corp.example", {"backup.corp.example": ()}) == ()
    # One liar among those asked vouches for nobody.
    assert (
        granted("backup.corp.example", {"backup.corp.example": ("10.1.0.1",)}, {"backup.corp.example": ()})
        == ()
    )


def test_a_name_that_nobody_could_look_up_is_not_added() -> None:
    assert granted("gpu1") == ()
    assert granted("gpu1", {}) == ()


def test_logins_come_from_the_clusters_network_and_from_where_the_host_is_reached() -> None:
    said = facts("a", "10.1.0.1", "10.1.0.77", "203.0.113.5", "127.0.0.1", "not-an-ip")
    network = ip_network("10.1.0.0/16")

    assert claims.sources_of(HOSTS[0], said, "10.1.0.1", network) == ("10.1.0.1", "10.0.0.1", "10.1.0.77")
    assert claims.sources_of(HOSTS[0], said, "10.1.0.1", None) == ("10.1.0.1", "10.0.0.1")


def test_a_host_is_let_in_from_a_few_addresses_only() -> None:
    said = facts("a", *(f"10.1.1.{number}" for number in range(200)))
    assert (
        len(claims.sources_of(HOSTS[0], said, "10.1.0.1", ip_network("10.1.0.0/16"))) == claims.MOST_SOURCES
    )
