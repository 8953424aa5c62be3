"""Which of a node's addresses could be its interconnect's."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from clusterboot.facts.node import Interface, NodeFacts

Network = IPv4Network | IPv6Network

# Interfaces that container engines, virtual machines' bridges and VPNs make, and the hosts'
# ends of their veth pairs. A veth called eth0 is the inside of a container, and its network.
_NAMES = (
    *("br-", "cali", "cilium", "cni", "docker", "dummy", "flannel", "ifb", "kube-", "lxc", "lxd"),
    *("nerdctl", "nodelocaldns", "ovs-system", "podman", "veth", "virbr", "vnet", "weave", "azv"),
    *("ipsec", "nordlynx", "ppp", "tailscale", "tap", "tun", "wg", "zt"),
)
_KINDS = frozenset({"loopback", "tunnel"})
_DOWN = frozenset({"down", "lowerlayerdown", "notpresent", "dormant"})
_UNUSABLE_FLAGS = frozenset({"temporary", "deprecated", "dadfailed"})


@dataclass(frozen=True)
class Candidate:
    """An address that could be used; ``speed_mbit_s`` of its link, ``None`` where nobody knows it."""

    ip: IPv4Address | IPv6Address
    network: Network
    interface: str
    up: bool
    speed_mbit_s: int | None


def all_addresses(node: NodeFacts) -> Iterator[Candidate]:
    """Give every address of a node that other nodes could reach, whatever its interface is for."""
    for interface in node.interfaces:
        for address in interface.addresses:
            ip = ip_address(address.ip)
            if ip.is_loopback or ip.is_link_local or ip.is_multicast or ip.is_unspecified:
                continue
            if _UNUSABLE_FLAGS & set(address.flags):
                continue
            network = ip_network(f"{ip}/{address.prefix_len}", strict=False)
            speed_mbit_s = _speed(interface, node)
            yield Candidate(ip, network, interface.name, interface.state not in _DOWN, speed_mbit_s)


def likely_addresses(node: NodeFacts) -> tuple[Candidate, ...]:
    """Give the addresses that may be chosen unasked: on links that are up and not a container's or VPN's."""
    chosen = {interface.name for interface in node.interfaces if not _set_aside(interface)}
    return tuple(c for c in all_addresses(node) if c.up and c.interface in chosen)


def _set_aside(interface: Interface) -> bool:
    return interface.kind in _KINDS or interface.name.startswith(_NAMES)


def _speed(interface: Interface, node: NodeFacts) -> int | None:
    """Prefer the rate of the RDMA port below: IPoIB links often report none, or a made-up one."""
    rates = [
        port.rate_gbit_s for port in node.rdma_ports if port.netdev == interface.name and port.rate_gbit_s
    ]
    return round(max(rates) * 1000) if rates else interface.speed_mbit_s
