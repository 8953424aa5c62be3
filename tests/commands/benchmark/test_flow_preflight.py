"""What is in the way of a launch, told with host and remedy before anything is launched."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest
from start_files import rewriting

import launch_mpis
from clusterboot import lab as labs
from operator_fixture import Operator

pytestmark = pytest.mark.lab

SMI = """\
#!/bin/sh
case "$*" in
--query-gpu*) n=0; while [ $n -lt COUNT ]; do
  echo "$n, NVIDIA H100 80GB HBM3, GPU-$n, 00000000:0$n:00.0, 81559, 550.54.15"; n=$((n + 1)); done;;
esac
"""


@dataclass(frozen=True)
class Site:
    """A bootstrapped lab, and who works on it."""

    lab: labs.Lab
    operator: Operator

    def cluster(self, name: str, more: str = "") -> str:
        """Write the lab's cluster file with ``more`` in its clusterboot block."""
        return str(self.operator.write(f"{name}.yaml", self.lab.cluster_file.read_text() + more))

    def root(self, node: str, script: str) -> None:
        done = labs.node_exec(self.lab.name, node, ["sh", "-ec", script])
        assert done.returncode == 0, done.stderr

    def refused(self, cluster: str, *options: str) -> dict[str, Any]:
        """Ask for a benchmark that cannot be launched; give the problems by host."""
        said = self.operator.document(
            "nccl-test", "--cluster", cluster, "-e", "8", "-n", "1", *options, expect=6
        )
        assert said["verdict"] == "could-not-launch"
        assert said["tests"] == []
        for node in self.lab.nodes:
            text = labs.node_exec(self.lab.name, node.name, ["ps", "-u", "ubuntu", "-o", "comm="]).stdout
            assert not {*launch_mpis.STARTERS, "collbench"} & set(text.split())
        failed = {host["name"] for host in said["hosts"] if host["status"] == "failed"}
        problems = {problem["host"]: problem for problem in said["problems"]}
        assert failed == set(problems) - {None}
        assert all(problem["remedy"] for problem in problems.values())
        return problems

    @contextmanager
    def spoilt(self, node: str, make: str, mend: str) -> Iterator[None]:
        self.root(node, make)
        try:
            yield
        finally:
            self.root(node, mend)

    @contextmanager
    def broken(self, node: str, fault: str) -> Iterator[None]:
        labs.break_node(self.lab.name, node, fault)
        try:
            yield
        finally:
            labs.mend(self.lab.name, node)


@pytest.fixture(scope="module")
def site(bootstrapped: Callable[[int], tuple[labs.Lab, Operator]]) -> Site:
    return Site(*bootstrapped(4))


def test_nodes_without_mpirun_are_tabled_together(site: Site) -> None:
    prefix = launch_mpis.folders()["openmpi5"]
    cluster = site.cluster("missing", f"  mpi: {{prefix: {prefix}}}\n")
    hide, show = f"mount -t tmpfs none {prefix}", f"umount {prefix}"
    with site.spoilt("n2", hide, show), site.spoilt("n3", hide, show):
        problems = site.refused(cluster)
        assert {host: problem["kind"] for host, problem in problems.items()} == {
            "n2": "missing-executable",
            "n3": "missing-executable",
        }
        assert problems["n2"]["text"] == f"it has no mpirun in {prefix} of openmpi"
        done = site.operator.run("nccl-test", "--cluster", cluster)
        assert done.returncode == 6
        shown = " ".join(done.stdout.split())
        assert f"n[2-3] failed launch: it has no mpirun in {prefix} of openmpi; install openmpi" in shown
        assert "could-not-launch: 2 nodes cannot take part, and nothing was launched" in shown


def test_another_version_on_one_node(site: Site) -> None:
    other = "printf '#!/bin/sh\\necho \"mpirun (Open MPI) 4.0.3\"\\n' >/run/other && chmod 755 /run/other"
    here = launch_mpis.system_openmpi()
    with site.spoilt("n4", f"{other} && mount --bind /run/other {here.launcher}", f"umount {here.launcher}"):
        problems = site.refused(site.cluster("version", "  mpi: {kind: openmpi}\n"))
    (host,) = problems
    assert host == "n4"
    assert problems["n4"]["text"].startswith(f"it has openmpi 4.0.3, the others openmpi {here.version}")


def test_a_daemon_that_is_gone_from_one_node(site: Site) -> None:
    daemon = launch_mpis.system_openmpi().daemon
    with site.spoilt("n2", f"mount --bind /dev/null {daemon}", f"umount {daemon}"):
        problems = site.refused(site.cluster("daemon", "  mpi: {kind: openmpi}\n"))
    assert {host: (each["kind"], each["text"]) for host, each in problems.items()} == {
        "n2": ("missing-executable", f"it has no {daemon}")
    }


def test_a_library_that_is_missing_on_one_node(site: Site) -> None:
    prefix = launch_mpis.folders()["mpich5"]
    make = (
        f"mkdir -p /run/lib && cp -a {prefix}/lib/. /run/lib && rm /run/lib/libmpi.so*"
        f" && mount --bind /run/lib {prefix}/lib"
    )
    with site.spoilt("n3", make, f"umount {prefix}/lib && rm -r /run/lib"):
        problems = site.refused(site.cluster("library", f"  mpi: {{prefix: {prefix}}}\n"))
    assert {host: each["kind"] for host, each in problems.items()} == {"n3": "missing-library"}
    # Debian 13's MPICH has one of that name in the loader's own folders, though not in ldconfig's cache:
    # its soname is libmpich.so.12.
    another = (
        rf"takes (?!{re.escape(prefix)})\S+/libmpi\.so\.12, on n1 {re.escape(prefix)}/lib/libmpi\.so\.12"
    )
    assert re.fullmatch(rf"its loader (does not find libmpi\.so\.12|{another})", problems["n3"]["text"])


def test_a_node_whose_key_was_taken_away(site: Site) -> None:
    lines = ".ssh/authorized_keys"
    take = f"cd /home/ubuntu && cp -p {lines} /run/kept && sed -i '/clusterboot:/d' {lines}"
    with site.spoilt("n3", take, f"cd /home/ubuntu && cat /run/kept >{lines}"):
        problems = site.refused(site.cluster("key"))
    assert {host: each["kind"] for host, each in problems.items()} == {"n3": "ssh"}


def test_a_pair_that_a_firewall_parts(site: Site) -> None:
    with site.broken("n2", "dead-pair:n4"):
        problems = site.refused(site.cluster("pair"))
    ((host, problem),) = problems.items()
    # Each of them may be at fault, and nobody else has anything against either.
    assert host is None
    assert re.match(r"between n[24] and n[24] a connection to port \d+ is not let through, ", problem["text"])
    assert "32768 to 60999" in problem["remedy"]


def test_a_node_whose_high_ports_are_dropped(site: Site) -> None:
    with site.broken("n3", "high-ports-dropped"):
        problems = site.refused(site.cluster("ports"))
    ((host, problem),) = problems.items()
    assert host == "n3"
    assert "n1, n2, n4" in ", ".join(sorted(problem["text"].replace(" a connection", ",").split(", ")))
    assert "timed out" in problem["text"]
    assert "32768 to 60999" in problem["remedy"]


def test_a_network_that_is_not_on_all_nodes(site: Site) -> None:
    fabric = "10.199.7.0/24"
    text = site.lab.cluster_file.read_text().replace(f"network: {site.lab.network}", f"network: {fabric}")
    for number, node in enumerate(("n1", "n2", "n4"), 1):
        site.root(node, f"ip address add 10.199.7.{number}/24 dev eth0")
    try:
        problems = site.refused(str(site.operator.write("network.yaml", text)))
    finally:
        for number, node in enumerate(("n1", "n2", "n4"), 1):
            site.root(node, f"ip address del 10.199.7.{number}/24 dev eth0")
    assert problems["n3"]["text"].startswith(f"it has no address in {fabric}, only ")


# An adapter as sysfs has it, and no more memory for it than what sshd was started with.
RDMA = """\
mkdir /run/net && mount --bind /sys/class/net /run/net && mount -t tmpfs none /sys/class
mkdir /sys/class/net && mount --bind /run/net /sys/class/net
port=/sys/class/infiniband/mlx5_0/ports/1 && mkdir -p $port
echo '4: ACTIVE' >$port/state && echo '400 Gb/sec (4X NDR)' >$port/rate && echo InfiniBand >$port/link_layer
prlimit --pid "$(cat /run/sshd.pid)" --memlock=4194304:
"""
NO_RDMA = """\
umount /sys/class/net /sys/class /run/net && rmdir /run/net
sshd=$(cat /run/sshd.pid)
prlimit --pid "$sshd" --memlock="$(prlimit --pid "$sshd" --memlock --noheadings --output HARD | tr -d ' '):"
"""


def test_too_little_memory_may_be_locked_for_rdma(site: Site) -> None:
    with site.spoilt("n2", RDMA, NO_RDMA):
        problems = site.refused(site.cluster("memlock"))
    assert {host: (each["kind"], each["text"]) for host, each in problems.items()} == {
        "n2": (
            "mpi-launch",
            "a non-interactive shell may lock only 4 MiB of memory, too little for RDMA",
        )
    }
    assert "LimitMEMLOCK=infinity" in problems["n2"]["remedy"]


def test_a_node_that_claims_more_gpus_than_the_others_is_the_one_that_is_out(site: Site) -> None:
    nodes = [node.name for node in site.lab.nodes]
    for node in nodes:
        smi = SMI.replace("COUNT", "4" if node == "n2" else "2")
        here = f"mount -t tmpfs none /usr/local/bin && cat >/usr/local/bin/nvidia-smi <<'E'\n{smi}E\n"
        site.root(node, f"{here}chmod 755 /usr/local/bin/nvidia-smi")
    try:
        problems = site.refused(site.cluster("more"))
    finally:
        for node in nodes:
            site.root(node, "umount /usr/local/bin")
    assert {host: (each["kind"], each["text"]) for host, each in problems.items()} == {
        "n2": ("no-slots", "it has 4 slots, and most nodes have 2")
    }


def test_a_node_that_claims_another_library_than_all_others_is_the_one_that_is_out(site: Site) -> None:
    """It is the first, from where a launch starts, and a start-up file rewrites what it says."""
    with rewriting(site.lab, "n1", "s,^uses .*,uses /opt/other/libmpi.so.40,"):
        problems = site.refused(site.cluster("library"))
    assert set(problems) == {"n1"}
    assert "its loader takes /opt/other/libmpi.so.40" in problems["n1"]["text"]


def test_fewer_gpus_than_slots_and_a_benchmark_without_mpi(site: Site) -> None:
    nodes = [node.name for node in site.lab.nodes]
    for node in nodes:
        smi = SMI.replace("COUNT", "1" if node == "n2" else "2")
        plain = "cp /bin/true /usr/local/bin/all_reduce_perf"
        here = f"mount -t tmpfs none /usr/local/bin && cat >/usr/local/bin/nvidia-smi <<'E'\n{smi}E\n"
        site.root(node, f"{here}chmod 755 /usr/local/bin/nvidia-smi\n{plain}")
    try:
        short = site.refused(site.cluster("gpus"))
        assert {host: (each["kind"], each["text"]) for host, each in short.items()} == {
            "n2": ("no-slots", "it has 1 GPUs for 2 ranks")
        }
        plain = site.refused(site.cluster("plain", "  mpi: {kind: openmpi}\n"), "--procs-per-node", "1")
        assert set(plain) == set(nodes)
        assert plain["n1"]["kind"] == "not-mpi-build"
        assert "MPI=1" in plain["n1"]["remedy"]
        # What the first node says of its own is not looked for on the others.
        with rewriting(site.lab, "n1", "s,/usr/local/bin/all_reduce_perf,/opt/other/all_reduce_perf,"):
            one = site.refused(site.cluster("plain"), "--procs-per-node", "1")
        assert {one[node]["kind"] for node in nodes[1:]} == {"not-mpi-build"}
    finally:
        for node in nodes:
            site.root(node, "umount /usr/local/bin")
