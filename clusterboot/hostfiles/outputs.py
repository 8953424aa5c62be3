"""The texts of a cluster's hostfile folder, from what is known of its nodes."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from pathlib import Path

from clusterboot import hostfiles
from clusterboot.facts import to_json
from clusterboot.facts.node import NodeFacts
from clusterboot.session.visit import Visit
from clusterboot.ssh.knownhosts import key_type_of

from . import AddressPlan, Excluded, Slot


def slots_of(visit: Visit, facts: Mapping[str, NodeFacts], addresses: AddressPlan) -> tuple[Slot, ...]:
    """List the hosts that may be launched on, with address and slots, in the cluster's order."""
    ip = {entry.host: entry.ip for entry in addresses.addresses}
    options = visit.cluster.options
    return tuple(
        Slot(host.name, ip[host.name], hostfiles.slots(facts[host.name], options)) for host in visit.good
    )


def hostfile_texts(
    visit: Visit, facts: Mapping[str, NodeFacts], addresses: AddressPlan, folder: Path
) -> dict[str, str]:
    """Write every file of ``hostfiles/NAME``, which is ``folder``, as text by its name there."""
    slots = slots_of(visit, facts, addresses)
    excluded = tuple(
        Excluded(result.name, f"{result.stage}: {result.cause}")
        for result in visit.ledger.rows
        if result.status != "ok"
    )
    return {
        **hostfiles.render_all(slots),
        "excluded": hostfiles.render_excluded(excluded),
        "ssh_config": hostfiles.render_ssh_config(visit.cluster, (folder / "known_hosts").resolve()),
        "known_hosts": hostfiles.render_known_hosts(_pins(visit)),
        "nodes.json": json.dumps({name: to_json(node) for name, node in facts.items()}, indent=1) + "\n",
    }


def _pins(visit: Visit) -> dict[str, list[str]]:
    pins: dict[str, list[str]] = {}
    for login in dict.fromkeys(login for host in visit.cluster.hosts for login in (*host.via, host.login)):
        blobs = visit.fleet.host_keys(login)
        if blobs:
            pins[login.hostkey_name] = [
                f"{key_type_of(blob)} {base64.b64encode(blob).decode()}" for blob in blobs
            ]
    return pins
