from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_network

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clusterboot.errors import UnsettledError
from clusterboot.facts.node import Address, Interface, NodeFacts, RdmaPort
from clusterboot.hostfiles.addresses import choose_addresses
from clusterboot.hostfiles.slots import Excluded
from clusterboot.inventory.cluster import Host, Login

LOOK = "see ssh_config.network in the cluster file, and the node's interfaces"
OWN = "give each machine an address of its own"


def host(name: str, internal_ip: str | None = None) -> Host:
    return Host(name, Login(name, "ada"), internal_ip=internal_ip)


def nic(
    name: str, *addresses: str, kind: str = "physical", state: str = "up", speed: int | None = 25000
) -> Interface:
    parsed = tuple(Address(ip, int(length)) for ip, _, length in (a.partition("/") for a in addresses))
    return Interface(name, state, 1500, kind=kind, speed_mbit_s=speed, addresses=parsed)


def node(*interfaces: Interface, rdma: tuple[RdmaPort, ...] = ()) -> NodeFacts:
    loopback = Interface("lo", "unknown", 65536, kind="loopback", addresses=(Address("127.0.0.1", 8),))
    return NodeFacts(
        hostname="n",
        machine_id=None,
        os="",
        kernel="",
        arch="",
        user="",
        cpus=1,
        cpu_model=None,
        sockets=None,
        memory_mib=1,
        numa_nodes=1,
        interfaces=(loopback, *interfaces),
        rdma_ports=rdma,
    )


def cluster(count: int, *make: str, **more: object) -> tuple[list[Host], dict[str, NodeFacts]]:
    """Make nodes n1… with one interface for each ``NAME ADDRESS``, ``#`` being the node's number."""
    hosts = [host(f"n{number}") for number in range(1, count + 1)]
    facts = {}
    for number, member in enumerate(hosts, 1):
        nics = [nic(name, ip.replace("#", str(number)), **more) for name, ip in (m.split() for m in make)]  # type: ignore[arg-type]
        facts[member.name] = node(*nics)
    return hosts, facts


def clutter(number: int) -> tuple[Interface, ...]:
    """Interfaces that are no interconnect, with addresses that could make one."""
    link_local = (Address(f"169.254.3.{number}", 16), Address(f"fe80::{number}", 64, "link"))
    return (
        *(nic(name, f"10.{90 + place}.0.{number}/24", kind="bridge") for place, name in enumerate(BRIDGES)),
        nic("veth12ab", f"10.80.0.{number}/24", kind="veth"),
        nic("cali123", f"10.81.0.{number}/24", kind="veth"),
        nic("oddname", f"10.82.0.{number}/24", kind="tunnel"),
        nic("tailscale0", f"100.64.1.{number}/10", kind="virtual"),
        nic("eno9", f"10.83.0.{number}/24", state="down"),
        Interface("eno8", "up", 1500, addresses=link_local),
    )


BRIDGES = ("docker0", "br-0f1e2d3c", "virbr0", "lxcbr0", "cni0")


def test_the_only_shared_subnet_is_found_among_clutter() -> None:
    hosts, facts = cluster(8, "eth0 10.1.0.#/16")
    for number, (name, known) in enumerate(facts.items(), 1):
        facts[name] = node(*clutter(number), *known.interfaces[1:])
    plan = choose_addresses(hosts, facts)
    assert [address.ip for address in plan.addresses] == [f"10.1.0.{number}" for number in range(1, 9)]
    assert {address.interface for address in plan.addresses} == {"eth0"}
    assert plan.network == ip_network("10.1.0.0/16")
    assert plan.excluded == ()
    assert plan.explanation == "10.1.0.0/16 on eth0: the only subnet that all 8 nodes share"


def test_a_containers_own_veth_is_its_network() -> None:
    hosts, facts = cluster(2, "eth0 10.1.0.#/16", kind="veth")
    assert [address.ip for address in choose_addresses(hosts, facts).addresses] == ["10.1.0.1", "10.1.0.2"]


def test_the_fastest_shared_subnet_wins() -> None:
    hosts, facts = cluster(3, "eno1 192.168.0.#/24")
    for number, name in enumerate(facts, 1):
        facts[name] = node(*facts[name].interfaces[1:], nic("ens5", f"10.1.0.{number}/24", speed=200000))
    plan = choose_addresses(hosts, facts)
    assert plan.network == ip_network("10.1.0.0/24")
    assert (
        plan.explanation == "10.1.0.0/24 on ens5: the best (200 Gbit/s) of 2 subnets, which all 3 nodes share"
    )


def test_an_ipoib_link_is_as_fast_as_its_port() -> None:
    hosts, facts = cluster(2, "eno1 192.168.0.#/24", "ib0 10.1.0.#/24")
    port = RdmaPort("mlx5_0", 1, "InfiniBand", "ACTIVE", 400.0, "ib0")
    facts = {name: node(*known.interfaces[1:], rdma=(port,)) for name, known in facts.items()}
    assert choose_addresses(hosts, facts).network == ip_network("10.1.0.0/24")


def test_one_node_with_its_fast_link_down_does_not_move_the_others() -> None:
    hosts, facts = cluster(4, "eno1 192.168.0.#/24")
    for number, name in enumerate(facts, 1):
        state = "down" if name == "n3" else "up"
        fast = nic("ib0", f"10.1.0.{number}/24", speed=400000, state=state)
        facts[name] = node(*facts[name].interfaces[1:], fast)
    plan = choose_addresses(hosts, facts)
    assert [address.host for address in plan.addresses] == ["n1", "n2", "n4"]
    reason = "ib0, which has its address 10.1.0.3 in 10.1.0.0/24, is down"
    assert plan.excluded == (Excluded("n3", reason, LOOK),)
    assert plan.explanation.endswith("which 3 of 4 nodes share")


@pytest.mark.parametrize("speed", [25000, None])
def test_equal_or_unknown_speeds_are_ambiguous(speed: int | None) -> None:
    hosts, facts = cluster(2, "ens1 10.1.0.#/24", "ens2 10.2.0.#/24", speed=speed)
    with pytest.raises(UnsettledError) as caught:
        choose_addresses(hosts, facts)
    assert str(caught.value) == (
        "hostfile: any of these could be the interconnect: 10.1.0.0/24 on ens1; 10.2.0.0/24 on ens2; "
        "write under ssh_config in the cluster file network: 10.1.0.0/24 or network: 10.2.0.0/24"
    )


def test_the_named_network_settles_it_and_may_be_wider_than_the_subnet() -> None:
    hosts, facts = cluster(2, "ens1 10.1.0.#/32", "ens2 10.2.0.#/24")
    plan = choose_addresses(hosts, facts, ip_network("10.1.0.0/16"))
    assert [address.ip for address in plan.addresses] == ["10.1.0.1", "10.1.0.2"]
    assert plan.network == ip_network("10.1.0.0/16")
    assert plan.explanation == "10.1.0.0/16 on ens1: named by ssh_config.network"


def test_a_host_outside_the_named_network_is_excluded_and_the_others_are_not() -> None:
    hosts, facts = cluster(3, "eth0 10.1.0.#/24")
    facts["n2"] = node(nic("eth0", "10.3.0.2/24"))
    plan = choose_addresses(hosts, facts, ip_network("10.1.0.0/24"))
    assert [address.host for address in plan.addresses] == ["n1", "n3"]
    assert plan.excluded == (Excluded("n2", "it has no address in 10.1.0.0/24, only 10.3.0.2 on eth0", LOOK),)


def test_internal_ip_goes_first_and_must_be_on_the_node() -> None:
    hosts, facts = cluster(3, "eth0 192.168.0.#/24", "eth1 10.1.0.#/24")
    hosts = [host("n1", "10.1.0.1"), host("n2", "10.1.0.99"), host("n3", "10.1.0.3")]
    plan = choose_addresses(hosts, facts)
    assert [(a.host, a.ip, a.interface) for a in plan.addresses] == [
        ("n1", "10.1.0.1", "eth1"),
        ("n3", "10.1.0.3", "eth1"),
    ]
    assert plan.network == ip_network("10.1.0.0/24")
    assert plan.explanation == "internal_ip of each host"
    assert plan.excluded == (
        Excluded(
            "n2",
            "its internal_ip 10.1.0.99 is on none of its interfaces, which have 192.168.0.2, 10.1.0.2",
            "correct the host's internal_ip in the cluster file, or look at that interface",
        ),
    )


def test_an_address_that_two_nodes_have_excludes_both() -> None:
    hosts, facts = cluster(4, "eth0 10.1.0.#/24")
    facts["n4"] = facts["n2"]
    plan = choose_addresses(hosts, facts)
    assert [address.host for address in plan.addresses] == ["n1", "n3"]
    assert plan.excluded == (
        Excluded("n2", "its address 10.1.0.2 is also that of n4", OWN),
        Excluded("n4", "its address 10.1.0.2 is also that of n2", OWN),
    )


def test_an_address_that_another_node_has_besides_its_own_excludes_whose_it_is() -> None:
    hosts, facts = cluster(3, "eth0 10.1.0.#/24")
    facts["n2"] = node(nic("eth0", "10.1.0.2/24", "10.1.0.3/24"))
    plan = choose_addresses(hosts, facts)
    assert [address.host for address in plan.addresses] == ["n1", "n2"]
    assert plan.excluded == (Excluded("n3", "its address 10.1.0.3 is also that of n2", OWN),)


@pytest.mark.parametrize(("kind", "state"), [("loopback", "unknown"), ("physical", "down")])
def test_an_address_that_is_not_on_a_link_of_the_other_is_no_double(kind: str, state: str) -> None:
    hosts, facts = cluster(3, "eth0 10.1.0.#/24")
    facts["n2"] = node(nic("eth0", "10.1.0.2/24"), nic("if1", "10.1.0.3/32", kind=kind, state=state))
    assert choose_addresses(hosts, facts).excluded == ()


def test_two_names_of_one_machine_are_told_from_two_machines_with_one_address() -> None:
    hosts, facts = cluster(4, "eth0 10.1.0.#/24")
    facts["n2"] = facts["n4"] = replace(facts["n2"], machine_id="feed")
    told = {entry.host: (entry.reason, entry.remedy) for entry in choose_addresses(hosts, facts).excluded}
    keep = "keep one of the two in the cluster file"
    assert told == {
        "n2": ("it is the same machine as n4", keep),
        "n4": ("it is the same machine as n2", keep),
    }
    # A clone has its original's machine-id, and a name of its own.
    facts["n4"] = replace(facts["n4"], hostname="other")
    told = {entry.host: (entry.reason, entry.remedy) for entry in choose_addresses(hosts, facts).excluded}
    assert told["n2"] == ("its address 10.1.0.2 is also that of n4", OWN)


def test_a_subnet_in_which_all_have_the_same_address_is_none_between_them() -> None:
    hosts, facts = cluster(3, "eth0 10.1.0.#/24")
    facts = {n: node(*k.interfaces[1:], nic("cbr0", "10.88.0.1/16", speed=100000)) for n, k in facts.items()}
    assert choose_addresses(hosts, facts).network == ip_network("10.1.0.0/24")


def test_ipv6_alone_is_enough_and_temporary_addresses_are_not_used() -> None:
    hosts, facts = cluster(2, "eth0 fd00:1::#/64")
    for number, (name, known) in enumerate(facts.items()):
        fleeting = Address(f"2001:db8::{number}", 64, "global", ("temporary",))
        facts[name] = node(*known.interfaces[1:], Interface("eth0", "up", 1500, addresses=(fleeting,)))
    plan = choose_addresses(hosts, facts)
    assert [address.ip for address in plan.addresses] == ["fd00:1::1", "fd00:1::2"]


def test_of_both_families_on_the_same_links_ipv4_is_used() -> None:
    hosts, _ = cluster(2)
    facts = {f"n{k}": node(nic("eth0", f"10.1.0.{k}/24", f"fd00:1::{k}/64")) for k in (1, 2)}
    plan = choose_addresses(hosts, facts)
    assert plan.network == ip_network("10.1.0.0/24")


def test_families_on_different_links_are_ambiguous() -> None:
    hosts, facts = cluster(2, "eth0 10.1.0.#/24", "eth1 fd00:1::#/64")
    with pytest.raises(UnsettledError, match="any of these"):
        choose_addresses(hosts, facts)


def test_no_shared_subnet_says_so() -> None:
    hosts = [host("n1"), host("n2")]
    facts = {"n1": node(nic("eth0", "10.1.0.1/24")), "n2": node(nic("eth0", "10.2.0.1/24"))}
    with pytest.raises(UnsettledError, match="no subnet is shared by the 2 nodes"):
        choose_addresses(hosts, facts)


def test_hosts_without_facts_are_excluded() -> None:
    hosts, facts = cluster(2, "eth0 10.1.0.#/24")
    plan = choose_addresses([*hosts, host("n3")], facts)
    assert plan.excluded == (Excluded("n3", "nothing is known of it"),)
    assert choose_addresses([host("n3")], {}).addresses == ()


ADDRESSES = st.sampled_from(["10.1.0.#/24", "10.2.0.#/24", "10.1.0.7/24", "fd00::#/64", "169.254.0.#/16"])
NICS = st.builds(
    lambda name, ip, kind, state, speed: (name, ip, kind, state, speed),
    st.sampled_from(["eth0", "eth1", "docker0", "ib0", "tun0"]),
    ADDRESSES,
    st.sampled_from(["physical", "veth", "tunnel", "bridge"]),
    st.sampled_from(["up", "down", "unknown"]),
    st.sampled_from([None, 1000, 400000]),
)


@settings(deadline=None)  # what a shared machine takes is no test
@given(
    st.lists(st.lists(NICS, max_size=3), min_size=1, max_size=5),
    st.sampled_from([None, ip_network("10.1.0.0/16"), ip_network("fd00::/8")]),
)
def test_every_host_is_placed_or_excluded_and_no_address_is_used_twice(drawn, network) -> None:  # type: ignore[no-untyped-def]
    hosts = [host(f"n{number}") for number in range(len(drawn))]
    facts = {}
    for number, (member, nics) in enumerate(zip(hosts, drawn, strict=True)):
        made = [nic(n, ip.replace("#", str(number + 1)), kind=k, state=s, speed=v) for n, ip, k, s, v in nics]
        facts[member.name] = node(*made)
    try:
        plan = choose_addresses(hosts, facts, network)
    except UnsettledError:
        return
    placed = [address.host for address in plan.addresses]
    assert sorted(placed + [gone.host for gone in plan.excluded]) == sorted(facts)
    ips = [address.ip for address in plan.addresses]
    assert len(set(ips)) == len(ips)
    assert all(network is None or ip_network(ip).subnet_of(network) for ip in ips)
    assert plan.explanation
    for address in plan.addresses:
        named = [i for i in facts[address.host].interfaces if i.name == address.interface]
        assert any(a.ip == address.ip and i.state != "down" for i in named for a in i.addresses)
