from __future__ import annotations

from collections.abc import Callable

import pytest

import launch_mpis
from clusterboot import lab as labs
from operator_fixture import Operator

pytestmark = [pytest.mark.lab, pytest.mark.long]

NODES = ["n1", "n2", "n3"]
# What Docker makes on every machine: a bridge that is up, with everywhere the same address.
DOCKER = (
    "ip link add docker0 type bridge && ip address add 172.17.0.1/16 dev docker0 && ip link set docker0 up"
)
# The interconnect under another name, its routes and neighbours as they were.
RENAME = """
route=$(ip -o route show dev eth0 | head -n 1)
addresses=$(ip -o -4 address show dev eth0 | awk '{print $4}')
neighbours=$(ip -o neighbour show dev eth0 nud permanent | awk '{print $1, $3}')
ip link set eth0 down && ip link set eth0 name ens9 && ip link set ens9 up
for a in $addresses; do ip address replace "$a" dev ens9 noprefixroute; done
echo "$neighbours" | while read -r ip mac; do
  [ -z "$ip" ] || ip neighbour replace "$ip" lladdr "$mac" dev ens9 nud permanent
done
ip route replace $route dev ens9
"""
# A benchmark that says where it would look for the others; without MPI_Init it would not be started.
PROGRAM = """#!/bin/sh
# MPI_Init
echo "$NCCL_SOCKET_IFNAME ${NCCL_IB_HCA-unset}" >"$HOME/seen"
"""
SMI = """#!/bin/sh
case "$*" in --query-gpu*) echo "0, NVIDIA H100 80GB HBM3, GPU-0, 00000000:01:00.0, 81559, 550.54.15";; esac
"""


@pytest.fixture(scope="module")
def lab(module_lab: Callable[..., labs.Lab]) -> labs.Lab:
    made = module_lab(nodes=3)
    for node in NODES:
        root(made, node, DOCKER)
    root(made, "n2", RENAME)
    return made


@pytest.fixture(scope="module")
def operator(lab: labs.Lab, tmp_path_factory: pytest.TempPathFactory) -> Operator:
    made = Operator(tmp_path_factory.mktemp("operator"))
    # Nothing names the network: the one that the nodes share is found.
    text = lab.cluster_file.read_text().replace(f"  network: {lab.network}\n", "")
    assert "network" not in text
    made.write("plain.yaml", text)
    made.document("bootstrap", "--cluster", "plain.yaml")
    return made


def root(lab: labs.Lab, node: str, script: str) -> str:
    done = labs.node_exec(lab.name, node, ["sh", "-ec", script])
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize(
    "name",
    [
        "openmpi4",
        *(pytest.param(name, marks=pytest.mark.slow) for name in ("openmpi5", "mpich5", "intelmpi")),
    ],
)
def test_interfaces_of_different_names_are_used_beside_a_docker0_everywhere(
    lab: labs.Lab, operator: Operator, name: str
) -> None:
    prefix = launch_mpis.folders().get(name)
    chosen = f"{{prefix: {prefix}}}" if prefix else "{kind: openmpi}"
    cluster = f"{name}.yaml"
    operator.write(cluster, (operator.folder / "plain.yaml").read_text() + f"  mpi: {chosen}\n")

    said = operator.document("nccl-test", "--cluster", cluster, "-b", "1K", "-e", "1K", "-n", "2", "-w", "1")

    # A rank that was called at 172.17.0.1 would not be found: that is everybody's own address.
    assert said["verdict"] == "ok"
    assert len(said["tests"][0]["ranks"]) == len(NODES)
    assert str(lab.network) in said["network"]


def test_nccl_is_told_each_nodes_own_interface_and_no_adapter(lab: labs.Lab, operator: Operator) -> None:
    for node in NODES:
        here = "mount -t tmpfs none /usr/local/bin"
        for name, text in (("nvidia-smi", SMI), ("all_reduce_perf", PROGRAM)):
            here += f" && cat >/usr/local/bin/{name} <<'E' && chmod 755 /usr/local/bin/{name}\n{text}E\ntrue"
        root(lab, node, here)
    try:
        cluster = operator.write("gpu.yaml", (operator.folder / "plain.yaml").read_text())
        said = operator.document("nccl-test", "--cluster", str(cluster), "-e", "8", expect=6)
        assert said["backend"] == "nccl-tests"
        seen = {node: root(lab, node, "cat /home/ubuntu/seen").strip() for node in NODES}
        assert seen == {"n1": "=eth0 unset", "n2": "=ens9 unset", "n3": "=eth0 unset"}
    finally:
        for node in NODES:
            root(lab, node, "umount /usr/local/bin")
