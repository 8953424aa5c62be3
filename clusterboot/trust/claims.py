"""What a node says of itself, and how much of it the other nodes are told. Pure.

A node's own word decides about nothing but itself. Its hostname would otherwise lead other nodes'
users to it when they mean another host, and an address that it claims would let its key in from there.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

from clusterboot.facts.node import NodeFacts
from clusterboot.inventory.cluster import Cluster, Host

Network = IPv4Network | IPv6Network

# RFC 1123, 2.1; the underscore is none, but some sites have it.
_LABEL = r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"
_NAME = re.compile(rf"{_LABEL}(?:\.{_LABEL})*")
_LONGEST_NAME = 253
# What inet_aton(3) takes for an address or the end of one: decimal, octal, hexadecimal.
_NUMBER = re.compile(r"[0-9]+|0[xX][0-9A-Fa-f]*")
_LOCAL = frozenset(
    {"localhost", "localdomain", "local", "ip6-localhost", "ip6-loopback", "broadcasthost", "none", "head"}
)
# A node with more addresses in the cluster's network than this is let in from the first of them.
MOST_SOURCES = 8


@dataclass(frozen=True)
class Believed:
    """What is taken of the nodes' own words, by host.

    ``names`` are what others may call a host besides the cluster file's names; ``sources`` the
    addresses that its logins may come from; ``notes`` say what was not taken, or has changed.
    """

    names: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    sources: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    notes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


def candidates(
    cluster: Cluster, hosts: Iterable[Host], facts: Mapping[str, NodeFacts]
) -> dict[str, list[str]]:
    """Give the names that each host has for itself and that are not its own by the cluster file.

    Returns: by host, those that could be a host's name at all and that no other host has, by the
    file or by its own word; the rules that need a look-up are :func:`granted_names`'s.
    """
    hosts = list(hosts)
    claimed = {host.name: _claimed(facts[host.name].hostname) for host in hosts}
    counts: dict[str, int] = {}
    for names in claimed.values():
        for name in names:
            counts[name.lower()] = counts.get(name.lower(), 0) + 1
    owners = _owners(cluster)

    def may_have(host: Host, name: str) -> bool:
        return owners.get(name.lower(), host.name) == host.name and counts[name.lower()] == 1

    wanted = {}
    for host in hosts:
        names = claimed[host.name]
        # The short form of a name that is another's would lead to the node by the back door.
        allowed = names if names and may_have(host, names[0]) else ()
        wanted[host.name] = [name for name in allowed if may_have(host, name) and name not in _by_right(host)]
    return wanted


def granted_names(
    host: Host,
    wanted: Sequence[str],
    address: str,
    looked_up: Iterable[Mapping[str, Collection[str]]],
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Choose which of the names that a host has for itself the others are told.

    Parameters: the host; its :func:`candidates`; its address on the interconnect; what other
    hosts' resolvers say: addresses by name, empty where there is none, a name left out where
    that is not known.
    Returns: the names that lead to that very host, or are a single label that leads nowhere; and
    a line on each of the others.
    """
    answers = list(looked_up)
    own = {address, *_literal(host)}
    granted: list[str] = []
    refused: dict[str, str] = {}
    for name in wanted:
        if any(longer.startswith(f"{name}.") for longer in refused):
            continue  # The short form of what is left out is left out, too.
        said = [
            (set(answer[name]), own | set(answer.get(host.login.hostname, ())))
            for answer in answers
            if name in answer
        ]
        elsewhere = sorted({ip for found, right in said for ip in found - right})
        if elsewhere:
            refused[name] = f"which is {elsewhere[0]} for other nodes"
        elif not said:
            refused[name] = "which no other node could look up"
        elif "." in name and not all(found for found, _ in said):
            refused[name] = "which other nodes cannot resolve"
        else:
            granted.append(name)
    told = (f"it calls itself {name}, {why}: not added" for name, why in refused.items())
    return tuple(granted), tuple(told)


def names_by_right(host: Host) -> tuple[str, ...]:
    """Give what the cluster file calls a host, besides the name that outputs have for it."""
    return tuple(name for name in dict.fromkeys(_by_right(host)) if name != host.name)


def sources_of(host: Host, facts: NodeFacts, address: str, network: Network | None) -> tuple[str, ...]:
    """Give the addresses that a host's logins to the others may come from.

    Parameters: the host; what it says of its interfaces; its address on the interconnect; the
    interconnect's subnet, ``None`` where there is no single one.
    Returns: that address, the one at which the operator reaches it where the cluster file has an
    address, and what it has in the subnet: at most ``MOST_SOURCES`` in all.
    """
    inside = [
        entry.ip
        for link in facts.interfaces
        for entry in link.addresses
        if network is not None and (ip := _ip(entry.ip)) is not None and ip in network
    ]
    return tuple(dict.fromkeys((address, *_literal(host), *inside)))[:MOST_SOURCES]


def changes(
    name: str, before: tuple[Sequence[str], Sequence[str]], after: tuple[Sequence[str], Sequence[str]]
) -> tuple[str, ...]:
    """Say what of a host's names and sources is new or gone since the last bootstrap, a line each.

    Parameters: the host's name; names and sources as they were, and as they are.
    """
    told = []
    for what, old, new in zip(("name", "source address"), before, after, strict=True):
        for word, found in (("new", set(new) - set(old)), ("gone", set(old) - set(new))):
            if found - {name}:
                told.append(f"{what} {word} since the last bootstrap: {', '.join(sorted(found))}")
    return tuple(told)


def _claimed(hostname: str) -> tuple[str, ...]:
    names = (hostname, hostname.partition(".")[0]) if _could_be_a_name(hostname) else ()
    return tuple(name for name in dict.fromkeys(names) if _could_be_a_name(name))


def _could_be_a_name(name: str) -> bool:
    lower = name.lower()
    return (
        len(name) <= _LONGEST_NAME
        and _NAME.fullmatch(name) is not None
        and _NUMBER.fullmatch(name.rpartition(".")[2]) is None
        and lower not in _LOCAL
        and not lower.startswith("localhost.")
        and not lower.endswith((".localhost", ".localdomain"))
    )


def _owners(cluster: Cluster) -> dict[str, str]:
    """Give whose each name of the cluster file is: nobody's if a gateway's, or a short form of two."""
    words: dict[str, str] = {}
    for name in cluster.all_names:
        _own(words, name, name)
    for host in cluster.hosts:
        for word in _by_right(host):
            _own(words, word, host.name)
    for hop in cluster.gateways:
        for gateway in filter(None, (hop.hostname, hop.hostkey_alias)):
            _own(words, gateway, "")
    return words


def _own(words: dict[str, str], word: str, host: str) -> None:
    for form in dict.fromkeys((word.lower(), word.lower().partition(".")[0])):
        words[form] = host if words.get(form, host) == host else ""


def _by_right(host: Host) -> tuple[str, ...]:
    return (host.name, host.login.hostname)


def _literal(host: Host) -> tuple[str, ...]:
    ip = _ip(host.login.hostname)
    return (str(ip),) if ip is not None else ()


def _ip(text: str) -> IPv4Address | IPv6Address | None:
    try:
        return ip_address(text)
    except ValueError:
        return None
