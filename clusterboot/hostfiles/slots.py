"""What the hostfiles are made from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network

from clusterboot.inventory.name_rules import without_colons


@dataclass(frozen=True)
class NodeAddress:
    """A host's address on the interconnect, and the interface that has it."""

    host: str
    ip: str
    interface: str


@dataclass(frozen=True)
class Excluded:
    """A host that stands in no hostfile, why, and what to do about it where that is known."""

    host: str
    reason: str
    remedy: str | None = None


@dataclass(frozen=True)
class AddressPlan:
    """Which address each host is launched on.

    ``network`` is the subnet they are in, ``None`` where addresses were named one by one and
    are in no common one. ``explanation`` says in one line why these. ``contested`` has the hosts
    that claim an address which is one host's of the plan, by that address.
    """

    addresses: tuple[NodeAddress, ...]
    network: IPv4Network | IPv6Network | None
    excluded: tuple[Excluded, ...]
    explanation: str
    contested: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def ip(self) -> dict[str, str]:
        """The address of each host that has one."""
        return {entry.host: entry.ip for entry in self.addresses}


@dataclass(frozen=True)
class Slot:
    """A line of a hostfile: a host, its address there, and how many ranks it takes."""

    host: str
    ip: str
    slots: int

    @property
    def launch_name(self) -> str:
        """What a hostfile calls the host: its address, and for an IPv6 one a name of its.

        Open MPI 4 ends at a node's name with a colon ("illegal character"), and Hydra cuts a line at
        its first. The nodes' ssh configuration knows both names; they need not resolve.
        """
        if ":" not in self.ip:
            return self.ip
        return without_colons(self.ip) if ":" in self.host else self.host
