"""Where a cluster's hosts come from: the file that lists them, or what a scheduler has."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from .cluster import Host


class NodeSource(Protocol):
    """What knows which hosts a command is about."""

    def hosts(self) -> tuple[Host, ...]:
        """Give the hosts chosen, in their order.

        Errors: :class:`clusterboot.errors.ClusterbootError` where they are asked for and nothing answers.
        """


@dataclass(frozen=True)
class ListedHosts:
    """The hosts that a fleet file lists."""

    listed: tuple[Host, ...] = ()

    def hosts(self) -> tuple[Host, ...]:
        """Give them."""
        return self.listed
