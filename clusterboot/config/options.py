"""The ``clusterboot`` block becomes :class:`~clusterboot.config.cluster.Options`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from clusterboot.config.cluster import Host, Login, MpiOptions, NcclOptions, Options, TrustOptions
from clusterboot.config.logins import Context
from clusterboot.config.model import MpiBlock, NcclBlock, OptionsBlock, TrustBlock
from clusterboot.config.problems import shown

_HEAD = "head"
_BLOCK = "clusterboot"


def make_options(context: Context, block: OptionsBlock) -> Options:
    """Convert a checked block; what it leaves out has the record's defaults."""
    mpi, nccl = block.mpi or MpiBlock(), block.nccl or NcclBlock()
    given = {
        key: value
        for key in (
            *("keys", "certificate_hours", "verify", "slots", "launch_from", "fanout", "kex_algorithms"),
            "results_access",
        )
        if (value := getattr(block, key)) is not None
    }
    return replace(
        Options(**given),
        trust=_trust(context, block.trust or TrustBlock()),
        mpi=MpiOptions(mpi.kind, mpi.prefix, mpi.module, tuple(mpi.args or ())),
        nccl=NcclOptions(nccl.tests_dir, nccl.ib_hca, tuple(nccl.lib_dirs or ())),
        expected_busbw_gbps={str(name): rate for name, rate in (block.expected_busbw_gbps or {}).items()},
    )


def _trust(context: Context, block: TrustBlock) -> TrustOptions:
    where = (_BLOCK, "trust", "known_hosts")
    files = [context.file(text, (*where, index)) for index, text in enumerate(block.known_hosts or ())]
    pins = {name: tuple(dict.fromkeys(keys)) for name, keys in (block.pins or {}).items()}
    return TrustOptions(tuple(file for file in files if file), pins)


def settle_references(
    context: Context, options: Options, hosts: Sequence[Host], gateways: Mapping[str, Login]
) -> Options:
    """See that what the block says of hosts is said of hosts of this file.

    Parameters: what is at hand; the options; all hosts; the gateways by the names that the
    file has for them.
    Returns: the options with each pin under the name that its host's key is kept under.
    """
    names = {host.name: host.login for host in hosts}
    via = {hop for host in hosts for hop in host.via}
    start = options.launch_from
    line = context.document.line((_BLOCK, "launch_from"))
    if start == _HEAD and not via:
        context.problems.add(
            line, "launch_from: head, but there is no gateway", "name a host, or add proxy_jump"
        )
    elif start not in {None, _HEAD, *names}:
        cause = f"launch_from: {shown(start)} is no host of this file"
        context.problems.add(line, cause, "write head or a host's name")
    known = {login.hostname: login for login in (*via, *names.values())}
    known |= {login.hostkey_name: login for login in known.values()} | dict(gateways) | names
    pins: dict[str, tuple[str, ...]] = {}
    for name, keys in options.trust.pins.items():
        if name in known:
            kept_under = known[name].hostkey_name
            pins[kept_under] = tuple(dict.fromkeys((*pins.get(kept_under, ()), *keys)))
        else:
            line = context.document.line((_BLOCK, "trust", "pins", name))
            cause = f"pins: {shown(name)} is no host of this file"
            context.problems.add(line, cause, "write a host's or gateway's name")
    return replace(options, trust=replace(options.trust, pins=pins))
