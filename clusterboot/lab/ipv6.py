"""A lab whose interconnect speaks IPv6 alone: no machine but the head's outer end has an IPv4 address.

The switch stays the router that it is, with permanent neighbours, so that no address has to be asked for.
Source: ip-address(8), ``nodad``; RFC 4193 for the addresses, which are nobody's.
"""

from __future__ import annotations

from ipaddress import IPv6Network

from clusterboot.errors import ClusterbootError

from . import machine_files, sshd, wiring
from .description import Fault, Lab, LabNode, Process
from .enter import in_network
from .kinds import FaultKind


def subnet(lab: Lab) -> IPv6Network:
    """Give the subnet that a lab's interconnect has while it speaks IPv6 alone."""
    return IPv6Network(((0xFD63_6C75_7374 << 80) | (lab.index << 64), 64))


def address(lab: Lab, node: LabNode) -> str:
    """Give a machine's address in :func:`subnet`: the head's is the first, and then the nodes' in order."""
    return str(subnet(lab)[lab.machines.index(node) + 1])


def _gateway(lab: Lab) -> str:
    return str(subnet(lab)[-2])


def _switch(lab: Lab) -> Process:
    if lab.switch is None:
        raise ClusterbootError(f"the lab '{lab.name}' has no switch")
    return lab.switch


def _switch_lines(lab: Lab) -> list[str]:
    lines = [f"address replace {_gateway(lab)}/128 dev lo nodad"]
    for number, machine in enumerate(lab.machines):
        port, own = wiring.port_name(machine), address(lab, machine)
        lines += [
            f"route replace {own}/128 dev {port}",
            f"neighbour replace {own} lladdr {wiring.mac(1, number)} dev {port} nud permanent",
        ]
    return lines


def _machine_lines(lab: Lab, node: LabNode) -> list[str]:
    gateway, own = _gateway(lab), address(lab, node)
    switch_mac = wiring.mac(0, lab.machines.index(node))
    return [
        "address flush dev eth0",
        f"address replace {own}/64 dev eth0 nodad noprefixroute",
        f"neighbour replace {gateway} lladdr {switch_mac} dev eth0 nud permanent",
        f"route replace {subnet(lab)} via {gateway} dev eth0 onlink src {own}",
    ]


def _speak(lab: Lab, fault: Fault) -> Fault:
    forward = "echo 1 >/proc/sys/net/ipv6/conf/all/forwarding"
    in_network(_switch(lab), ["sh", "-c", forward])
    in_network(_switch(lab), ["ip", "-batch", "-"], _switch_lines(lab))
    hosts = machine_files.hosts_text({machine.name: address(lab, machine) for machine in lab.machines})
    for machine in lab.machines:
        in_network(sshd.init_of(machine), ["ip", "-batch", "-"], _machine_lines(lab, machine))
        sshd.checked(machine, ["tee", "/etc/hosts"], hosts)
    return fault


def _speak_no_more(lab: Lab, _fault: Fault) -> None:
    hosts = machine_files.hosts_text({machine.name: machine.address for machine in lab.machines})
    for machine in lab.machines:
        lines = ["address flush dev eth0", *wiring.node_lines(lab, machine)]
        in_network(sshd.init_of(machine), ["ip", "-batch", "-"], lines)
        sshd.checked(machine, ["tee", "/etc/hosts"], hosts)


IPV6_FAULTS = {
    "ipv6-only": FaultKind(
        "all machines have IPv6 addresses and no others, the head's to the operator apart",
        _speak,
        _speak_no_more,
        on_switch=True,
    )
}
