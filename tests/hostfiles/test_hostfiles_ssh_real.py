"""Plain ``ssh -F`` with the written files, through two gateways, each hop with its own key."""

from __future__ import annotations

import getpass
import socket
import subprocess
from base64 import b64decode
from collections.abc import Iterator
from pathlib import Path

import pytest
from patience import HANGS_S
from ports import held_port

from clusterboot.hostfiles.outputs import write
from clusterboot.hostfiles.ssh import render_known_hosts, render_ssh_config
from clusterboot.inventory.cluster import Cluster, Host, Login

pytestmark = pytest.mark.lab


def new_key(path: Path) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", path], check=True)
    return path.with_name(f"{path.name}.pub").read_text()


class Machine:
    """An sshd of its own on a port of the loopback, which one key opens."""

    def __init__(self, folder: Path) -> None:
        self.host_key = new_key(folder / "host key")
        (folder / "authorized").write_text(new_key(folder / "user % key"))
        self._holder = socket.socket()
        self.port = held_port(self._holder, "127.0.0.1")
        config = folder / "sshd_config"
        config.write_text(
            f'HostKey "{folder}/host key"\nAuthorizedKeysFile "{folder}/authorized"\nStrictModes no\n'
            "PasswordAuthentication no\nKbdInteractiveAuthentication no\nUsePAM no\nPidFile none\n"
        )
        listen = f"ListenAddress=127.0.0.1:{self.port}"
        command = ["/usr/sbin/sshd", "-D", "-e", "-f", config, "-o", listen]
        self.process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        assert self.process.stderr is not None
        for line in self.process.stderr:
            if "listening on" in line:
                break
        keys = (folder / "user % key",)
        self.login = Login("127.0.0.1", getpass.getuser(), self.port, keys, identities_only=True)

    def stop(self) -> None:
        self.process.terminate()
        self.process.communicate()
        self._holder.close()


@pytest.fixture
def machines(tmp_path: Path) -> Iterator[list[Machine]]:
    Path("/run/sshd").mkdir(exist_ok=True)
    started: list[Machine] = []
    try:
        for name in ("head", "inner", "node"):
            started.append(Machine(tmp_path / name))
        yield started
    finally:
        for machine in started:
            machine.stop()


def connect(
    folder: Path, machines: list[Machine], *, pinned: list[Machine]
) -> subprocess.CompletedProcess[str]:
    head, inner, node = (machine.login for machine in machines)
    cluster = Cluster("lab", Path("cluster.yaml"), (Host("gpu001", node, via=(head, inner)),))
    pins = {
        m.login.hostkey_name: [b64decode(p.host_key.split()[1])]
        for m, p in zip(machines, pinned, strict=True)
    }
    files = {
        "ssh_config": render_ssh_config(cluster, folder / "hostfiles" / "known_hosts"),
        "known_hosts": render_known_hosts(pins),
    }
    write(folder / "hostfiles", files)
    command = ["ssh", "-F", "hostfiles/ssh_config", "-o", "BatchMode=yes", "gpu001", "echo $SSH_CONNECTION"]
    return subprocess.run(
        command,
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=HANGS_S,
        stdin=subprocess.DEVNULL,
        check=False,
    )


def test_the_node_is_reached_through_both_gateways(tmp_path: Path, machines: list[Machine]) -> None:
    done = connect(tmp_path, machines, pinned=machines)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split()[-1] == str(machines[2].port)


@pytest.mark.parametrize("hop", [0, 1, 2])
def test_another_host_key_on_any_hop_is_refused(tmp_path: Path, machines: list[Machine], hop: int) -> None:
    pinned = list(machines)
    pinned[hop] = machines[hop - 1]
    done = connect(tmp_path, machines, pinned=pinned)
    assert done.returncode == 255
    assert "Host key verification failed" in done.stderr
    assert done.stdout == ""
