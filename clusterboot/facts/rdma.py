"""InfiniBand and RoCE ports, from sysfs."""

from __future__ import annotations

import re

from .fact import Fact
from .node import RdmaPort
from .text import PRELUDE, clean, integer, known, number, pairs

# The first GID's network device is the port's. Where the kernel gives none (InfiniBand
# without IPoIB addresses), the adapter's only network device is.
_SCRIPT = (
    PRELUDE
    + r"""for d in /sys/class/infiniband/*/ports/*; do
  show "$d/state" "$d/rate" "$d/link_layer" "$d/gid_attrs/ndevs/0"
done
for d in /sys/class/infiniband/*/device/net/*; do
  [ -e "$d" ] && printf '%s:\n' "$d"
done
"""
)

_PORT = re.compile(r"/sys/class/infiniband/([^/]+)/ports/([0-9]{1,3})/(.+)")
_NET = re.compile(r"/sys/class/infiniband/([^/]+)/device/net/([^/]+)")


def parse(text: str) -> tuple[RdmaPort, ...]:
    """Read the RDMA section.

    Returns: the ports by device and number; ``state`` as ``ACTIVE``, ``DOWN``, ``INIT``.
    Source: the kernel's ABI/stable/sysfs-class-infiniband.
    """
    ports: dict[tuple[str, int], dict[str, str]] = {}
    netdevs: dict[str, list[str]] = {}
    for path, value in pairs(text):
        port, net = _PORT.fullmatch(path), _NET.fullmatch(path)
        if port:
            ports.setdefault((clean(port[1]), int(port[2])), {})[port[3]] = value
        elif net:
            netdevs.setdefault(clean(net[1]), []).append(clean(net[2]))
    return tuple(
        _port(device, index, said, netdevs.get(device, []))
        for (device, index), said in sorted(ports.items(), key=lambda item: _natural(item[0]))
    )


def _natural(key: tuple[str, int]) -> tuple[str, int, int]:
    """Order mlx5_10 after mlx5_9."""
    stem = key[0].rstrip("0123456789")
    return stem, integer(key[0][len(stem) :]) or 0, key[1]


def _port(device: str, index: int, said: dict[str, str], netdevs: list[str]) -> RdmaPort:
    only = netdevs[0] if len(netdevs) == 1 else None
    return RdmaPort(
        device=device,
        port=index,
        link_layer=known(said.get("link_layer")) or "unknown",
        state=known(said.get("state", "").rpartition(":")[2]) or "unknown",
        rate_gbit_s=number(said.get("rate", "").partition(" ")[0]),
        netdev=known(said.get("gid_attrs/ndevs/0")) or only,
    )


FACT = Fact("rdma", _SCRIPT, lambda text: {"rdma_ports": parse(text)})
