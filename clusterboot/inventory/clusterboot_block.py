"""The ``clusterboot`` block becomes :class:`~clusterboot.inventory.cluster.Options`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from .cluster import Host, Login, MpiOptions, NcclOptions, Options, TrustOptions
from .logins import Reading
from .model import FileBlock, OptionsBlock, TrustBlock
from .problems import shown
from .selection import hosts_called

_HEAD = "head"
_BLOCK = "clusterboot"


def make_options(context: Reading, block: OptionsBlock) -> Options:
    """Convert a checked block; what it leaves out has the record's defaults."""
    given = _given(block) | {
        "trust": _trust(context, block.trust or TrustBlock()),
        "mpi": MpiOptions(**_given(block.mpi)),
        "nccl": NcclOptions(**_given(block.nccl)),
    }
    return Options(**given)


def _given(block: FileBlock | None) -> dict[str, Any]:
    """Give what a block says, under the names that the records have for it."""
    return {
        key: tuple(value) if isinstance(value, list) else value
        for key, value in block or ()
        if value is not None
    }


def _trust(context: Reading, block: TrustBlock) -> TrustOptions:
    where = (_BLOCK, "trust", "known_hosts")
    files = [context.file(text, (*where, index)) for index, text in enumerate(block.known_hosts or ())]
    pins = {name: tuple(dict.fromkeys(keys)) for name, keys in (block.pins or {}).items()}
    return TrustOptions(tuple(file for file in files if file), pins)


def settle_references(
    context: Reading, options: Options, hosts: Sequence[Host], gateways: Mapping[str, Login]
) -> Options:
    """See that what the block says of hosts is said of hosts of this file.

    Parameters: what is at hand; the options; all hosts; the gateways by the names that the
    file has for them.
    Returns: the options with each pin under the name that its host's key is kept under.
    """
    via = {hop for host in hosts for hop in host.via}
    return replace(
        options,
        launch_from=_launch_from(context, options.launch_from, hosts, behind_gateway=bool(via)),
        trust=replace(options.trust, pins=_pins(context, options.trust, _logins(hosts, via, gateways))),
    )


def _launch_from(
    context: Reading, word: str | None, hosts: Sequence[Host], *, behind_gateway: bool
) -> str | None:
    called = hosts_called(hosts)
    line = context.document.line((_BLOCK, "launch_from"))
    if word == _HEAD and _HEAD not in called and not behind_gateway:
        context.problems.add(
            line, "launch_from: head, but there is no gateway", "name a host, or add proxy_jump"
        )
    if word is None or (word == _HEAD and _HEAD not in called):
        return word
    meant = called.get(word, ())
    if len(meant) != 1:
        context.problems.add(
            line, f"launch_from: {shown(word)} {_no_single(meant)}", "write head or a host's name"
        )
        return word
    return meant[0].name


def _no_single(meant: Sequence[Host]) -> str:
    if not meant:
        return "is no host of this file"
    return f"is each of {', '.join(host.name for host in meant[:5])}{', …' if len(meant) > 5 else ''}"


def _pins(
    context: Reading, trust: TrustOptions, known: Mapping[str, tuple[Login, ...]]
) -> dict[str, tuple[str, ...]]:
    pins: dict[str, tuple[str, ...]] = {}
    for name, keys in trust.pins.items():
        kept_under = {login.hostkey_name for login in known.get(name, ())}
        if len(kept_under) == 1:
            (one,) = kept_under
            pins[one] = tuple(dict.fromkeys((*pins.get(one, ()), *keys)))
            continue
        line = context.document.line((_BLOCK, "trust", "pins", name))
        cause = f"is each of {', '.join(sorted(kept_under)[:5])}" if kept_under else "is no host of this file"
        context.problems.add(line, f"pins: {shown(name)} {cause}", "write a host's or gateway's name")
    return pins


def _logins(
    hosts: Sequence[Host], via: Iterable[Login], gateways: Mapping[str, Login]
) -> dict[str, tuple[Login, ...]]:
    """List the machines that a pin may be for, by what they may be called; what is exact goes first."""
    by_hostname: dict[str, tuple[Login, ...]] = {}
    for login in via:
        by_hostname[login.hostname] = (*by_hostname.get(login.hostname, ()), login)
    for word, called in hosts_called(hosts).items():
        by_hostname[word] = (*by_hostname.get(word, ()), *(host.login for host in called))
    exact = {login.hostkey_name: login for login in (*via, *(host.login for host in hosts))}
    exact |= dict(gateways) | {host.name: host.login for host in hosts}
    return by_hostname | {word: (login,) for word, login in exact.items()}
