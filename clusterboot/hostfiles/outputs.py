"""The files of a cluster's hostfile folder: their texts, and writing them old or new, never half."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from clusterboot.errors import PartialError
from clusterboot.facts.node import NodeFacts
from clusterboot.files import make_folder, replace
from clusterboot.inventory.cluster import Options
from clusterboot.mpi.launchers import LAUNCHERS
from clusterboot.session.visit import Visit

from .slots import AddressPlan, Excluded, Slot
from .ssh import render_known_hosts, render_ssh_config


def slots(facts: NodeFacts, options: Options) -> int:
    """Say how many ranks a node takes: the cluster file's word, else its GPUs, else one.

    Without it Open MPI would count cores, which fits no benchmark of the interconnect.
    """
    return options.slots or len(facts.gpu.gpus) or 1


def render_all(lines: Sequence[Slot]) -> dict[str, str]:
    """Write the hostfile of each MPI, by its kind."""
    return {kind: launcher.hostfile(lines) for kind, launcher in LAUNCHERS.items()}


def render_excluded(hosts: Sequence[Excluded]) -> str:
    """Write one line for each host that stands in no hostfile: ``gpu007: the reason``."""
    return "".join(f"{host.host}: {' '.join(host.reason.split())}\n" for host in hosts)


def slots_of(visit: Visit, facts: Mapping[str, NodeFacts], addresses: AddressPlan) -> tuple[Slot, ...]:
    """List the hosts that may be launched on, with address and slots, in the cluster's order."""
    ip = addresses.ip
    options = visit.cluster.options
    return tuple(Slot(host.name, ip[host.name], slots(facts[host.name], options)) for host in visit.good)


def hostfile_texts(
    visit: Visit, facts: Mapping[str, NodeFacts], addresses: AddressPlan, folder: Path
) -> dict[str, str]:
    """Write every file of ``hostfiles/NAME``, which is ``folder``, as text by its name there."""
    logins = dict.fromkeys(login for host in visit.cluster.hosts for login in (*host.via, host.login))
    pins = {login.hostkey_name: keys for login in logins if (keys := visit.fleet.host_keys(login))}
    excluded = tuple(
        Excluded(result.name, f"{result.stage}: {result.cause}")
        for result in visit.ledger.rows
        if result.status != "ok"
    )
    return {
        **render_all(slots_of(visit, facts, addresses)),
        "excluded": render_excluded(excluded),
        "ssh_config": render_ssh_config(visit.cluster, (folder / "known_hosts").resolve()),
        "known_hosts": render_known_hosts(pins),
        "nodes.json": json.dumps({name: asdict(node) for name, node in facts.items()}, indent=1) + "\n",
    }


def changes(folder: Path, files: Mapping[str, str]) -> tuple[str, ...]:
    """Say which of ``files`` (text by name) are not in ``folder`` with these very bytes; change nothing.

    Errors: ``PartialError`` at stage ``hostfile`` where a file is there and cannot be read.
    """
    return tuple(name for name, text in files.items() if _current(folder / _plain(name)) != text.encode())


def write(folder: Path, files: Mapping[str, str]) -> tuple[str, ...]:
    """Write ``files`` (text by name) into ``folder``, making it where it is missing.

    Each file is written beside its place, flushed to disk and renamed over it. A file that has
    these bytes already keeps its inode and time.
    Returns: the names of the files that changed, in order.
    Errors: ``PartialError`` at stage ``hostfile`` where the disk or its permissions do not allow it;
    files already renamed stay.
    """
    changed = changes(folder, files)
    try:
        if changed:
            make_folder(folder, mode=0o755)
        for name in changed:
            # Nothing in these files is secret, and mpirun may run as another user.
            replace(folder / name, files[name].encode(), mode=0o644)
    except OSError as error:
        raise _failed(f"{folder} cannot be written: {error.strerror}") from error
    return changed


def _plain(name: str) -> str:
    if not name or name.startswith(".") or "/" in name or "\0" in name:
        raise ValueError(f"{name!r} is no plain file name")
    return name


def _current(path: Path) -> bytes | None:
    """Read a regular file; anything else in its place counts as something to replace."""
    try:
        return path.read_bytes() if path.is_file() and not path.is_symlink() else None
    except OSError as error:
        raise _failed(f"{path} cannot be read: {error.strerror}") from error


def _failed(cause: str) -> PartialError:
    return PartialError(cause, stage="hostfile", remedy="check the folder's permissions and free space")
