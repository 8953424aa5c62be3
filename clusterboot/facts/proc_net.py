"""Addresses of interfaces from /proc/net alone, for nodes without ``ip``."""

from __future__ import annotations

import re
from ipaddress import IPv4Address, IPv4Network, IPv6Address

from .node import Address

_HEX = re.compile(r"[0-9A-Fa-f]{8}")
_HEX6 = re.compile(r"[0-9A-Fa-f]{32}")
_LEAF = re.compile(r"\s*\|-- (\d{1,3}(?:\.\d{1,3}){3})\s*")
# Scopes of /proc/net/if_inet6: net/ipv6.h.
_SCOPES = {"00": "global", "10": "host", "20": "link", "40": "site"}
_FLAGS = {0x01: "temporary", 0x08: "dadfailed", 0x20: "deprecated", 0x40: "tentative"}


def addresses_without_ip(if_inet6: str, route: str, fib_trie: str) -> dict[str, tuple[Address, ...]]:
    """Put each of the machine's addresses on its interface.

    Parameters: the texts of /proc/net/if_inet6, route and fib_trie.
    Returns: addresses by interface name. /proc/net has the IPv4 addresses without their
    interface: each goes to the one with the narrowest directly connected route around it.
    Source: proc_net(5) and the kernel's net/ipv4/fib_trie.c.
    """
    found: dict[str, list[Address]] = {}
    connected = _connected(route)
    for ip in _local_ipv4(fib_trie):
        if ip.is_loopback:
            found.setdefault("lo", []).append(Address(str(ip), 8, "host"))
            continue
        around = [(network.prefixlen, name) for name, network in connected if ip in network]
        if around:
            prefix_len, name = max(around)
            found.setdefault(name, []).append(Address(str(ip), prefix_len))
    for line in if_inet6.split("\n"):
        fields = line.split()
        if len(fields) == 6 and _HEX6.fullmatch(fields[0]) and all(map(_is_byte, fields[2:5])):
            flags = tuple(word for bit, word in _FLAGS.items() if int(fields[4], 16) & bit)
            scope = _SCOPES.get(fields[3], "global")
            ip6 = IPv6Address(int(fields[0], 16))
            prefix_len = min(int(fields[2], 16), 128)
            found.setdefault(fields[5], []).append(Address(str(ip6), prefix_len, scope, flags))
    return {name: tuple(addresses) for name, addresses in found.items()}


def _is_byte(text: str) -> bool:
    return re.fullmatch(r"[0-9A-Fa-f]{1,2}", text) is not None


def _connected(route: str) -> list[tuple[str, IPv4Network]]:
    """Read the routes without a gateway; numbers are in the order of a little-endian machine."""
    found = []
    for line in route.split("\n"):
        fields = line.split()
        if len(fields) < 8 or fields[2] != "00000000":
            continue
        if _HEX.fullmatch(fields[1]) and _HEX.fullmatch(fields[7]):
            destination, mask = _little(fields[1]), _little(fields[7])
            length = bin(int(mask)).count("1")
            if length:
                found.append((fields[0], IPv4Network((int(destination), length), strict=False)))
    return found


def _little(text: str) -> IPv4Address:
    return IPv4Address(int.from_bytes(bytes.fromhex(text), "little"))


def _local_ipv4(fib_trie: str) -> list[IPv4Address]:
    """Give the leaves that are the machine's own: those with a ``/32 host LOCAL``."""
    found: dict[IPv4Address, None] = {}
    leaf: str | None = None
    for line in fib_trie.split("\n"):
        match = _LEAF.fullmatch(line)
        if match:
            leaf = match[1]
        elif leaf and line.split() == ["/32", "host", "LOCAL"]:
            try:
                found[IPv4Address(leaf)] = None
            except ValueError:
                leaf = None
    return list(found)
