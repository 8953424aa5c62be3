"""Faults of a machine's link: slow, lossy, flapping or bursty.

Slow ones follow from the lab's list of faults (see ``network``), and so does what is bursty.
"""

from __future__ import annotations

import json

from . import background, machine, wiring
from .description import Fault, Lab, Process
from .enter import in_network, machine_of
from .kinds import Amount, FaultKind
from .sshd import init_of

_PERCENT = Amount("PERCENT", 0.001, 99)
_SECONDS = Amount("SECONDS", 0.05, 60, default=0.5)
# The finest share of packets that can be lost.
_OF = 1_000_000


def _reshape(lab: Lab, fault: Fault) -> Fault:
    """Make the links of the fault's machines as the lab's list of faults has them."""
    for node in (machine_of(lab, name) for name in fault.nodes):
        out_of, into = wiring.out_shape(lab, node), wiring.in_shape(lab, node)
        in_network(init_of(node), ["tc", "-batch", "-"], ["qdisc del dev eth0 root", *out_of])
        if lab.switch:
            drop = f"qdisc del dev {wiring.port_name(node)} root"
            in_network(lab.switch, ["tc", "-batch", "-"], [drop, *into])
    return fault


def _reshape_back(lab: Lab, fault: Fault) -> None:
    _reshape(lab, fault)


def _flap(lab: Lab, fault: Fault) -> Fault:
    _reshape(lab, fault)
    if lab.switch:
        background.start(lab.switch, "flap", [fault.node, json.dumps(_flap_order(lab, fault))], fault.node)
    return fault


def _flap_no_more(lab: Lab, fault: Fault) -> None:
    if lab.switch:
        background.stop(lab.switch, "flap", fault.node)
    _reshape(lab, fault)


def _flap_order(lab: Lab, fault: Fault) -> dict[str, object]:
    """Say what ``flap`` has to do: both directions of the link at once."""
    node = machine_of(lab, fault.node)
    links = [(init_of(node), "eth0")]
    if lab.switch:
        links.append((lab.switch, wiring.port_name(node)))
    orders = []
    for init, device in links:
        down, up = wiring.flap_lines(lab, device)
        # While a shape is made anew, changing it fails: it goes on all the same.
        tc = [machine.tool("tc"), "-force", "-batch", "-"]
        argv = [machine.tool("nsenter"), f"--net=/proc/{init.pid}/ns/net", *tc]
        orders.append({"argv": argv, "down": down, "up": up})
    return {"every_s": fault.amount or _SECONDS.default, "links": orders}


def _lose(lab: Lab, fault: Fault) -> Fault:
    share = round((fault.amount or 0) / 100 * _OF)
    for init, table, device in _far_ends(lab, fault):
        lines = [
            f"add table inet {table}",
            f"add chain inet {table} lost {{ type filter hook prerouting priority -300; }}",
            f'add rule inet {table} lost iifname "{device}" numgen random mod {_OF} < {share} drop',
        ]
        in_network(init, ["nft", "-f", "-"], lines, host=fault.node)
    return fault


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
    ends = []
    if fault.kind != "lossy-out":
        ends.append((init_of(node), table, "eth0"))
    if fault.kind != "lossy-in" and lab.switch:
        ends.append((lab.switch, f"{table}_{node.name}", wiring.port_name(node)))
    return ends


LINK_FAULTS = {
    "bursty": FaultKind(
        "its link has its rate after a rest, and soon a tenth of it", _reshape, _reshape_back
    ),
    "flapping": FaultKind(
        "its link has its rate and a fifteenth of it in turns, each for 0.5 s or SECONDS",
        _flap,
        _flap_no_more,
        amount=_SECONDS,
    ),
    "lossy": FaultKind("loses so much of what it sends and is sent", _lose, _lose_no_more, amount=_PERCENT),
    "lossy-in": FaultKind("loses so much of what it is sent", _lose, _lose_no_more, amount=_PERCENT),
    "lossy-out": FaultKind("loses so much of what it sends", _lose, _lose_no_more, amount=_PERCENT),
    "slow-in": FaultKind("receives at a tenth of the rate", _reshape, _reshape_back),
    "slow-nic": FaultKind("sends and receives at a tenth of the rate", _reshape, _reshape_back),
    "slow-out": FaultKind("sends at a tenth of the rate", _reshape, _reshape_back),
    "slow-pair": FaultKind("a tenth of the rate between the two", _reshape, _reshape_back, paired=True),
    "slow-to": FaultKind("a tenth of the rate to the other, not back", _reshape, _reshape_back, paired=True),
}
