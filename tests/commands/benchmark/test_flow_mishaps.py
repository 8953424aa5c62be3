"""What can happen to a run: each mishap ends with its verdict, host and remedy, and nothing stays."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from benchmark_bed import Bed, log_of, named

from clusterboot import lab as labs
from clusterboot.run.runlog import LONGEST_LOG_BYTES
from operator_fixture import Operator

pytestmark = [pytest.mark.lab, pytest.mark.long]

# One of somebody else's, with the same program's name and the same user.
BYSTANDER = "nohup bash -c 'exec -a bench/collbench-bystander sleep 3600' >/dev/null 2>&1 & echo $!"
# The ranks stay where they are after the first row: the run is in progress for as long as a test needs.
HOLD = 'set -- "$@" --stall 1'


@pytest.fixture(scope="module")
def kept(module_lab: Callable[..., labs.Lab], tmp_path_factory: pytest.TempPathFactory) -> Bed:
    folder = tmp_path_factory.mktemp("operator")
    bed = Bed(module_lab(nodes=3), Operator(folder))
    bed.prepare()
    return bed


@pytest.fixture(scope="module")
def bystanders(kept: Bed) -> dict[str, int]:
    argv = ["bash", "-c", BYSTANDER]
    return {name: int(labs.node_exec(kept.lab.name, name, argv, user="ubuntu").stdout) for name in kept.names}


@pytest.fixture
def bed(kept: Bed, bystanders: dict[str, int]) -> Iterator[Bed]:
    """The lab as it should be, before and after; nothing of any run may be left on it."""
    yield kept
    try:
        kept.wait_until_clear()
        for name, pid in bystanders.items():
            alive = labs.node_exec(kept.lab.name, name, ["ps", "-o", "args=", "-p", str(pid)]).stdout
            assert "bystander" in alive, f"somebody else's process on {name} is gone"
    finally:
        kept.heal()


def test_a_frozen_rank_is_hung_and_named(bed: Bed) -> None:
    bed.inject(HOLD)
    # No limit of its own: the launch may take its time, and who is stopped is seen before any is reached.
    run = bed.begin()
    (rank,) = bed.ranks("n3")
    bed.signal("n3", rank, signal.SIGSTOP)

    code, result = run.finish()

    assert (code, result["verdict"]) == (6, "hung")
    assert named(result) == [("timeout", "n3")]
    assert f"rank 2 is stopped (process {rank})" in result["reason"]


@pytest.mark.slow
def test_a_rank_that_waits_for_ever_is_told_from_those_that_wait_for_it(bed: Bed) -> None:
    bed.inject(HOLD)
    code, result = bed.begin("--no-progress", "4").finish()

    assert (code, result["verdict"]) == (6, "hung")
    assert named(result) == [("timeout", "n2")]


def test_a_killed_rank_is_a_failure_with_its_host(bed: Bed) -> None:
    bed.inject(HOLD)
    run = bed.begin()
    (rank,) = bed.ranks("n2")
    bed.signal("n2", rank, signal.SIGKILL)

    code, result = run.finish()

    assert (code, result["verdict"]) == (6, "failed")
    assert ("killed", "n2") in named(result)


def test_wrong_data_is_traced_to_its_host(bed: Bed) -> None:
    bed.inject('set -- "$@" --corrupt "$OMPI_COMM_WORLD_RANK"', "n2")
    result = bed.document(expect=6)

    assert result["verdict"] == "wrong-data"
    assert named(result) == [("wrong-data", "n2")]
    assert result["reason"].endswith("it comes from n2")


def test_a_program_that_says_nothing_and_succeeds_proves_nothing(bed: Bed) -> None:
    bed.inject("exit 0")
    result = bed.document(expect=6)

    assert result["verdict"] == "inconclusive"
    assert named(result) == [("truncated", "n1")]


@pytest.mark.slow
def test_a_program_that_prints_for_ever_is_ended_and_fills_nothing(bed: Bed) -> None:
    bed.inject("exec yes")
    result = bed.document(expect=6)

    assert result["verdict"] == "inconclusive"
    assert named(result) == [("truncated", "n1")]
    assert log_of(result).stat().st_size <= LONGEST_LOG_BYTES


@pytest.mark.slow
def test_a_node_that_loses_power_is_a_failure_with_its_name(bed: Bed, bystanders: dict[str, int]) -> None:
    bed.inject(HOLD)
    run = bed.begin("--no-progress", "4")
    # That takes everybody's processes.
    del bystanders["n3"]
    labs.break_node(bed.lab.name, "n3", "powered-off")
    try:
        code, result = run.finish()
        assert (code, result["verdict"]) == (6, "failed")
        assert ("killed", "n3") in named(result)
        bed.wait_until_clear(["n1", "n2"])
    finally:
        labs.mend(bed.lab.name, "n3")


def test_an_interrupted_run_ends_everywhere_and_keeps_its_result(bed: Bed) -> None:
    bed.inject(HOLD)
    run = bed.begin()
    run.process.send_signal(signal.SIGINT)

    code, result = run.finish()

    assert code == 130
    assert [row["size_bytes"] for row in result["tests"][0]["rows"]] == [1024]
    bed.wait_until_clear()


@pytest.mark.slow
def test_whenever_a_run_is_interrupted_it_ends_with_130_and_nothing_stays(bed: Bed) -> None:
    bed.document(expect=0)
    whole = bed.interrupted_after(1000)
    assert whole.code == 0
    for records in range(whole.records):
        found = bed.interrupted_after(records)
        assert found.code == 130, (records, found.said)
        assert "Traceback" not in found.said
        bed.wait_until_clear()


def test_a_killed_operator_leaves_no_rank(bed: Bed) -> None:
    bed.inject(HOLD)
    run = bed.begin()
    run.process.kill()
    run.process.communicate()

    bed.wait_until_clear()


@pytest.mark.slow
def test_a_cut_line_leaves_no_rank_and_says_where_it_was_cut(bed: Bed) -> None:
    """No connection is closed: everything between the head and the launching node is lost on its way."""
    bed.inject(HOLD)
    run = bed.begin()
    labs.break_node(bed.lab.name, "n1", "dropped-pair:head")

    bed.wait_until_clear()
    code, result = run.finish()

    assert (code, result["verdict"]) == (6, "failed")
    assert named(result)[0][1] == "n1"


def test_a_node_without_its_key_is_named_before_anything_is_launched(bed: Bed) -> None:
    (key,) = bed.lab.home("n2").glob(".ssh/clusterboot/*/id_ed25519")
    hidden = key.rename(key.with_name("hidden"))
    try:
        result = bed.document(expect=6)
    finally:
        hidden.rename(key)

    assert result["verdict"] == "could-not-launch"
    assert named(result) == [("ssh", "n2")]
    assert Path(result["folder"], "result.json").exists()
    assert not log_of(result).exists()
