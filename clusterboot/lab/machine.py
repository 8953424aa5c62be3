"""The machine that a lab runs on: what it must have, who asks, and which routes it knows."""

from __future__ import annotations

import fcntl
import json
import os
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from ipaddress import IPv4Network
from pathlib import Path
from typing import NoReturn

from clusterboot.errors import ClusterbootError, UsageError

# A tool, and the package that Debian and Ubuntu have it in: as in script/packages.
TOOLS = {
    "sshd": "openssh-server",
    "ssh-keygen": "openssh-client",
    "ip": "iproute2",
    "tc": "iproute2",
    "nsenter": "util-linux",
    "sleep": "coreutils",
    "nft": "nftables",
    "mpirun": "openmpi-bin",
    "mpicc": "libopenmpi-dev",
    "chattr": "e2fsprogs",
}
# What a lab with Slurm needs besides, also as in script/packages.
SLURM_TOOLS = {
    "slurmctld": "slurmctld",
    "slurmd": "slurmd",
    "srun": "slurm-client",
    "munged": "munge",
}

# Root's tools are not on everybody's PATH.
_PATH = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/local/sbin", "/usr/sbin", "/sbin"])

# The program that starts a lab's machines.
SPAWNER = (sys.executable, "-I", "-S", str(Path(__file__).with_name("spawn.py")))

_PROBE_HOME = "/home/probe"
# A machine with all the mounts that one has, of folders that are everywhere.
_PROBE = {
    "hostname": "probe",
    "sysctl": {},
    "etc": [],
    "binds": [("/proc", "/etc/ssh"), ("/proc", _PROBE_HOME)],
    "tmpfs": [],
}

_ENV_KEPT = ("CLUSTERBOOT_LAB_ROOT", "CLUSTERBOOT_CLUSTER", "PYTHONPATH", "VIRTUAL_ENV", "PATH")


def tool(name: str) -> str:
    """Give the absolute path of a tool. Errors: ``UsageError`` that lists all that are missing."""
    path = shutil.which(name, path=_PATH)
    if path is None:
        raise UsageError(
            _missing_tools(slurm=name in SLURM_TOOLS) or f"{name} is missing", remedy="install it"
        )
    return path


def require(*, slurm: bool = False) -> None:
    """Make sure that a lab, or one with Slurm, can be changed here.

    Without root, the whole program is started again through ``sudo -n``, and this does not return.
    Errors: ``UsageError`` that lists every missing package at once, or asks for root.
    """
    missing = _missing_tools(slurm=slurm)
    if missing:
        packages = " ".join(sorted(set(_absent(slurm=slurm).values())))
        raise UsageError(missing, remedy=f"install them with: apt-get install {packages}")
    if os.geteuid() != 0:
        _start_again_as_root()


def obstacle(*, slurm: bool = False) -> str | None:
    """Say in words why no lab, or none with Slurm, can run here; ``None`` where it can."""
    if os.geteuid() != 0:
        return "a lab needs root"
    missing = _missing_tools(slurm=slurm)
    if missing:
        return missing
    return _why_not_isolated()


def require_isolation() -> None:
    """Make sure that a lab's machines can be kept apart from this machine: one is tried.

    Errors: ``UsageError`` with the reason.
    """
    reason = _why_not_isolated()
    if reason:
        raise UsageError(
            reason, remedy="a container needs --privileged for it; a chroot needs /proc, /sys and /dev"
        )


def _why_not_isolated() -> str | None:
    """Make a machine of a lab with no network and nothing to do, which ends at once."""
    order = {"hide": _PROBE_HOME, "tools": {}, "machines": [_PROBE]}
    text = json.dumps(order) + "\n"
    result = subprocess.run(SPAWNER, input=text, capture_output=True, text=True, check=False)
    try:
        failed = json.loads(result.stdout)["failed"]
    except ValueError:
        failed = [" ".join(result.stderr.split()) or f"exit code {result.returncode}"]
    return f"a lab's machines cannot be isolated here: {failed[0]}" if failed else None


def _absent(*, slurm: bool) -> dict[str, str]:
    wanted = {**TOOLS, **(SLURM_TOOLS if slurm else {})}
    return {name: package for name, package in wanted.items() if shutil.which(name, path=_PATH) is None}


def _missing_tools(*, slurm: bool) -> str | None:
    absent = _absent(slurm=slurm)
    return f"a lab needs what is not installed here: {', '.join(absent)}" if absent else None


def _start_again_as_root() -> NoReturn:
    sudo = shutil.which("sudo", path=_PATH)
    remedy = "run the command as root, or allow it with sudo without a password"
    if sudo is None:
        raise UsageError("a lab needs root", remedy=remedy)
    probe = subprocess.run([sudo, "-n", "true"], capture_output=True, check=False)
    if probe.returncode != 0:
        raise UsageError("a lab needs root, and sudo wants a password", remedy=remedy)
    kept = [f"{name}={os.environ[name]}" for name in _ENV_KEPT if name in os.environ]
    sys.stdout.flush()
    sys.stderr.flush()
    argv = [sudo, "-n", "env", *kept, sys.executable, *sys.orig_argv[1:]]
    os.execv(sudo, argv)  # noqa: S606


def owner() -> tuple[int, int]:
    """Give the uid and gid of the person who runs this: behind ``sudo``, whoever called it."""
    uid, gid = os.environ.get("SUDO_UID", ""), os.environ.get("SUDO_GID", "")
    if os.geteuid() == 0 and re.fullmatch(r"\d+", uid) and re.fullmatch(r"\d+", gid):
        return int(uid), int(gid)
    return os.geteuid(), os.getegid()


@contextmanager
def lock() -> Iterator[None]:
    """Let one change of a lab happen at a time on this machine.

    The lock is on the machine's network namespace itself, the thing in which subnets must not
    collide: it needs no file, and labs with different state folders share it.
    """
    descriptor = os.open("/proc/self/ns/net", os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def has_link(name: str) -> bool:
    """Say whether this machine has the network interface ``name``. /sys may be another machine's, or none."""
    try:
        socket.if_nametoindex(name)
    except OSError:
        return False
    return True


def routes() -> list[IPv4Network]:
    """List the destinations of this machine's IPv4 routes, the default route left out."""
    text = run([tool("ip"), "-json", "-4", "route", "show", "table", "all"]).stdout
    found = (str(route.get("dst", "default")) for route in json.loads(text or "[]"))
    return [IPv4Network(dst, strict=False) for dst in found if dst not in ("default", "0.0.0.0/0")]


def run(argv: Sequence[str], text: str = "", *, host: str | None = None) -> subprocess.CompletedProcess[str]:
    """Run one of the machine's tools with ``text`` on its standard input.

    Errors: ``ClusterbootError`` with what it said, where it fails.
    """
    result = subprocess.run(argv, input=text, capture_output=True, text=True, check=False)
    if result.returncode != 0:
        said = " ".join((result.stderr or result.stdout).split()) or f"exit code {result.returncode}"
        raise ClusterbootError(f"{Path(argv[0]).name} failed: {said}", host=host)
    return result
