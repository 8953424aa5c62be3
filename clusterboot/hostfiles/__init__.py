"""Which address each node is reached at by MPI, and the hostfiles that say so."""

from .addresses import choose_addresses
from .outputs import changes, render_all, render_excluded, slots, write
from .slots import AddressPlan, Excluded, NodeAddress, Slot
from .ssh import render_known_hosts, render_ssh_config

__all__ = [
    "AddressPlan",
    "Excluded",
    "NodeAddress",
    "Slot",
    "changes",
    "choose_addresses",
    "render_all",
    "render_excluded",
    "render_known_hosts",
    "render_ssh_config",
    "slots",
    "write",
]
