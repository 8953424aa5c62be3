"""The daemons of a lab's Slurm: munged on each machine, slurmctld on the head, slurmd on the nodes."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from clusterboot.errors import ClusterbootError

from . import machine, process
from .description import HEAD, PARTITION, USER, Lab, LabNode
from .enter import init_of, run_inside
from .slurm_files import OWN, own_folder

# Nothing is outside the machine's own folders. munged looks at who may write to those of its files.
_MUNGED_OPTIONS = (
    *("--force", "--pid-file=/run/munge/munged.pid"),
    *(f"--log-file={OWN}/munged.log", f"--seed-file={OWN}/munged.seed"),
)
_MUNGED_FIRST = 'mkdir -p /run/munge && exec "$@"'
_UP_WITHIN_S = 600.0
_LOOK_S = 0.1
_AT_ONCE = 8
_LAST_LINES = 3


def start_all(lab: Lab) -> None:
    """Start all daemons of a lab that has none, and wait until every node is idle.

    Errors: ``ClusterbootError`` that names the machine and the daemon, with the end of the daemon's log.
    """
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        for done in [pool.submit(_start_on, lab, node) for node in lab.machines]:
            done.result()
    _wait_for_nodes(lab)


def _start_on(lab: Lab, node: LabNode) -> None:
    _start(lab, node, "munged", ["sh", "-c", _MUNGED_FIRST, "sh", machine.tool("munged"), *_MUNGED_OPTIONS])
    if node.name == HEAD:
        # slurmctld writes there as the user that it runs as.
        os.chown(own_folder(lab, node) / "ctl", lab.uid, lab.uid)
        _start(lab, node, "slurmctld", [machine.tool("slurmctld")], USER if lab.user == USER else None)
        _wait_for_controller(lab)
    else:
        _start(lab, node, "slurmd", [machine.tool("slurmd"), "-N", node.name])


def _wait_for_nodes(lab: Lab) -> None:
    """Wait until slurmctld has all nodes as idle, and no node's slurmd has ended."""
    nodes = {node.name: node for node in lab.nodes}
    deadline_s = time.monotonic() + _UP_WITHIN_S
    while late := [name for name, state in _states(lab).items() if state != "idle"]:
        for name in late:
            if not _runs(nodes[name], "slurmd"):
                raise _failure(lab, nodes[name], "slurmd")
        if time.monotonic() > deadline_s:
            cause = f"slurmctld did not have it as idle within {_UP_WITHIN_S:g} s"
            raise ClusterbootError(cause, host=late[0])
        time.sleep(_LOOK_S)


def _states(lab: Lab) -> dict[str, str]:
    """Ask slurmctld for the state of each node, as ``sinfo`` writes it in short."""
    done = run_inside(
        lab.head, ["sinfo", "--noheader", "--Node", "--format=%N %t", f"--partition={PARTITION}"]
    )
    if done.returncode != 0:
        raise ClusterbootError(f"sinfo failed: {' '.join(done.stderr.split())}", host=HEAD)
    return dict(line.split() for line in done.stdout.splitlines())


def _wait_for_controller(lab: Lab) -> None:
    deadline_s = time.monotonic() + _UP_WITHIN_S
    while "is UP" not in run_inside(lab.head, ["scontrol", "ping"]).stdout:
        if not _runs(lab.head, "slurmctld") or time.monotonic() > deadline_s:
            raise _failure(lab, lab.head, "slurmctld")
        time.sleep(_LOOK_S)


def _start(lab: Lab, node: LabNode, daemon: str, argv: Sequence[str], user: str | None = None) -> None:
    done = run_inside(node, argv, user)
    if done.returncode != 0:
        raise _failure(lab, node, daemon, done.stderr)


def _runs(node: LabNode, daemon: str) -> bool:
    return any(command == daemon for _, command in process.inside(init_of(node)))


def _failure(lab: Lab, node: LabNode, daemon: str, said: str = "") -> ClusterbootError:
    path = own_folder(lab, node) / ("ctl" if daemon == "slurmctld" else "") / f"{daemon}.log"
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    bad = [line for line in lines if "error" in line.lower() or "fatal" in line.lower()]
    told = " ".join(" / ".join([*said.splitlines(), *(bad or lines)[-_LAST_LINES:]]).split())
    return ClusterbootError(
        f"{daemon} did not start: {told or 'it says nothing'}",
        host=node.name,
        remedy="install the packages that script/packages has for slurm, all from one distribution",
    )
