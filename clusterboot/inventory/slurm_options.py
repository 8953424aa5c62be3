"""The ``slurm`` block becomes :class:`~clusterboot.inventory.cluster.SlurmOptions`."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from .cluster import Host, Login, Options, SlurmOptions
from .clusterboot_block import settle_references
from .gateways import Routes
from .logins import Reading
from .model import HostEntry, SshBlock
from .slurm_schema import SlurmBlock, SlurmLogin


def make_slurm(context: Reading, block: SlurmBlock) -> SlurmOptions:
    """Convert a checked block; the login node is logged in to as any host of a fleet is."""
    return SlurmOptions(
        partitions=tuple(dict.fromkeys(block.partition)),
        nodes=block.nodes,
        login=_login(context, block.login) if block.login else None,
        account=block.account,
        qos=block.qos,
        reservation=block.reservation,
        constraint=block.constraint,
        time_limit_minutes=block.time_limit_minutes,
        gpus_per_node=block.gpus_per_node,
        args=tuple(block.args or ()),
    )


def settle_slurm(context: Reading, options: Options, slurm: SlurmOptions) -> Options:
    """See that a pin is the login node's: no other machine is logged in to."""
    logins = (slurm.login,) if slurm.login else ()
    settled = settle_references(context, replace(options, launch_from=None), logins, {})
    return replace(settled, launch_from=options.launch_from)


def slurm_hosts(names: Iterable[str]) -> tuple[Host, ...]:
    """Give nodes by the names that Slurm has for them, by which nothing logs in."""
    return tuple(Host(name, Login(name, ""), hostname=name) for name in names)


def _login(context: Reading, login: SlurmLogin) -> Host:
    entry = HostEntry.model_construct(
        hostname=(login.hostname,),
        user=login.user,
        port=login.port,
        identity_file=login.identity_file,
        proxy_jump=login.proxy_jump,
    )
    routes = Routes(context, SshBlock.model_construct(hosts=[entry]))
    return routes.host(login.hostname, entry, ("slurm", "login"))
