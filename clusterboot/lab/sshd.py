"""A machine's sshd, seen from outside: its processes, its start, its end."""

from __future__ import annotations

from pathlib import Path

from clusterboot.errors import ClusterbootError

from . import machine, process
from .description import LabNode, Process
from .enter import init_of, run_inside

#: The names of sshd's processes, in its several versions.
COMMANDS = ("sshd", "sshd-session", "sshd-auth")

#: Where sshd writes what it does, inside each machine: there is no syslog.
LOG = "/run/sshd.log"

# An old pid file would look like a sign that the new sshd listens. 20,000 times 5 ms are 100 s.
_START = """\
rm -f /run/sshd.pid
"$0" -E "$1" || exit
n=0
until [ -s /run/sshd.pid ]; do
    n=$((n + 1))
    [ $n -lt 20000 ] || exit 1
    sleep 0.005
done
"""


def processes(node: LabNode) -> list[Process]:
    """List the machine's sshd processes: the one that listens, and those of its sessions."""
    return [found for found, command in process.inside(init_of(node)) if command in COMMANDS]


def listener(node: LabNode) -> Process | None:
    """Find the sshd that listens: the one that its pid file, as seen from inside, names."""
    try:
        text = Path(f"/proc/{init_of(node).pid}/root/run/sshd.pid").read_text(encoding="ascii")
        number = int(text)
    except (OSError, ValueError):
        return None
    return next((found for found in processes(node) if process.inner_pid(found) == number), None)


def close(node: LabNode) -> None:
    """End the sshd that listens; its sessions go on."""
    found = listener(node)
    process.kill([found] if found else [])


def start(node: LabNode) -> None:
    """Start sshd where none listens, and wait until it does."""
    if not listener(node):
        checked(node, ["sh", "-c", _START, machine.tool("sshd"), LOG])


def restart(node: LabNode) -> None:
    """Have sshd read its files anew; where none listens, none is started."""
    if listener(node):
        close(node)
        start(node)


def checked(node: LabNode, argv: list[str], text: str = "") -> None:
    """Run ``argv`` inside a machine as root.

    Errors: ``ClusterbootError`` with what it said, where it fails.
    """
    result = run_inside(node, argv, text=text)
    if result.returncode != 0:
        said = " ".join(result.stderr.split())
        raise ClusterbootError(f"{argv[0]} failed inside the machine: {said}", host=node.name)
