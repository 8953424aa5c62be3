"""Which address of each node the ranks are launched on."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from clusterboot.errors import UnsettledError
from clusterboot.facts.node import Interface, NodeFacts
from clusterboot.inventory.cluster import Host

from .slots import AddressPlan, Excluded, NodeAddress

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
_WRITE = "write under ssh_config in the cluster file"
_UNPLACED = "see ssh_config.network in the cluster file, and the node's interfaces"
_MISNAMED = "correct the host's internal_ip in the cluster file, or look at that interface"
_TWO_NAMES = "keep one of the two in the cluster file"
_TWO_HOLDERS = "give each machine an address of its own"


@dataclass(frozen=True)
class _Candidate:
    """An address that could be used; ``speed_mbit_s`` of its link, ``None`` where nobody knows it."""

    ip: IPv4Address | IPv6Address
    network: Network
    interface: str
    up: bool
    speed_mbit_s: int | None


@dataclass(frozen=True)
class _Subnet:
    """A subnet that could be the interconnect, and each host's address in it."""

    network: Network
    members: Mapping[str, _Candidate]

    @property
    def speed_mbit_s(self) -> int | None:
        """What most members have or exceed; ``None`` where half of them or more do not know it.

        No single node's word decides: one that claims a made-up speed, or none, is outvoted.
        """
        known = sorted(
            member.speed_mbit_s for member in self.members.values() if member.speed_mbit_s is not None
        )
        unknown = len(self.members) - len(known)
        return known[(len(known) - 1) // 2] if len(known) > unknown else None

    @property
    def where(self) -> str:
        """``10.1.0.0/16 on eth0``."""
        names = sorted({member.interface for member in self.members.values()})
        shown = ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")
        return f"{self.network} on {shown}"


def choose_addresses(
    hosts: Sequence[Host],
    facts: Mapping[str, NodeFacts],
    network: Network | None = None,
    owners: Mapping[str, str] | None = None,
) -> AddressPlan:
    """Choose every host's address on the interconnect.

    Parameters: the hosts in the cluster file's order; what is known of them by name; the
    file's ``ssh_config.network``; ``owners`` says whose an address is that several claim. A host's
    ``internal_ip`` goes first, then the named
    network, then the subnet that the nodes share on their fastest links.
    Returns: the plan; a host without an address in it is excluded with its reason and
    leaves the others as they are.
    Errors: ``UnsettledError`` at stage ``hostfile`` where several subnets could be meant, or none is shared.
    """
    placed: dict[str, _Candidate | Excluded] = {}
    free: list[str] = []
    for host in hosts:
        node = facts.get(host.name)
        if node is None:
            placed[host.name] = Excluded(host.name, "nothing is known of it")
        elif host.internal_ip is not None:
            placed[host.name] = _named(host.name, host.internal_ip, node)
        else:
            free.append(host.name)
    lines = ["internal_ip of each host"] if _chosen(placed) else []
    if free:
        subnet, line = _given(network, free, facts) if network else _inferred(free, facts)
        network = subnet.network
        lines.append(line)
        for name in free:
            placed[name] = subnet.members.get(name) or _absent(name, network, facts[name])
    contested = _contested(_chosen(placed), facts)
    placed |= _doubles(_chosen(placed), contested, facts, owners or {})
    chosen = _chosen(placed)
    return AddressPlan(
        addresses=tuple(
            NodeAddress(host.name, str(chosen[host.name].ip), chosen[host.name].interface)
            for host in hosts
            if host.name in chosen
        ),
        network=_common(chosen.values(), network),
        excluded=tuple(each for host in hosts if isinstance(each := placed[host.name], Excluded)),
        explanation="; ".join(lines),
        contested=contested,
    )


def _chosen(placed: Mapping[str, _Candidate | Excluded]) -> dict[str, _Candidate]:
    """Give the hosts that have an address."""
    return {name: each for name, each in placed.items() if isinstance(each, _Candidate)}


def _named(host: str, internal_ip: str, node: NodeFacts) -> _Candidate | Excluded:
    """Find the address that the cluster file says a host has."""
    wanted = ip_address(internal_ip)
    having = [candidate for candidate in _all_addresses(node) if candidate.ip == wanted]
    if not having:
        have = ", ".join(str(candidate.ip) for candidate in _all_addresses(node))
        reason = f"its internal_ip {wanted} is on none of its interfaces, which have {have or 'no address'}"
        return Excluded(host, reason, _MISNAMED)
    best = max(having, key=lambda candidate: candidate.up)
    down = Excluded(host, f"its internal_ip {wanted} is on {best.interface}, which is down", _MISNAMED)
    return best if best.up else down


def _given(network: Network, names: Sequence[str], facts: Mapping[str, NodeFacts]) -> tuple[_Subnet, str]:
    """Take each host's fastest address inside the network that the cluster file names."""
    members = {}
    for name in names:
        inside = [c for c in _all_addresses(facts[name]) if c.up and c.ip in network]
        if inside:
            members[name] = max(inside, key=lambda candidate: candidate.speed_mbit_s or 0)
    subnet = _Subnet(network, members)
    return subnet, f"{subnet.where if members else network}: named by ssh_config.network"


def _absent(host: str, network: Network, node: NodeFacts) -> Excluded:
    """Say why a host has no address in the chosen network."""
    down = [c for c in _all_addresses(node) if not c.up and c.ip in network]
    if down:
        reason = f"{down[0].interface}, which has its address {down[0].ip} in {network}, is down"
    else:
        have = ", ".join(f"{c.ip} on {c.interface}" for c in _all_addresses(node) if c.up)
        reason = f"it has no address in {network}" + (f", only {have}" if have else "")
    return Excluded(host, reason, _UNPLACED)


def _inferred(names: Sequence[str], facts: Mapping[str, NodeFacts]) -> tuple[_Subnet, str]:
    """Find the subnet that the nodes share on their fastest links.

    More than half of them must have it, not all: one node with its fast link down must
    not move the others to the management network, it must be told.
    """
    subnets, total = _shared(names, facts), len(names)
    if not subnets:
        what = (
            f"no subnet is shared by the {total} nodes" if total > 1 else f"{names[0]} has no usable address"
        )
        remedy = (
            f"{_WRITE} network: CIDR with the interconnect's addresses, or internal_ip: ADDRESS at each host"
        )
        raise UnsettledError(what, stage="hostfile", remedy=remedy)
    subnet, *others = _fastest(subnets)
    if others:
        which = "; ".join(each.where for each in (subnet, *others))
        cause = f"any of these could be the interconnect: {which}"
        lines = " or ".join(f"network: {each.network}" for each in (subnet, *others))
        raise UnsettledError(cause, stage="hostfile", remedy=f"{_WRITE} {lines}")
    part = f"all {total}" if len(subnet.members) == total else f"{len(subnet.members)} of {total}"
    having = f"{part} nodes share" if total > 1 else f"{names[0]} has"
    if len(subnets) == 1:
        return subnet, f"{subnet.where}: the only subnet that {having}"
    rate = f"{(subnet.speed_mbit_s or 0) / 1000:g} Gbit/s" if subnet.speed_mbit_s else "IPv4"
    return subnet, f"{subnet.where}: the best ({rate}) of {len(subnets)} subnets, which {having}"


def _shared(names: Sequence[str], facts: Mapping[str, NodeFacts]) -> list[_Subnet]:
    """Give the subnets in which more than half of the nodes have an address of their own.

    Where most have the very same address, as on bridges that software made, it is no network between them.
    """
    members: dict[Network, dict[str, _Candidate]] = {}
    for name in names:
        for candidate in _likely_addresses(facts[name]):
            held = members.setdefault(candidate.network, {}).get(name)
            if held is None or (candidate.speed_mbit_s or 0) > (held.speed_mbit_s or 0):
                members[candidate.network][name] = candidate
    return [
        _Subnet(network, of)
        for network, of in members.items()
        if 2 * len({candidate.ip for candidate in of.values()}) > len(names)
    ]


def _fastest(subnets: list[_Subnet]) -> list[_Subnet]:
    """Leave the subnets that none is known to be faster than; of both families on equal links, IPv4."""
    speeds = [subnet.speed_mbit_s for subnet in subnets]
    if None not in speeds:
        top = max(speed for speed in speeds if speed is not None)
        subnets = [subnet for subnet in subnets if subnet.speed_mbit_s == top]
    old = [subnet for subnet in subnets if subnet.network.version == 4]
    same_links = len({frozenset((h, c.interface) for h, c in s.members.items()) for s in subnets}) == 1
    return old if len(old) == 1 and same_links else subnets


def _contested(
    chosen: Mapping[str, _Candidate], facts: Mapping[str, NodeFacts]
) -> dict[str, tuple[str, ...]]:
    """Find the chosen addresses that several hosts have, and these hosts.

    It need not be the other's chosen one: what that node itself sends there never leaves it, and a
    launch over the two waits for ever. On a loopback interface it is meant to be on many (LVS, anycast).
    """
    holders: dict[str, list[str]] = {}
    for name, node in facts.items():
        lo = {interface.name for interface in node.interfaces if interface.kind == "loopback"}
        for ip in {str(c.ip) for c in _all_addresses(node) if c.up and c.interface not in lo}:
            holders.setdefault(ip, []).append(name)
    used = {str(candidate.ip) for candidate in chosen.values()}
    return {ip: tuple(names) for ip, names in holders.items() if ip in used and len(names) > 1}


def _doubles(
    chosen: Mapping[str, _Candidate],
    contested: Mapping[str, tuple[str, ...]],
    facts: Mapping[str, NodeFacts],
    owners: Mapping[str, str],
) -> dict[str, Excluded]:
    """Name the hosts whose address another one has as well: what is sent there may reach either.

    Where it is known whose the address is, only the others are out: a claim must not harm who has it.
    """
    out: dict[str, Excluded] = {}
    for ip, names in contested.items():
        owner = owners.get(ip)
        for name in names:
            others = [other for other in names if other != name]
            if owner in names:
                if name != owner:
                    cause = f"it claims the address {ip}, which is that of {owner}"
                    out[name] = Excluded(name, cause, "take that address off its interfaces")
            elif name in chosen and str(chosen[name].ip) == ip:
                if all(_same_machine(facts[name], facts[other]) for other in others):
                    reason, remedy = f"it is the same machine as {', '.join(others)}", _TWO_NAMES
                else:
                    reason, remedy = f"its address {ip} is also that of {', '.join(others)}", _TWO_HOLDERS
                out.setdefault(name, Excluded(name, reason, remedy))
    return out


def _same_machine(one: NodeFacts, other: NodeFacts) -> bool:
    """Tell whether two hosts are one; a clone has its original's machine-id, and a name of its own."""
    return one.machine_id is not None and (one.machine_id, one.hostname) == (other.machine_id, other.hostname)


def _common(chosen: Iterable[_Candidate], network: Network | None) -> Network | None:
    """Give the one subnet that all chosen addresses are in, if there is one."""
    found = list(chosen)
    if network is not None and all(candidate.ip in network for candidate in found):
        return network
    networks = {candidate.network for candidate in found}
    return networks.pop() if len(networks) == 1 else None


def _all_addresses(node: NodeFacts) -> Iterator[_Candidate]:
    """Give every address of a node that other nodes could reach, whatever its interface is for."""
    for interface in node.interfaces:
        for address in interface.addresses:
            ip = ip_address(address.ip)
            if ip.is_loopback or ip.is_link_local or ip.is_multicast or ip.is_unspecified:
                continue
            if _UNUSABLE_FLAGS & set(address.flags):
                continue
            network, up = ip_network(f"{ip}/{address.prefix_len}", strict=False), interface.state not in _DOWN
            yield _Candidate(ip, network, interface.name, up, _speed(interface, node))


def _likely_addresses(node: NodeFacts) -> tuple[_Candidate, ...]:
    """Give the addresses that may be chosen unasked: on links that are up and not a container's or VPN's."""
    aside = {each.name for each in node.interfaces if each.kind in _KINDS or each.name.startswith(_NAMES)}
    return tuple(c for c in _all_addresses(node) if c.up and c.interface not in aside)


def _speed(interface: Interface, node: NodeFacts) -> int | None:
    """Prefer the rate of the RDMA port below: IPoIB links often report none, or a made-up one."""
    rates = [
        port.rate_gbit_s for port in node.rdma_ports if port.netdev == interface.name and port.rate_gbit_s
    ]
    return round(max(rates) * 1000) if rates else interface.speed_mbit_s
