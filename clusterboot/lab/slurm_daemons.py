"""The daemons of a lab's Slurm: munged on each machine, slurmctld on the head, slurmd on the nodes."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from clusterboot.errors import ClusterbootError

from . import machine, process
from .description import HEAD, PARTITION, USER, Lab, LabNode, Process
from .enter import init_of, run_inside
from .slurm_files import OWN, own_folder, slurm_user

#: The names of Slurm's processes, those of its jobs' steps included.
COMMANDS = ("munged", "slurmctld", "slurmd", "slurmstepd")

# Nothing is outside the machine's own folders. munged looks at who may write to those of its files.
_MUNGED = (
    *("munged", "--force", "--pid-file=/run/munge/munged.pid"),
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
    _each(lab, lab.machines)
    wait_for_nodes(lab, lab.nodes)


def start_on(lab: Lab, node: LabNode) -> None:
    """Start what a machine should run and does not: munged, and its own of Slurm's daemons.

    Errors: as :func:`start_all`.
    """
    running = {command for _, command in process.inside(init_of(node))}
    if "munged" not in running:
        _start(lab, node, ["sh", "-c", _MUNGED_FIRST, "sh", machine.tool("munged"), *_MUNGED[1:]])
    if node.name == HEAD and "slurmctld" not in running:
        _own_state(lab)
        _start(lab, node, [machine.tool("slurmctld")], USER if slurm_user(lab) == USER else None)
        _wait_for_controller(lab)
    elif node.name != HEAD and "slurmd" not in running:
        _start(lab, node, [machine.tool("slurmd"), "-N", node.name])


def _each(lab: Lab, nodes: Sequence[LabNode]) -> None:
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        for done in [pool.submit(start_on, lab, node) for node in nodes]:
            done.result()


def stop(node: LabNode, *commands: str) -> None:
    """End the machine's processes of these names, among :data:`COMMANDS`, and with slurmstepd its job's."""
    process.kill(_named(node, commands))


def wait_for_nodes(lab: Lab, nodes: Iterable[LabNode]) -> None:
    """Wait until slurmctld has nodes as idle.

    Errors: as :func:`start_all`, where a node's slurmd has ended or none came in time.
    """
    wanted = {node.name: node for node in nodes}
    deadline_s = time.monotonic() + _UP_WITHIN_S
    while late := [name for name, state in states(lab).items() if name in wanted and state != "idle"]:
        for name in late:
            if not _named(wanted[name], ("slurmd",)):
                raise _failure(lab, wanted[name], "slurmd")
        if time.monotonic() > deadline_s:
            cause = f"slurmctld did not have it as idle within {_UP_WITHIN_S:g} s"
            raise ClusterbootError(cause, host=late[0])
        time.sleep(_LOOK_S)


def states(lab: Lab) -> dict[str, str]:
    """Ask slurmctld for the state of each node, as ``sinfo`` writes it in short."""
    said = on_head(lab, ["sinfo", "--noheader", "--Node", "--format=%N %t", f"--partition={PARTITION}"])
    return dict(line.split() for line in said.splitlines())


def on_head(lab: Lab, argv: Sequence[str]) -> str:
    """Run one of Slurm's commands on the head as root.

    Returns: what it printed. Errors: ``ClusterbootError`` with what it said, where it fails.
    """
    done = run_inside(lab.head, argv)
    if done.returncode != 0:
        raise ClusterbootError(f"{argv[0]} failed: {' '.join(done.stderr.split())}", host=HEAD)
    return done.stdout


def _wait_for_controller(lab: Lab) -> None:
    deadline_s = time.monotonic() + _UP_WITHIN_S
    while "is UP" not in run_inside(lab.head, ["scontrol", "ping"]).stdout:
        if not _named(lab.head, ("slurmctld",)) or time.monotonic() > deadline_s:
            raise _failure(lab, lab.head, "slurmctld")
        time.sleep(_LOOK_S)


def _start(lab: Lab, node: LabNode, argv: Sequence[str], user: str | None = None) -> None:
    done = run_inside(node, argv, user)
    if done.returncode != 0:
        daemon = next(Path(word).name for word in argv if Path(word).name in COMMANDS)
        raise _failure(lab, node, daemon, done.stderr)


def _named(node: LabNode, commands: Sequence[str]) -> list[Process]:
    return [found for found, command in process.inside(init_of(node)) if command in commands]


def _own_state(lab: Lab) -> None:
    """Give slurmctld's folder to the user that it runs as."""
    folder = own_folder(lab, lab.head) / "ctl"
    uid = lab.uid if slurm_user(lab) == lab.user else 0
    for path in (folder, *folder.rglob("*")):
        os.chown(path, uid, uid, follow_symlinks=False)


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
