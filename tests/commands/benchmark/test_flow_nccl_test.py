from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

import launch_mpis
from clusterboot import lab as labs
from operator_fixture import Operator

pytestmark = pytest.mark.lab

# A rate at which the links, and not this machine's cores, are what limits 8 ranks at once.
RATE = "100mbit"
LINE_GB_S = 0.0125


@pytest.mark.alone
def test_a_lab_is_measured_at_the_rate_of_its_links(
    make_lab: Callable[..., labs.Lab], operator: Operator
) -> None:
    lab = make_lab(nodes=8, rate=RATE)
    cluster = ("--cluster", str(lab.cluster_file))
    operator.document("bootstrap", *cluster)
    said = operator.document(
        "nccl-test",
        *cluster,
        "--collective",
        "sendrecv",
        "-b",
        "64K",
        "-e",
        "16M",
        "-f",
        "4",
        "-n",
        "4",
        "-w",
        "1",
    )
    (test,) = said["tests"]
    assert test["collective"] == "sendrecv"
    assert sorted(rank["host"] for rank in test["ranks"]) == [f"n{number}" for number in range(1, 9)]
    assert [row["size_bytes"] for row in test["rows"]] == [65536, 262144, 1048576, 4194304, 16777216]
    assert (said["verdict"], test["verdict"], test["problems"]) == ("ok", "ok", [])
    assert said["backend"] == "mpi"
    assert "MPI, host memory" in said["what"]
    # Each message begins with a word to and fro behind 20 ms of queue: a large one hardly notices.
    largest = test["rows"][-1]["out_of_place"]
    assert largest["wrong"] == 0
    # A machine with other work makes it slower, and nothing makes it faster than the line.
    assert 0.6 * LINE_GB_S < largest["busbw_gb_s"] < 1.05 * LINE_GB_S

    folder = Path(said["folder"])
    assert folder.parent == operator.folder / "results" / lab.name
    assert json.loads((folder / "result.json").read_text())["verdict"] == "ok"
    assert "Collective test starting: sendrecv" in (folder / "run.log").read_text()

    # A rate is as good as a baseline and a minimum below it; with one slow link, of a tenth, neither. That
    # both are a third of the line leaves room for whatever else the machine does meanwhile.
    baseline = ("--baseline", str(a_third_of(folder / "result.json", operator)))
    minimum = ("--min-busbw", f"{LINE_GB_S / 3}")
    short = ("nccl-test", *cluster, "--collective", "sendrecv", "-b", "1M", "-e", "1M")
    again = operator.document(*short, "-n", "10", "-w", "3", *baseline, *minimum)
    assert again["verdict"] == "ok", again["reason"]
    labs.break_node(lab.name, "n5", "slow-nic")
    slow = operator.document(*short, "-n", "2", "-w", "1", *baseline, expect=6)
    assert slow["verdict"] == "slow"
    assert "of the baseline's" in slow["reason"]
    slow = operator.document(*short, "-n", "2", "-w", "1", *minimum, expect=6)
    assert slow["verdict"] == "slow"
    assert "(--min-busbw)" in slow["reason"]

    operator.document("teardown", *cluster)
    for node in lab.nodes:
        assert not (lab.home(node.name) / ".ssh/clusterboot").exists()


def a_third_of(result: Path, operator: Operator) -> Path:
    """Write a result as it would have been at a third of the line's rate."""
    document = json.loads(result.read_text())
    for row in document["tests"][0]["rows"]:
        for place in ("out_of_place", "in_place"):
            if row[place]:
                row[place] |= {"time_us": None, "busbw_gb_s": LINE_GB_S / 3}
    return operator.write("baseline.json", json.dumps(document))


def test_every_collective_runs_and_no_process_stays(lab: labs.Lab, operator: Operator) -> None:
    cluster = ("--cluster", str(lab.cluster_file), "--hosts", "n[1-3]")
    operator.document("bootstrap", *cluster)
    try:
        names = "all_reduce,all_gather,reduce_scatter,broadcast,reduce,alltoall,sendrecv"
        said = operator.document(
            "nccl-test",
            *cluster,
            "--collective",
            names,
            "-b",
            "1K",
            "-e",
            "16K",
            "-f",
            "4",
            "-n",
            "2",
            "-w",
            "1",
        )
        assert [test["collective"] for test in said["tests"]] == names.split(",")
        assert {(test["verdict"], len(test["ranks"]), len(test["rows"])) for test in said["tests"]} == {
            ("ok", 3, 3)
        }
        assert list(said["counters"]) == ["n1", "n2", "n3"]
        for counted in said["counters"].values():
            assert counted["tcp"]["sent_segments"] > counted["tcp"]["retransmitted_segments"] >= 0
            assert counted["interfaces"]["eth0"]["tx_bytes"] > 7 * 1024
        for node in lab.nodes:
            running = labs.node_exec(lab.name, node.name, ["ps", "-u", "ubuntu", "-o", "comm="]).stdout
            assert not {*launch_mpis.STARTERS, "collbench"} & set(running.split())
    finally:
        operator.document("teardown", *cluster)


def test_a_node_that_is_down_is_left_out_of_the_benchmark(lab: labs.Lab, operator: Operator) -> None:
    cluster = ("--cluster", str(lab.cluster_file), "--hosts", "n[5-8]")
    operator.document("bootstrap", *cluster)
    labs.break_node(lab.name, "n6", "sshd-stopped")
    try:
        said = operator.document(
            "nccl-test", *cluster, "-b", "1K", "-e", "1K", "-n", "1", "-w", "0", expect=3
        )
        assert [host["name"] for host in said["hosts"] if host["status"] != "ok"] == ["n6"]
        assert [rank["host"] for rank in said["tests"][0]["ranks"]] == ["n5", "n7", "n8"]
        assert said["verdict"] == "ok"
    finally:
        labs.mend(lab.name, "n6")
        operator.document("teardown", *cluster)


def test_without_a_bootstrap_the_benchmark_says_what_to_do(lab: labs.Lab, operator: Operator) -> None:
    said = operator.document("nccl-test", "--cluster", str(lab.cluster_file), "--hosts", "n1", expect=6)
    assert said["verdict"] == "could-not-launch"
    assert [(each["host"], each["kind"]) for each in said["problems"]] == [("n1", "ssh")]
    assert "run bootstrap" in said["problems"][0]["remedy"]


@pytest.mark.alone
def test_a_link_that_is_fast_only_after_a_rest_is_not_ok_and_the_sizes_are_named(
    make_lab: Callable[..., labs.Lab], operator: Operator
) -> None:
    """Small messages may pass such a link at its rate; the large end of the sweep is what it sustains."""
    lab = make_lab(nodes=4, rate=RATE)
    cluster = ("--cluster", str(lab.cluster_file))
    operator.document("bootstrap", *cluster)
    # The launch itself may have drained the link: then all sizes are equally slow, below a minimum.
    minimum = ("--min-busbw", f"{0.5 * LINE_GB_S}")
    sweep = ("--collective", "sendrecv", "-b", "1K", "-e", "4M", "-f", "4", *minimum)
    sound = operator.document("nccl-test", *cluster, *sweep)
    assert sound["verdict"] == "ok", sound["reason"]
    labs.break_node(lab.name, "n3", "bursty")
    bursty = operator.document("nccl-test", *cluster, *sweep, expect=6)
    assert bursty["verdict"] == "slow"
    assert "4 MiB" in bursty["reason"]
    # No row of either, small or large, is faster than the line.
    for said in (sound, bursty):
        for row in said["tests"][0]["rows"]:
            assert row["out_of_place"]["busbw_gb_s"] <= 1.05 * LINE_GB_S
