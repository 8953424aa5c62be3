"""Faults of a machine's link: slow, lossy, flapping or bursty.

Slow ones follow from the lab's list of faults (see ``network``), and so does what is bursty.
"""

from __future__ import annotations

import json

from .. import machine, wiring
from ..description import Fault, Lab, Process
from ..enter import in_network, init_of, machine_of, switch_of
from . import background
from .kinds import Amount, FaultKind

_PERCENT = Amount("PERCENT", 0.001, 99)
_SECONDS = Amount("SECONDS", 0.05, 60, default=0.5)
# The finest share of packets that can be lost.
_OF = 1_000_000


def _reshape(lab: Lab, fault: Fault) -> None:
    """Make the links of the fault's machines as the lab's list of faults has them."""
    for node in (machine_of(lab, name) for name in fault.nodes):
        out_of, into = wiring.out_shape(lab, node), wiring.in_shape(lab, node)
        in_network(init_of(node), ["tc", "-batch", "-"], ["qdisc del dev eth0 root", *out_of])
        drop = f"qdisc del dev {wiring.port_name(node)} root"
        in_network(switch_of(lab), ["tc", "-batch", "-"], [drop, *into])


def _flap(lab: Lab, fault: Fault) -> None:
    """Have both directions of the link flap at once."""
    _reshape(lab, fault)
    node = machine_of(lab, fault.node)
    orders = []
    for init, device in ((init_of(node), "eth0"), (switch_of(lab), wiring.port_name(node))):
        down, up = wiring.flap_lines(lab, device)
        # While a shape is made anew, changing it fails: it goes on all the same.
        tc = [machine.tool("tc"), "-force", "-batch", "-"]
        argv = [machine.tool("nsenter"), f"--net=/proc/{init.pid}/ns/net", *tc]
        orders.append({"argv": argv, "down": down, "up": up})
    order = json.dumps({"every_s": fault.amount or _SECONDS.default, "links": orders})
    background.start(switch_of(lab), "flap", [fault.node, order], fault.node)


def _flap_no_more(lab: Lab, fault: Fault) -> None:
    background.stop(switch_of(lab), "flap", fault.node)
    _reshape(lab, fault)


def _lose(lab: Lab, fault: Fault) -> None:
    share = round((fault.amount or 0) / 100 * _OF)
    for init, table, device in _far_ends(lab, fault):
        lines = [
            f"add table inet {table}",
            f"add chain inet {table} lost {{ type filter hook prerouting priority -300; }}",
            f'add rule inet {table} lost iifname "{device}" numgen random mod {_OF} < {share} drop',
        ]
        in_network(init, ["nft", "-f", "-"], lines, host=fault.node)


def _lose_no_more(lab: Lab, fault: Fault) -> None:
    for init, table, _ in _far_ends(lab, fault):
        # Added first: deleting what is not there is an error, and making it may have been cut off.
        lines = [f"add table inet {table}", f"delete table inet {table}"]
        in_network(init, ["nft", "-f", "-"], lines, host=fault.node)


def _far_ends(lab: Lab, fault: Fault) -> list[tuple[Process, str, str]]:
    """Say where packets are lost: at the far end of the link, once they have taken their time on it.

    Each with the table that loses them and the device that they come in by. Source: nft(8).
    """
    node = machine_of(lab, fault.node)
    table = fault.kind.replace("-", "_")
    into = (init_of(node), table, "eth0")
    out_of = (switch_of(lab), f"{table}_{node.name}", wiring.port_name(node))
    return {"lossy-in": [into], "lossy-out": [out_of]}.get(fault.kind, [into, out_of])


LINK_FAULTS = {
    "bursty": FaultKind("its link has its rate after a rest, and soon a tenth of it", _reshape, _reshape),
    "flapping": FaultKind(
        "its link has its rate and a fifteenth of it in turns, each for 0.5 s or SECONDS",
        *(_flap, _flap_no_more),
        amount=_SECONDS,
    ),
    "lossy": FaultKind("loses so much of what it sends and is sent", _lose, _lose_no_more, amount=_PERCENT),
    "lossy-in": FaultKind("loses so much of what it is sent", _lose, _lose_no_more, amount=_PERCENT),
    "lossy-out": FaultKind("loses so much of what it sends", _lose, _lose_no_more, amount=_PERCENT),
    "slow-in": FaultKind("receives at a tenth of the rate", _reshape, _reshape),
    "slow-nic": FaultKind("sends and receives at a tenth of the rate", _reshape, _reshape),
    "slow-out": FaultKind("sends at a tenth of the rate", _reshape, _reshape),
    "slow-pair": FaultKind("a tenth of the rate between the two", _reshape, _reshape, paired=True),
    "slow-to": FaultKind("a tenth of the rate to the other, not back", _reshape, _reshape, paired=True),
}
