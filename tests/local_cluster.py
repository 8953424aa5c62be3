"""A cluster without a lab: each node is a home on this machine, and its scripts run in a local shell.

``local_cluster(folder, nodes=3)`` makes the homes and a cluster file; what its ``context()`` gives goes to
any command of ``clusterboot.commands``. Logins between the nodes are answered by ``local/ssh.sh``, which
looks at what ssh and sshd would look at: configuration, known_hosts, keys, certificates and
authorized_keys. Needs no root and no network, and leaves nothing outside ``folder``.
"""

from __future__ import annotations

import base64
import os
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ed25519
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from clusterboot.checks.ready import Ready
from clusterboot.checks.subjects import Planned
from clusterboot.facts.node import NodeFacts
from clusterboot.hostfiles.slots import AddressPlan, NodeAddress, Slot
from clusterboot.inventory.loader import load
from clusterboot.mpi.launcher import Mpi
from clusterboot.session.context import Context
from clusterboot.session.local import LocalHome, locally

_SSH = Path(__file__).parent / "local/ssh.sh"
_NETWORK = "10.77.0."
# As iproute2 prints a node's two interfaces; the nodes have nothing of this machine's own network.
_IP = """#!/bin/sh
cat <<'END'
1: lo: <LOOPBACK,UP,LOWER_UP> mtu 65536 qdisc noqueue state UNKNOWN group default qlen 1000
    inet 127.0.0.1/8 scope host lo
2: ib0: <BROADCAST,MULTICAST,UP,LOWER_UP> mtu 9000 qdisc mq state UP group default qlen 1000
    link/ether 02:00:00:00:00:{number:02x} brd ff:ff:ff:ff:ff:ff
    veth
    inet {address}/24 brd 10.77.0.255 scope global ib0
END
"""
_OPERATOR = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIKUvXTsdWPZ9+O3yh4Yfn0PBIVXkz0i2Q1JMdGsgqG3E operator\n"


@dataclass(frozen=True)
class LocalCluster:
    """Homes by the names of their nodes, and the operator's own folder."""

    folder: Path
    homes: dict[str, LocalHome]

    @property
    def cluster_file(self) -> Path:
        return self.folder / "cluster.yaml"

    def home(self, name: str) -> Path:
        """Where a node's home is."""
        return self.homes[name].path

    def address(self, name: str) -> str:
        """A node's address on the interconnect."""
        return self.homes[name].env["ADDRESS"]

    def put(self, name: str, file: str, content: bytes) -> Path:
        """Write a file below a node's ``.ssh``, as its user would have it."""
        path = self.home(name) / ".ssh" / file
        path.write_bytes(content)
        path.chmod(0o600)
        return path

    def context(self, operator: str = "first", *, exclude: str | None = None, **options: Any) -> Context:
        """Make what a command starts from: an operator's own state, and the way to the homes."""
        options.setdefault("reach", locally(self.homes))
        cluster = load(self.cluster_file, exclude=exclude, ssh_config=self.folder / "ssh_config")
        return Context(cluster, self.folder / operator / "state", self.folder / operator, **options)

    def without(self, *names: str) -> dict[str, LocalHome]:
        """The homes of the other nodes, for :func:`locally`: these are away."""
        return {name: home for name, home in self.homes.items() if name not in names}

    def own_lines(self, name: str) -> list[str]:
        """The lines of clusterboot's in a node's ``authorized_keys``."""
        text = (self.home(name) / ".ssh/authorized_keys").read_text(encoding="utf-8", errors="replace")
        return [line for line in text.splitlines() if " clusterboot:local" in line]

    def ssh(self, source: str, target: str, command: str) -> subprocess.CompletedProcess[str]:
        """Log in from one node to another, as its user does."""
        home = self.homes[source]
        program = self.folder / "nodes" / source / "bin/ssh"
        env = {**home.env, "HOME": str(home.path)}
        return subprocess.run(
            [program, target, command], env=env, capture_output=True, text=True, check=False
        )

    def program(self, name: str, program: str, text: str) -> None:
        """Put a program before all others on a node's search path."""
        _program(self.folder / "nodes" / name / "bin" / program, text)

    def variable(self, name: str, variable: str, value: str) -> None:
        """Set a variable in what a node's scripts find set."""
        home = self.homes[name]
        self.homes[name] = replace(home, env={**home.env, variable: value})

    def contents(self) -> dict[str, tuple[int, bytes | str]]:
        """Everything in all homes: each file's mode and bytes, each link's target."""
        found: dict[str, tuple[int, bytes | str]] = {}
        for name in self.homes:
            for path in sorted(self.home(name).rglob("*")):
                what: bytes | str = "folder"
                if path.is_symlink():
                    what = str(path.readlink())
                elif path.is_file():
                    what = path.read_bytes()
                mode = path.lstat().st_mode
                found[f"{name}/{path.relative_to(self.home(name))}"] = (mode, what)
        return found


def local_cluster(
    folder: Path, nodes: int = 3, *, shared_home: bool = False, options: str = ""
) -> LocalCluster:
    """Make a cluster of homes ``n1``, ``n2``, … below ``folder``.

    Parameters: with ``shared_home`` all nodes have one; ``options`` are lines for the cluster file's
    ``clusterboot`` block.
    Returns: the cluster; each home has an ``authorized_keys`` with the operator's line.
    """
    homes = {}
    names = [f"n{number}" for number in range(1, nodes + 1)]
    for number, name in enumerate(names, 1):
        address, bin_dir = f"{_NETWORK}{number}", folder / "nodes" / name / "bin"
        home = folder / "nodes" / (names[0] if shared_home else name) / "home"
        _program(bin_dir / "ip", _IP.format(number=number, address=address))
        _program(bin_dir / "ssh", _SSH.read_text(encoding="utf-8"))
        key = ed25519.Ed25519PrivateKey.generate().public_key()
        public = key.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()
        (home / ".ssh").mkdir(mode=0o700, parents=True, exist_ok=True)
        authorized = home / ".ssh/authorized_keys"
        authorized.write_text(_OPERATOR)
        authorized.chmod(0o600)
        there = folder / "addresses" / address
        there.mkdir(parents=True)
        (there / "home").symlink_to(home)
        (there / "bin").symlink_to(bin_dir)
        (there / "host_key.pub").write_text(f"{public}\n")
        env = {
            "PATH": f"{bin_dir}:{os.environ['PATH']}",
            "USER": "operator",
            "LOGNAME": "operator",
            "ADDRESS": address,
            "LOCAL_CLUSTER": str(folder / "addresses"),
            "REAL_SSH": shutil.which("ssh") or "ssh",
        }
        homes[name] = LocalHome(home, base64.b64decode(public.split()[1]), env)
    cluster = LocalCluster(folder, homes)
    (folder / "ssh_config").touch()
    listed = "".join(f"    - {name}\n" for name in names)
    head = f"type: fleet\nname: local\nssh_config:\n  user: operator\n  network: {_NETWORK}0/24\n  hosts:\n"
    block = f"clusterboot:\n{options}" if options else ""
    cluster.cluster_file.write_text(head + listed + block)
    return cluster


def planned(facts: Mapping[str, NodeFacts], **more: Any) -> Planned:
    """Make the launch that a check judges, of one rank on each node.

    Parameters: the nodes' facts by name, of :func:`local_cluster` in their order; ``more`` are further
    fields of :class:`Planned`.
    """
    ip = {name: f"{_NETWORK}{number}" for number, name in enumerate(facts, 1)}
    addresses = tuple(NodeAddress(name, each, "ib0") for name, each in ip.items())
    plan = AddressPlan(addresses, None, (), "ssh_config.network")
    ready = Ready(facts, plan, Mpi("openmpi", "4.1.4", "/usr/bin/mpirun"), next(iter(facts), ""))
    return Planned(ready, **{"slots": tuple(Slot(name, each, 1) for name, each in ip.items()), **more})


def _program(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    path.chmod(0o755)
