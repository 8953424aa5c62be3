"""NCCL on a lab whose nodes have stand-ins for GPUs: found, chosen, launched, judged and named."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from gpu_lab import cluster_with, give_gpus, take_gpus

from clusterboot import lab as labs
from operator_fixture import Operator

pytestmark = [pytest.mark.lab, pytest.mark.long]

SHORT = ("-b", "4K", "-e", "64K", "-f", "4", "-n", "2", "-w", "1")


@pytest.fixture(scope="module")
def gpu_lab(module_lab: Callable[..., labs.Lab], tmp_path_factory: pytest.TempPathFactory) -> labs.Lab:
    """Three nodes with two GPUs each."""
    lab = module_lab(nodes=3)
    give_gpus(lab, tmp_path_factory.mktemp("stand-ins"))
    return lab


@pytest.fixture(scope="module")
def user(gpu_lab: labs.Lab, tmp_path_factory: pytest.TempPathFactory) -> Operator:
    operator = Operator(tmp_path_factory.mktemp("operator"))
    path = cluster_with(gpu_lab, operator.folder / "cluster.yaml", {"FAKE_GPUS": "2"})
    operator.document("bootstrap", "--cluster", str(path))
    return operator


def test_nccl_runs_where_all_nodes_have_gpus_and_it(gpu_lab: labs.Lab, user: Operator) -> None:
    cluster = ("--cluster", str(user.folder / "cluster.yaml"))
    said = user.document(
        "nccl-test", *cluster, "--collective", "all_reduce,alltoall", "--dtype", "bfloat16", *SHORT
    )
    assert (said["backend"], said["verdict"], said["ranks"]) == ("nccl", "ok", 6)
    assert said["what"].startswith("collbench, NCCL, GPU memory: 6 ranks on 3 nodes")
    assert said["shares_gpus"] is False
    for test in said["tests"]:
        assert test["library"] == "NCCL 2.21.5, GPU memory"
        assert {row["dtype"] for row in test["rows"]} == {"bfloat16"}
        where = sorted((rank["host"], rank["device"], rank["bus_id"]) for rank in test["ranks"])
        assert where == [
            (host, device, f"0000:0{7 + device}:00") for host in ("n1", "n2", "n3") for device in (0, 1)
        ]


def test_sharing_is_refused_unasked_and_marked_when_asked(gpu_lab: labs.Lab, user: Operator) -> None:
    cluster = ("--cluster", str(user.folder / "cluster.yaml"))
    crowded = ("nccl-test", *cluster, "--procs-per-node", "3", *SHORT)
    refused = user.run(*crowded, "--backend", "nccl")
    assert refused.returncode == 6
    assert "fewer GPUs than ranks on n[1-3]" in refused.stdout + refused.stderr
    said = user.document(*crowded, "--share-gpu", "--min-busbw", "100000")
    assert (said["backend"], said["verdict"], said["ranks"]) == ("nccl", "ok", 9)
    assert said["shares_gpus"] is True
    assert "no measure of bandwidth" in said["what"]
    assert "no measure of bandwidth" in said["reason"]
    assert all(test["shares_gpus"] for test in said["tests"])


def test_a_node_without_gpus_makes_it_mpi_or_an_error_that_names_it(
    gpu_lab: labs.Lab, user: Operator
) -> None:
    cluster = ("--cluster", str(user.folder / "cluster.yaml"))
    smi = gpu_lab.home("n2") / "bin/nvidia-smi"
    kept = smi.read_bytes()
    take_gpus(gpu_lab, "n2")
    try:
        refused = user.run("nccl-test", *cluster, "--backend", "nccl", *SHORT)
        assert refused.returncode == 6
        assert "no NVIDIA GPU on n2" in refused.stdout + refused.stderr
        done = user.run("nccl-test", *cluster, "--procs-per-node", "1", *SHORT)
        assert "MPI, host memory" in done.stdout
        assert "not NCCL: no NVIDIA GPU on n2" in done.stdout + done.stderr
    finally:
        smi.write_bytes(kept)
        smi.chmod(0o755)


@pytest.mark.alone
def test_a_map_by_gpu_names_the_one_gpu_that_is_slow(gpu_lab: labs.Lab, user: Operator) -> None:
    slow = {"FAKE_GPUS": "2", "FAKE_NCCL_MBPS": "20", "FAKE_NCCL_SLOW": "n2:1"}
    path = cluster_with(gpu_lab, user.folder / "slow.yaml", slow)
    words = ("link-map", "--cluster", str(path), "--by", "gpu", "-e", "256K")
    said = user.document(*words, expect=6)
    assert said["backend"] == "nccl"
    assert said["what"].startswith("collbench pairs, NCCL, GPU memory: 6 ranks on 3 nodes")
    assert sorted(said["nodes"]) == [f"n{node}:gpu{gpu}" for node in (1, 2, 3) for gpu in (0, 1)]
    assert [(found["kind"], found["hosts"]) for found in said["findings"]] == [("node", ["n2:gpu1"])]
    assert (said["verdict"], said["shares_gpus"]) == ("slow", False)
    good = (user.folder / "hostfiles" / gpu_lab.name / "openmpi-good").read_text()
    assert len(good.splitlines()) == 2


@pytest.mark.slow
def test_a_map_by_gpu_over_mpi_or_of_shared_gpus_says_so(gpu_lab: labs.Lab, user: Operator) -> None:
    cluster = ("--cluster", str(user.folder / "cluster.yaml"), "-e", "64K", "--mode", "full")
    over_mpi = user.run("link-map", *cluster, "--by", "gpu", "--backend", "mpi", "--json")
    said = json.loads(over_mpi.stdout)
    assert (said["backend"], len(said["nodes"])) == ("mpi", 6)
    assert said["what"].startswith("collbench pairs, MPI, host memory: 6 ranks on 3 nodes")
    crowded = cluster_with(
        gpu_lab, user.folder / "crowded.yaml", {"FAKE_GPUS": "2", "FAKE_GPU_MACHINE": "one"}
    )
    words = ("link-map", "--cluster", str(crowded), "--backend", "nccl", "--share-gpu", "-e", "64K")
    said = user.document(*words)
    assert (said["backend"], said["shares_gpus"], said["verdict"]) == ("nccl", True, "ok")
    assert any("no measure of bandwidth" in note for note in said["notes"])
