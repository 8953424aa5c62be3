"""Network interfaces: what ``ip`` says, filled in from sysfs, or from procfs where there is no ``ip``."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from ipaddress import IPv4Interface, IPv6Interface, ip_address, ip_interface

from .fact import Fact
from .node import Address, Interface
from .proc_net import addresses_without_ip
from .text import PRELUDE, blocks, clean, integer, pairs

# busybox's ip knows no -d. A mount of sysfs shows the interfaces of the network namespace it
# was mounted in, which need not be this one: so `ip` or /proc/net says which there are, and
# sysfs is believed only where index and hardware address agree. Ends of containers' veth
# pairs can be hundreds, and nothing in sysfs about them is of use.
_SCRIPT = (
    PRELUDE
    + r"""printf '@ip\n'
ip -d addr || ip addr || {
  printf '@dev\n'; while read -r k v; do printf '%s\n' "$k"; done </proc/net/dev
  for f in if_inet6 route fib_trie; do
    printf '@%s\n' $f; while IFS= read -r v; do printf '%s\n' "$v"; done <"/proc/net/$f"
  done
}
printf '@sysfs\n'
for d in /sys/class/net/*; do
  case ${d##*/} in veth*|cali*|lxc*|azv*|'*') continue;; esac
  for n in ifindex iflink type mtu address operstate speed tun_flags; do show "$d/$n"; done
  for n in device bridge bonding; do [ -e "$d/$n" ] && printf '%s/has:%s\n' "$d" "$n"; done
  while IFS= read -r v; do
    case $v in DEVTYPE=*) printf '%s/devtype:%s\n' "$d" "${v#*=}";; esac
  done <"$d/uevent"
done
"""
)

_HEADER = re.compile(r"(\d{1,9}): ([^\s:@]{1,15})(?:@[^\s:]+)?: <([^>]*)> mtu (\d{1,9})(.*)")
_STATE = re.compile(r" state (\w+)")
_LINK = re.compile(r"\s+link/(\S+) ([0-9a-f:]{17,59})\b")
_INET = re.compile(
    r"\s+inet6? ([0-9A-Fa-f.:]+)(?: peer [0-9A-Fa-f.:]+)?(?:/(\d{1,3}))?\b(?:.*? scope (\S+))?(.*)"
)
_FLAGS = ("temporary", "deprecated", "tentative", "dadfailed")

# The first word of the line in which `ip -d` describes a link: ip-link(8), TYPES.
_KINDS = {
    **dict.fromkeys(("veth", "bridge", "bond", "vlan", "macvlan", "ipvlan"), ""),
    **dict.fromkeys(("macvtap",), "macvlan"),
    **dict.fromkeys(("openvswitch",), "bridge"),
    **dict.fromkeys(("team",), "bond"),
    **dict.fromkeys(("ipoib",), "physical"),
    **dict.fromkeys(
        (
            *("tun", "wireguard", "ipip", "sit", "gre", "gretap", "erspan", "ip6tnl", "ip6gre", "ip6gretap"),
            *("vti", "vti6", "vxlan", "geneve", "xfrm", "ppp", "gtp", "bareudp"),
        ),
        "tunnel",
    ),
    **dict.fromkeys(("dummy", "ifb", "vrf", "nlmon", "vcan"), "virtual"),
}
# DEVTYPE in sysfs' uevent, where it is not that word.
_DEVTYPES = {"ppp": "tunnel", "wlan": "physical"}
# ARPHRD_ numbers of point-to-point links: linux/if_arp.h.
_TUNNEL_TYPES = frozenset({"512", "65534", "768", "769", "776", "778", "823"})
_LOOPBACK_TYPE = "772"


def parse(text: str) -> tuple[Interface, ...]:
    """Read the network section.

    Returns: the interfaces in the kernel's order; addresses as the node has them.
    """
    parts = blocks(text)
    sysfs = _by_interface(parts.get("sysfs", ""))
    listed = tuple(_listed(parts.get("ip", ""), sysfs))
    return listed or tuple(_unlisted(parts, sysfs))


def _by_interface(text: str) -> dict[str, dict[str, str]]:
    """Group ``/sys/class/net/NAME/KEY:VALUE`` lines by interface; several ``has`` join up."""
    found: dict[str, dict[str, str]] = {}
    for path, value in pairs(text):
        name, _, key = path.removeprefix("/sys/class/net/").partition("/")
        attributes = found.setdefault(name, {})
        attributes[key] = f"{attributes['has']} {value}" if key == "has" and "has" in attributes else value
    return found


def _listed(text: str, sysfs: Mapping[str, Mapping[str, str]]) -> Iterator[Interface]:
    """Read ``ip addr``, a paragraph an interface."""
    for paragraph in re.split(r"\n(?=\d)", text):
        lines = paragraph.split("\n")
        header = _HEADER.fullmatch(lines[0])
        if not header:
            continue
        index, name, flags, mtu, rest = header.groups()
        link = next(filter(None, map(_LINK.match, lines)), None)
        mac = link[2] if link else None
        attributes = sysfs.get(name, {})
        if attributes.get("ifindex") != index or (mac and attributes.get("address", mac) != mac):
            attributes = {}
        state = _STATE.search(rest)
        loopback = "LOOPBACK" in flags.split(",")
        yield Interface(
            name=clean(name),
            state=state[1].lower() if state else attributes.get("operstate", "unknown"),
            mtu=int(mtu),
            mac=mac,
            kind="loopback" if loopback else _described(lines) or _kind(attributes),
            speed_mbit_s=_speed(attributes),
            addresses=tuple(filter(None, map(_address, lines))),
        )


def _described(lines: list[str]) -> str | None:
    """Find the kind in what ``ip -d`` says of a link, if it says anything."""
    for line in lines:
        word = line.strip().partition(" ")[0]
        if line.startswith("    ") and word in _KINDS:
            return _KINDS[word] or word
    return None


def _address(line: str) -> Address | None:
    match = _INET.match(line)
    if not match:
        return None
    ip, prefix, scope, rest = match.groups()
    interface = _interface(ip, prefix)
    flags = tuple(flag for flag in _FLAGS if flag in rest.split())
    if interface is None:
        return None
    return Address(str(interface.ip), interface.network.prefixlen, clean(scope or "global"), flags)


def _interface(ip: str, prefix: str | None) -> IPv4Interface | IPv6Interface | None:
    try:
        return ip_interface(f"{ip}/{prefix}" if prefix else ip)
    except ValueError:
        return None


def _kind(attributes: Mapping[str, str]) -> str:
    """Tell what made an interface by its traces in sysfs."""
    has = attributes.get("has", "").split()
    devtype = attributes.get("devtype", "")
    number = attributes.get("type", "")
    ethernet_pair = number == "1" and attributes.get("iflink") != attributes.get("ifindex")
    checks = (
        (number == _LOOPBACK_TYPE, "loopback"),
        ("bridge" in has, "bridge"),
        ("bonding" in has, "bond"),
        ("tun_flags" in attributes, "tunnel"),
        (devtype in _DEVTYPES, _DEVTYPES.get(devtype, "")),
        (devtype in _KINDS, _KINDS.get(devtype) or devtype),
        ("device" in has, "physical"),
        (number in _TUNNEL_TYPES, "tunnel"),
        (ethernet_pair, "veth"),
    )
    return next((kind for true, kind in checks if true), "virtual")


def _speed(attributes: Mapping[str, str]) -> int | None:
    """Read a link's speed; drivers say -1, or its unsigned form, for what they do not know."""
    speed = integer(attributes.get("speed"))
    return speed if speed is not None and 0 < speed < 2**31 - 1 else None


def _unlisted(parts: Mapping[str, str], sysfs: Mapping[str, Mapping[str, str]]) -> Iterator[Interface]:
    """Build the interfaces from /proc/net and sysfs."""
    found = addresses_without_ip(parts.get("if_inet6", ""), parts.get("route", ""), parts.get("fib_trie", ""))
    for line in parts.get("dev", "").split("\n"):
        name, colon, _ = line.strip().partition(":")
        if not colon or not name or clean(name) != name:
            continue
        attributes = sysfs.get(name, {})
        addresses = found.get(name, ())
        looped = any(ip_address(address.ip).is_loopback for address in addresses)
        yield Interface(
            name=name,
            state=clean(attributes.get("operstate", "unknown")),
            mtu=integer(attributes.get("mtu")) or 0,
            mac=clean(attributes["address"]) if attributes.get("address") else None,
            kind="loopback" if looped else _kind(attributes),
            speed_mbit_s=_speed(attributes),
            addresses=addresses,
        )


FACT = Fact("network", _SCRIPT, lambda text: {"interfaces": parse(text)})
