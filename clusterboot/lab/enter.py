"""Running commands inside a lab's machines."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence

from clusterboot.errors import ClusterbootError, UsageError

from . import machine
from .description import UID, USER, Lab, LabNode, Process

_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def machine_of(lab: Lab, name: str) -> LabNode:
    """Give a lab's head or node by name. Errors: ``UsageError`` for a name that it does not have."""
    for candidate in lab.machines:
        if candidate.name == name:
            return candidate
    remedy = f"use head, or n1 to n{len(lab.nodes)}"
    raise UsageError(f"the lab '{lab.name}' has no node '{name}'", remedy=remedy)


def init_of(node: LabNode) -> Process:
    """Give a machine's process 1. Errors: ``ClusterbootError`` where it does not run."""
    if node.init is None:
        raise ClusterbootError("this machine does not run", host=node.name)
    return node.init


def switch_of(lab: Lab) -> Process:
    """Give the switch of a running lab. Errors: ``ClusterbootError`` where it does not run."""
    if lab.switch is None:
        raise ClusterbootError(f"the lab '{lab.name}' has no switch")
    return lab.switch


def enter_argv(init: Process, argv: Sequence[str], user: str | None = None) -> list[str]:
    """Build the command that runs ``argv`` inside the machine of ``init``, as root or as its ``user``."""
    nsenter = [machine.tool("nsenter"), "--target", str(init.pid)]
    # The root of the machine's process 1, whatever its mount namespace's may be.
    spaces = ["--root", "--mount", "--uts", "--ipc", "--net", "--pid"]
    env = ["/usr/bin/env", "-i"]
    both = [f"PATH={_PATH}", "LANG=C.UTF-8"]
    if user is None:
        return [*nsenter, *spaces, *env, "--chdir=/", *both, "HOME=/root", "USER=root", *argv]
    home = f"/home/{USER}"
    ids = [f"--setuid={UID}", f"--setgid={UID}"]
    who = [f"HOME={home}", f"USER={USER}", f"LOGNAME={USER}"]
    return [*nsenter, *spaces, *ids, *env, f"--chdir={home}", *both, *who, *argv]


def run_inside(
    node: LabNode,
    argv: Sequence[str],
    user: str | None = None,
    text: str = "",
    timeout_s: float | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run ``argv`` inside a machine of a running lab, with ``text`` on its standard input.

    Errors: ``UsageError`` for a user that the machine does not have; ``ClusterbootError`` where the
    machine does not run; ``subprocess.TimeoutExpired`` after ``timeout_s`` seconds.
    """
    if user not in (None, "root", USER):
        cause, remedy = f"a lab's machine has no user '{user}'", f"use root or {USER}"
        raise UsageError(cause, host=node.name, remedy=remedy)
    command = enter_argv(init_of(node), argv, None if user == "root" else user)
    return subprocess.run(command, input=text, capture_output=True, text=True, check=False, timeout=timeout_s)


def in_network(
    init: Process, argv: Sequence[str], lines: Sequence[str] = (), host: str | None = None
) -> None:
    """Run one of the machine's own tools in the network of ``init``, with ``lines`` on standard input.

    Errors: ``ClusterbootError`` with what the tool said, where it fails.
    """
    name, *rest = argv
    command = [machine.tool("nsenter"), f"--net=/proc/{init.pid}/ns/net", machine.tool(name), *rest]
    machine.run(command, "".join(f"{line}\n" for line in lines), host=host)


def ip(init: Process, lines: Sequence[str]) -> None:
    """Have ``ip`` carry out lines in the network of ``init``; errors as for :func:`in_network`."""
    in_network(init, ["ip", "-batch", "-"], lines)
