from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from importlib import import_module

import pytest

from clusterboot.facts.differences import Difference, Odd, described, differences
from clusterboot.facts.node import (
    Address,
    Gpu,
    GpuFacts,
    Home,
    Interface,
    Limits,
    Mpi,
    NodeFacts,
    RdmaPort,
    Software,
)

NODE = NodeFacts(
    hostname="gpu001",
    machine_id="1",
    os="Ubuntu 22.04",
    kernel="5.15",
    arch="x86_64",
    user="ada",
    cpus=224,
    cpu_model="Xeon",
    sockets=2,
    memory_mib=2063875,
    numa_nodes=2,
    interfaces=(
        Interface("ib0", "up", 4092, speed_mbit_s=400000, addresses=(Address("10.1.0.1", 16),)),
        Interface("docker0", "up", 1500, kind="bridge"),
    ),
    rdma_ports=(RdmaPort("mlx5_0", 1, "InfiniBand", "ACTIVE", 400.0),),
    gpu=GpuFacts(
        "nvidia", "535.1", "12.2", (Gpu(0, "H100"), Gpu(1, "H100")), {0: (26.5, 26.5), 1: (26.5, 26.5)}
    ),
    mpi=(Mpi("openmpi", "4.1.4", "/usr/bin/mpirun"),),
    software=Software(
        "/usr/lib/libnccl.so.2", "2.18.3", {"all_reduce_perf": "/opt/all_reduce_perf"}, "OpenSSH_9.2"
    ),
    limits=Limits(None, 1024),
    home=Home("/home/ada", "ext4", "boot:1:2:3"),
    clock_skew_s=0.1,
    clock_error_s=0.2,
)


def compare(**changes: object) -> tuple[Difference, ...]:
    return differences({"n1": NODE, "n2": NODE, "n3": replace(NODE, **changes)})  # type: ignore[arg-type]


def test_a_new_field_is_shown_and_compared_under_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    @dataclass(frozen=True)
    class Tuned(NodeFacts):
        huge_pages: str | None = None

    monkeypatch.setattr(import_module("clusterboot.facts.differences"), "NodeFacts", Tuned)
    said = {name: Tuned(NODE.hostname, None, "", "", "", "", 1, None, None, 1, 1) for name in ("n1", "n2")}
    said["n3"] = replace(said["n1"], huge_pages="always")

    assert differences(said) == (Difference("huge pages", "none", (Odd("n3", "always"),)),)
    assert list(described(said))[5:8] == ["sockets", "memory", "NUMA nodes"]


def test_equal_nodes_have_no_differences_nor_has_one_node() -> None:
    assert compare() == ()
    assert differences({"n1": NODE}) == ()
    assert differences({}) == ()


def test_what_is_each_machines_own_is_no_difference() -> None:
    mine = Home("/home/ada", "ext4", "boot:9:9:9")
    assert compare(hostname="gpu003", machine_id="3", clock_skew_s=9.0, home=mine) == ()


def test_the_odd_host_is_named_with_its_value() -> None:
    assert compare(kernel="6.8") == (Difference("kernel", "5.15", (Odd("n3", "6.8"),)),)


def test_the_majority_is_usual_wherever_the_odd_one_stands() -> None:
    odd_first = {"n1": replace(NODE, os="Rocky 9"), "n2": NODE, "n3": NODE}
    assert differences(odd_first) == (Difference("os", "Ubuntu 22.04", (Odd("n1", "Rocky 9"),)),)


def test_two_nodes_that_differ_have_no_odd_one() -> None:
    (difference,) = differences({"n1": NODE, "n2": replace(NODE, cpus=112)})
    assert not difference.clear


def test_memory_is_compared_roughly() -> None:
    assert compare(memory_mib=2063875 - 4096) == ()
    (difference,) = compare(memory_mib=2063875 - 131072)
    assert difference == Difference("memory", "2016 GiB", (Odd("n3", "1888 GiB"),))


def test_a_missing_gpu_a_dead_link_and_a_failed_driver_show() -> None:
    lost = replace(NODE.gpu, gpus=NODE.gpu.gpus[:1], nvlinks={0: (26.5,), 1: (26.5, 26.5)})
    by_fact = {difference.fact: difference for difference in compare(gpu=lost)}
    assert by_fact["GPUs"].odd == (Odd("n3", "1 x H100"),)
    assert by_fact["NVLink"].odd == (Odd("n3", "1 x 1 links, 1 x 2 links"),)
    failed = {d.fact: d.odd for d in compare(gpu=GpuFacts("nvidia", error="no driver"))}
    assert failed["GPUs"] == (Odd("n3", "failed: no driver"),)


def test_slower_links_and_other_software_show() -> None:
    slow = (replace(NODE.interfaces[0], speed_mbit_s=100000),)
    down = (replace(NODE.rdma_ports[0], state="DOWN"),)
    other = replace(NODE.software, nccl_version="2.20.5")
    found = {
        difference.fact: (difference.usual, difference.odd[0].value)
        for difference in compare(
            interfaces=slow,
            rdma_ports=down,
            software=other,
            mpi=(),
            limits=Limits(64, 1024),
        )
    }
    assert found == {
        "network": ("1 x 400 Gbit/s (MTU 4092)", "1 x 100 Gbit/s (MTU 4092)"),
        "RDMA": ("1 x InfiniBand 400 Gbit/s ACTIVE", "1 x InfiniBand 400 Gbit/s DOWN"),
        "MPI": ("openmpi 4.1.4", "none"),
        "NCCL": ("2.18.3", "2.20.5"),
        "locked memory": ("unlimited", "64 KiB"),
    }


def test_facts_become_plain_json() -> None:
    document = json.loads(json.dumps(asdict(NODE)))
    assert document["gpu"]["nvlinks"] == {"0": [26.5, 26.5], "1": [26.5, 26.5]}
    assert document["interfaces"][0]["addresses"] == [
        {"ip": "10.1.0.1", "prefix_len": 16, "scope": "global", "flags": []}
    ]
    assert document["limits"] == {"memlock_kib": None, "open_files": 1024, "known": True}
    assert document["hostname"] == "gpu001"
