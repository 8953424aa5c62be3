"""What a lab's machines are to each other and to the machine outside."""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from patience import HANGS_S

from clusterboot import lab as labs
from clusterboot.errors import UsageError
from clusterboot.lab import machine
from clusterboot.lab.enter import enter_argv

pytestmark = pytest.mark.lab

MakeLab = Callable[..., labs.Lab]


def on_all(lab: labs.Lab, *argv: str, user: str | None = None) -> list[str]:
    results = [labs.node_exec(lab.name, m.name, argv, user) for m in lab.machines]
    assert [r.stderr for r in results if r.returncode] == []
    return [r.stdout.strip() for r in results]


def ssh(config: Path, host: str, command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["ssh", "-F", str(config), host, command], capture_output=True, text=True, check=False
    )


@pytest.fixture
def ssh_config(lab: labs.Lab, tmp_path: Path) -> Path:
    config = tmp_path / "ssh_config"
    config.write_text(f"""
Host outer
    HostName {lab.head_address}
    IdentityFile {lab.folder}/head_key
Host n* 10.*
    IdentityFile {lab.folder}/node_key
    ProxyCommand ssh -F {config} -W %h:%p outer
Host *
    User ubuntu
    IdentitiesOnly yes
    IdentityAgent none
    BatchMode yes
    StrictHostKeyChecking yes
    UserKnownHostsFile {lab.folder}/known_hosts
    GlobalKnownHostsFile /dev/null
""")
    return config


def test_every_machine_is_one_of_its_own(lab: labs.Lab) -> None:
    assert on_all(lab, "hostname") == ["head", *(f"n{i}" for i in range(1, 9))]
    for own in ("/etc/machine-id", "/etc/ssh/ssh_host_ed25519_key.pub", "/etc/ssh/ssh_host_ecdsa_key.pub"):
        seen = on_all(lab, "cat", own)
        assert len(set(seen)) == 9
        assert not Path(own).exists() or Path(own).read_text().strip() not in seen


def test_nothing_of_the_outer_machine_shows(lab: labs.Lab) -> None:
    for inside in on_all(lab, "ls", "/etc/ssh"):
        assert "rsa" not in inside
    assert set(on_all(lab, "find", "/root", "/tmp", "/var/tmp", "/dev/shm", "-mindepth", "1")) == {""}
    assert set(on_all(lab, "ls", "/home")) == {"ubuntu"}
    assert set(on_all(lab, "ls", "-A", str(lab.folder.parent))) == {""}
    assert set(on_all(lab, "ls", "/sys/class/net")) == {"eth0\next0\nlo", "eth0\nlo"}


def test_a_machine_cannot_change_the_outer_one_even_as_root(lab: labs.Lab) -> None:
    places = ["/usr", "/opt", "/var/log", "/var/lib", "/"]
    script = "for place; do touch $place/clusterboot-was-here; done"
    tried = labs.node_exec(lab.name, "n1", ["sh", "-c", script, "sh", *places])

    assert tried.stderr.count("Read-only file system") == len(places)
    assert not [place for place in places if Path(place, "clusterboot-was-here").exists()]


def test_a_terminal_can_be_had(lab: labs.Lab, ssh_config: Path) -> None:
    result = subprocess.run(
        ["ssh", "-tt", "-F", str(ssh_config), "n1", "tty"], capture_output=True, text=True, check=False
    )
    assert result.stdout.strip() == "/dev/pts/0", result.stderr


def test_processes_of_one_machine_are_not_in_another(lab: labs.Lab) -> None:
    init = lab.nodes[0].init
    assert init
    with subprocess.Popen(
        enter_argv(init, ["sh", "-c", "echo $$; exec sleep 61.25"]),
        stdout=subprocess.PIPE,
        text=True,
    ) as marked:
        assert marked.stdout
        marked.stdout.readline()
        listings = on_all(lab, "sh", "-c", "cat /proc/[0-9]*/cmdline | tr '\\0' ' '")
        marked.kill()

    assert ["61.25" in listing for listing in listings] == [False, True, *[False] * 7]


def test_orphans_are_reaped(lab: labs.Lab) -> None:
    # The inner shell is orphaned to process 1; it ends when the pipe that it reads does.
    script = "mkfifo /tmp/f; (sh -c 'read x </tmp/f' &); exec 3>/tmp/f; exec 3>&-; rm /tmp/f"
    for _ in range(20):
        assert labs.node_exec(lab.name, "n1", ["sh", "-c", script]).returncode == 0

    # The last of them may be about to be.
    none = "while cat /proc/[0-9]*/status 2>/dev/null | grep -q '^State.*zombie'; do sleep 0.02; done"
    labs.node_exec(lab.name, "n1", ["sh", "-c", none], timeout_s=HANGS_S)


def test_nodes_are_out_of_reach_from_outside(lab: labs.Lab) -> None:
    (link,) = [r for r in machine.routes() if r == lab.outside]
    assert link.prefixlen == 30
    route = subprocess.run(
        ["ip", "route", "get", lab.nodes[0].address], capture_output=True, text=True, check=False
    )
    assert "cb-" not in route.stdout
    assert set(on_all(lab, "ip", "route", "show", "default")) == {""}
    # Even somebody who routes there deliberately gets nowhere: the head does not forward.
    with closing(socket.socket(socket.AF_INET, socket.SOCK_STREAM)) as outside:
        outside.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, lab.link.encode())
        outside.settimeout(0.3)
        with pytest.raises(OSError, match=r"timed out|unreachable|No route"):
            outside.connect((lab.nodes[0].address, 22))


def test_a_real_sshd_answers_with_stock_limits(lab: labs.Lab) -> None:
    with socket.create_connection((str(lab.head_address), 22)) as head:
        assert head.recv(100).startswith(b"SSH-2.0-OpenSSH_")
    effective = labs.node_exec(lab.name, "n1", ["/usr/sbin/sshd", "-T"]).stdout
    for line in ("maxstartups 10:30:100", "maxsessions 10", "logingracetime 120", "maxauthtries 6"):
        assert line in effective.splitlines()


@pytest.mark.parametrize("host", ["outer", "n1", "n8", "by address"])
def test_plain_openssh_logs_in_strictly_checked(lab: labs.Lab, ssh_config: Path, host: str) -> None:
    dialled = lab.nodes[2].address if host == "by address" else host
    result = ssh(ssh_config, dialled, "hostname; id -un; pwd; mpirun --version | head -n 1")

    name = {"outer": "head", "by address": "n3"}.get(host, host)
    assert result.stderr == ""
    assert result.stdout.splitlines()[:3] == [name, "ubuntu", "/home/ubuntu"]
    assert "mpi" in result.stdout.lower()


def test_each_key_opens_its_own_door_only(lab: labs.Lab, ssh_config: Path) -> None:
    # To a node through the right head, but with the head's key; and to the head with the node's.
    swapped = ssh_config.with_name("swapped")
    text = ssh_config.read_text()
    swapped.write_text(text.replace("head_key", "X").replace("node_key", "head_key").replace("X", "node_key"))

    for host in ("n1", "outer"):
        result = ssh(swapped, host, "true")
        assert result.returncode == 255
        assert "Permission denied (publickey)" in result.stderr


def test_nodes_know_each_other_by_name(lab: labs.Lab) -> None:
    for node in lab.nodes:
        assert {out.split()[0] for out in on_all(lab, "getent", "hosts", node.name)} == {node.address}


def test_homes_are_apart(lab: labs.Lab) -> None:
    for m in lab.machines:
        labs.node_exec(lab.name, m.name, ["sh", "-c", "cat >mark"], "ubuntu", text=m.name)
    try:
        assert [(labs.node_home(lab.name, m.name) / "mark").read_text() for m in lab.machines] == [
            m.name for m in lab.machines
        ]
    finally:
        on_all(lab, "rm", "mark", user="ubuntu")


def test_a_shared_home_is_one_for_the_nodes_and_not_the_head(make_lab: MakeLab) -> None:
    lab = make_lab(nodes=3, shared_home=True)

    labs.node_exec(lab.name, "n1", ["touch", "mark"], "ubuntu")

    assert [m.name for m in lab.machines if (labs.node_home(lab.name, m.name) / "mark").exists()] == [
        "n1",
        "n2",
        "n3",
    ]
    head, *nodes = on_all(lab, "stat", "-c", "%d:%i", "/home/ubuntu")
    assert len(set(nodes)) == 1
    assert head not in nodes


def test_what_lies_in_a_home_can_be_executed(lab: labs.Lab) -> None:
    script = "printf '#!/bin/sh\\necho ran\\n' >p && chmod +x p && ./p; rm p"
    assert labs.node_exec(lab.name, "n1", ["sh", "-c", script], "ubuntu").stdout == "ran\n"


def test_unknown_names_are_usage_errors(lab: labs.Lab) -> None:
    with pytest.raises(UsageError, match="n9"):
        labs.node_exec(lab.name, "n9", ["true"])
    with pytest.raises(UsageError, match="nobody"):
        labs.node_exec(lab.name, "n1", ["true"], "nobody")
    with pytest.raises(UsageError, match="no-such-lab"):
        labs.node_home("no-such-lab", "n1")


_MEET = """#include <mpi.h>
#include <stdio.h>
int main(int argc, char **argv)
{
    MPI_Init(&argc, &argv);
    FILE *file = fopen("ran", "w");
    MPI_Barrier(MPI_COMM_WORLD);
    MPI_Finalize();
    return !file;
}
"""


def test_mpirun_runs_over_all_nodes(lab: labs.Lab) -> None:
    # A hand-made key that n1 has and all trust; what it leaves in the homes is taken back.
    homes = [labs.node_home(lab.name, n.name) / ".ssh" for n in lab.nodes]
    before = [(home / "authorized_keys").read_bytes() for home in homes]
    made = labs.node_exec(
        lab.name, "n1", ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", ".ssh/k"], "ubuntu"
    )
    assert made.returncode == 0, made.stderr
    public = (homes[0] / "k.pub").read_bytes()
    (homes[0] / "known").write_bytes((lab.folder / "known_hosts").read_bytes())
    try:
        for home, old in zip(homes, before, strict=True):
            (home / "authorized_keys").write_bytes(old + public)
        agent = "ssh -i .ssh/k -o UserKnownHostsFile=.ssh/known -o StrictHostKeyChecking=yes"
        hosts = ",".join(f"{n.address}:1" for n in lab.nodes)
        (homes[0] / "meet.c").write_text(_MEET)
        made = labs.node_exec(lab.name, "n1", ["mpicc", "-o", ".ssh/meet", ".ssh/meet.c"], "ubuntu")
        assert made.returncode == 0, made.stderr
        program = (homes[0] / "meet").read_bytes()
        for home in homes:
            (home / "meet").write_bytes(program)
            (home / "meet").chmod(0o755)
        over = ("--mca", "btl", "tcp,self", "--mca", "btl_tcp_if_include", str(lab.network))
        # Open MPI 5.0.7 counts no slot on the host that it starts on where that is given by its address.
        ranks = ("-np", str(len(lab.nodes)), "--map-by", "ppr:1:node:oversubscribe", "--host", hosts)
        argv = ["mpirun", "--mca", "plm_rsh_agent", agent, "--mca", "pml", "ob1", *over, *ranks]
        result = labs.node_exec(lab.name, "n1", [*argv, ".ssh/meet"], "ubuntu", timeout_s=HANGS_S)
        assert result.returncode == 0, result.stderr
        assert [n.name for n in lab.nodes if not (labs.node_home(lab.name, n.name) / "ran").exists()] == []
    finally:
        for home in homes:
            for left in (home.parent / "ran", home / "meet"):
                left.unlink(missing_ok=True)
        for home, old in zip(homes, before, strict=True):
            (home / "authorized_keys").write_bytes(old)
        for name in ("k", "k.pub", "known", "meet.c"):
            (homes[0] / name).unlink(missing_ok=True)
