"""A virtual cluster on this machine: namespaces, real sshd, shaped links.

It never touches the machine's own sshd, ``~/.ssh`` or routes but the one to its head, and
``down`` leaves nothing.
"""

from __future__ import annotations

import shlex
import subprocess
from collections.abc import Sequence
from pathlib import Path

from .description import Fault, Lab, LabNode, LabStatus, NodeStatus, Process
from .enter import machine_of, run_inside
from .faults import FAULTS, break_node, mend
from .faults.kinds import FaultKind
from .life import cluster_file, down, find, running, status, up
from .machine import obstacle

__all__ = [
    "FAULTS",
    "Fault",
    "FaultKind",
    "Lab",
    "LabNode",
    "LabStatus",
    "NodeStatus",
    "Process",
    "break_node",
    "cluster_file",
    "down",
    "find",
    "login_command",
    "mend",
    "node_exec",
    "node_home",
    "obstacle",
    "running",
    "status",
    "up",
]


def node_exec(
    name: str,
    node: str,
    argv: Sequence[str],
    user: str | None = None,
    *,
    text: str = "",
    timeout_s: float | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run ``argv`` inside a node (or ``head``) of a running lab, past its sshd.

    Parameters: ``user`` is root where it is ``None``, else the lab's user, in whose home it runs then;
    ``text`` goes to standard input.
    Returns: the completed process, whatever its exit code. Errors: ``UsageError`` for a lab, node or
    user that there is not; ``subprocess.TimeoutExpired`` after ``timeout_s`` seconds.
    """
    return run_inside(machine_of(find(name), node), argv, user, text, timeout_s)


def login_command(name: str) -> str:
    """Give the ssh command that logs in to the head of a running lab, whose host key it knows.

    Errors: ``UsageError`` for a lab that there is not.
    """
    lab = find(name)
    pins = f"UserKnownHostsFile={lab.folder / 'known_hosts'}"
    return shlex.join(
        ["ssh", "-i", str(lab.folder / "head_key"), "-o", pins, f"{lab.user}@{lab.head_address}"]
    )


def node_home(name: str, node: str) -> Path:
    """Give the folder on this machine that a node (or ``head``) has as its user's home.

    Errors: ``UsageError`` for a lab or node that there is not.
    """
    lab = find(name)
    return lab.home(machine_of(lab, node).name)
