"""collbench over NCCL, on stand-ins for CUDA and NCCL: what it asks of them, checks and prints.

The program is compiled with every warning an error and runs under the sanitizers; device memory
of the stand-ins cannot be touched from the host, and their streams run behind the calls.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from collbench_runs import (
    MPIRUN,
    SANITIZED,
    STRICT,
    StandIns,
    build,
    build_stand_ins,
    expected_sizes,
    runner,
)
from pairs_log import parse_pairs
from patience import HANGS_S

from clusterboot.programs.bench_options import BenchOptions
from clusterboot.programs.collbench.collbench_program import collbench_argv
from clusterboot.programs.collectives import COLLECTIVES
from clusterboot.programs.nccl_tests.parser import parse_log
from clusterboot.programs.records import BenchTest
from clusterboot.verdict.expectation import Expectation
from clusterboot.verdict.verdict import RunEnd, judge

pytestmark = [pytest.mark.lab, pytest.mark.long]

NAMES = tuple(name for name, collective in COLLECTIVES.items() if collective.in_collbench)
ENV = {
    "NCCL_SOCKET_IFNAME": "=lo",
    "FAKE_GPUS": "8",
    # Open MPI keeps memory of its own until the end; that is not this program's to free.
    "ASAN_OPTIONS": "detect_leaks=0",
}


class Bench:
    """The sanitized program and its stand-ins."""

    def __init__(self, folder: Path) -> None:
        self.binary = build(folder, *STRICT, *SANITIZED)
        self.libraries: StandIns = build_stand_ins(folder)

    def run(self, ranks: int, words: list[str], **env: str) -> subprocess.CompletedProcess[str]:
        done = runner(self.binary)(ranks, words, **ENV | env)
        assert "Sanitizer" not in done.stderr
        assert "runtime error" not in done.stderr
        return done

    def nccl(self, ranks: int, words: str, **env: str) -> subprocess.CompletedProcess[str]:
        done = self.run(ranks, [*self.libraries.words, *words.split()], FAKE_GPU_COUNT_LEFTOVERS="1", **env)
        assert done.returncode or "fake CUDA: left" not in done.stderr
        return done

    def pairs(self, ranks: int, words: str, **env: str) -> subprocess.CompletedProcess[str]:
        return self.run(ranks, ["pairs", *self.libraries.words, *words.split()], **env)


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    return Bench(tmp_path_factory.mktemp("collbench-nccl"))


def read_tests(done: subprocess.CompletedProcess[str]) -> tuple[BenchTest, ...]:
    assert done.returncode == 0, done.stderr
    return parse_log(done.stdout).tests


@pytest.mark.parametrize("dtype", ["float", "half", "bfloat16", "int32"])
def test_every_collective_is_right_in_and_out_of_place_on_8_gpus(bench: Bench, dtype: str) -> None:
    options = BenchOptions(NAMES, 4, 64 * 1024, 16, iterations=2, warmup=1)
    done = bench.nccl(8, f"{' '.join(collbench_argv(options))} -d {dtype}")
    tests = read_tests(done)
    assert [test.collective for test in tests] == list(NAMES)
    for test in tests:
        assert (test.library, test.ranks_on_a_gpu) == ("NCCL 2.21.5, GPU memory", 1)
        sizes = expected_sizes(options, str(test.collective), 8, dtype)
        assert tuple(row.size_bytes for row in test.rows) == sizes
        assert {(row.dtype, row.out_of_place and row.out_of_place.wrong) for row in test.rows} == {(dtype, 0)}
        in_place = 0 if COLLECTIVES[str(test.collective)].in_place else None
        assert {row.in_place and row.in_place.wrong for row in test.rows} == {in_place}
    first = tests[0].ranks[3]
    assert (first.device, first.bus_id, first.name) == (3, "0000:0A:00", "Stand-in GPU")
    assert judge(parse_log(done.stdout), ended=RunEnd("exited", 0), ranks=8).overall.verdict == "ok"


@pytest.mark.parametrize("dtype", ["float", "half", "bfloat16"])
def test_one_spoilt_element_is_counted_wherever_it_arrives(bench: Bench, dtype: str) -> None:
    done = bench.nccl(4, f"-t {','.join(NAMES)} -b 4K -e 4K -n 1 -w 1 -d {dtype} --corrupt 2")
    assert done.returncode == 1, done.stderr
    wrong = {test.collective: test.rows[0].out_of_place for test in parse_log(done.stdout).tests}
    reached = {"all_reduce": 4, "all_gather": 4}
    assert {name: place and place.wrong for name, place in wrong.items()} == {
        name: reached.get(name, 1) for name in NAMES
    }
    for test in parse_log(done.stdout).tests:
        if COLLECTIVES[str(test.collective)].in_place:
            place = test.rows[0].in_place
            assert place is not None
            assert place.wrong == reached.get(str(test.collective), 1)
    assert judge(parse_log(done.stdout)).overall.verdict == "wrong-data"


def test_ranks_share_a_gpu_when_asked_and_the_output_says_that_it_measures_nothing(bench: Bench) -> None:
    done = bench.nccl(4, "--share-gpu -b 4K -e 64K -f 4 -n 1 -w 1", FAKE_GPUS="1")
    (test,) = read_tests(done)
    assert test.ranks_on_a_gpu == 4
    assert {row.out_of_place and row.out_of_place.wrong for row in test.rows} == {0}
    judged = judge(parse_log(done.stdout), Expectation(1e6, source="--min-busbw"), RunEnd("exited", 0))
    assert judged.overall.verdict == "ok"
    assert "no measure of bandwidth" in judged.overall.reason


@pytest.mark.parametrize("words", ["", "-a 0", "-a 1", "-a 2", "-T 0.5"])
def test_a_rank_whose_part_is_over_early_makes_nothing_faster(bench: Bench, words: str) -> None:
    """Its stream's events come long before the data is at the others; what counts is when all have it.

    A rank that ``-a`` chooses may start its clock later than the others, by what it leaves the first barrier
    after them: half a millisecond on a busy machine, so that the series lasts for many times that.
    """
    line_gb_s = 0.05
    env = {"FAKE_NCCL_MBPS": str(line_gb_s * 1000), "FAKE_NCCL_EARLY": f"{os.uname().nodename}:0"}
    names = "broadcast,sendrecv,all_reduce"
    done = bench.nccl(2, f"-t {names} -b 8M -e 8M -n 1 -w 0 -c 0 {words}", **env)
    for test in read_tests(done):
        for place in test.rows[0].placements:
            assert place.busbw_gb_s is not None
            assert 0 < place.busbw_gb_s <= line_gb_s * 1.01, test.collective


def test_a_gpu_that_has_no_room_for_the_largest_size_reduces_it(bench: Bench) -> None:
    (test,) = read_tests(bench.nccl(2, "-b 1M -e 64M -f 2 -n 1 -w 0", FAKE_GPU_BYTES=str(8 << 20)))
    assert test.reduced_to_bytes is not None
    assert test.reduced_to_bytes < 4 << 20
    assert test.rows[-1].size_bytes <= test.reduced_to_bytes


@pytest.mark.parametrize(
    ("words", "env", "kind", "says"),
    [
        ("--nccl", {}, "missing-library", "cannot open shared object file"),
        ("", {"FAKE_GPUS": "0"}, "cuda-error", "no CUDA-capable device is detected"),
        ("", {"FAKE_GPUS": "1"}, "usage", "too few GPUs: 2 requested but only 1 were found"),
        ("-d bfloat16", {"FAKE_NCCL_VERSION": "20708"}, "usage", "NCCL 2.10.0 or later is needed"),
        ("", {"FAKE_NCCL_BROKEN": os.uname().nodename}, "nccl-error", "remote process exited"),
        ("", {"NCCL_SOCKET_IFNAME": "=no-such"}, "nccl-error", "no socket interface found"),
    ],
)
def test_what_stands_in_the_way_is_told_with_its_host(
    bench: Bench, words: str, env: dict[str, str], kind: str, says: str
) -> None:
    if words == "--nccl":
        done = bench.run(2, [words, "--libcudart", str(bench.libraries.cudart)], **env)
    else:
        done = bench.nccl(2, f"{words} -b 4K -e 4K", **env)
    log = done.stdout + done.stderr
    assert done.returncode != 0
    assert says in log
    parsed = parse_log(log)
    problems = [*parsed.problems, *(problem for test in parsed.tests for problem in test.problems)]
    assert kind in {problem.kind for problem in problems}
    named = {problem.host for problem in problems if problem.kind == kind}
    assert named == {os.uname().nodename} or kind == "nccl-error"
    assert judge(parsed, ended=RunEnd("exited", done.returncode)).overall.verdict != "ok"


def test_ranks_with_different_versions_of_nccl_are_refused_by_name(bench: Bench) -> None:
    program = [str(bench.binary), *bench.libraries.words, "-b", "4K", "-e", "4K"]
    other = ["env", "FAKE_NCCL_VERSION=21803", *program]
    done = subprocess.run(
        [*MPIRUN, "-n", "1", *program, ":", "-n", "1", *other],
        capture_output=True,
        text=True,
        check=False,
        timeout=HANGS_S,
        env={**os.environ, **ENV},
    )
    assert done.returncode == 5
    assert "Incompatible NCCL versions: 2.21.5 on " in done.stderr
    assert "2.18.3 on " in done.stderr


def test_all_pairs_meet_over_nccl_and_a_slow_gpu_shows(bench: Bench) -> None:
    host = os.uname().nodename
    done = bench.pairs(5, "-T 0.3 -e 256K -L 60", FAKE_NCCL_MBPS="400", FAKE_NCCL_SLOW=f"{host}:3")
    log = parse_pairs(done.stdout.encode())
    assert done.returncode == 0, done.stderr
    assert log.concluded
    assert log.library == "NCCL 2.21.5, GPU memory"
    assert [(node.node, node.device) for node in log.nodes] == [(rank, rank) for rank in range(5)]
    met = sorted((row.sender, row.receiver) for row in log.rows)
    assert met == [(one, other) for one in range(5) for other in range(5) if one != other]
    best = [
        max(row.busbw_gb_s for row in log.rows if rank in (row.sender, row.receiver)) for rank in range(5)
    ]
    # 0.04 and 0.4 GB/s: what is faked keeps its pace with whole messages, and this machine may have other
    # work, which holds up some of the pairs.
    assert [rate < 0.1 for rate in best] == [False, False, False, True, False]
    assert all(row.latency_us for row in log.rows)


def test_nothing_that_waits_on_the_way_is_left_out_of_the_time(bench: Bench) -> None:
    """The line carries 0.4 GB/s; 4 MB wait on the way while one end hears late that it may begin."""
    late = f"{os.uname().nodename}:1"
    done = bench.pairs(
        3, "-T 0.2 -e 256K -L 60", FAKE_NCCL_MBPS="400", FAKE_NCCL_BUFFER="4e6", FAKE_NCCL_LATE=late
    )
    log = parse_pairs(done.stdout.encode())
    assert log.concluded, done.stderr
    assert {(each.sender, each.receiver, each.both) for each in log.samples} == {
        (one, other, both) for one in range(3) for other in range(3) for both in (False, True) if one != other
    }
    assert max(rate for each in log.samples for rate in each.gb_s) <= 0.4 * 1.001


@pytest.mark.parametrize("fault", ["FAKE_NCCL_FROZEN", "FAKE_NCCL_DEAF"])
def test_a_gpu_that_nothing_comes_from_is_a_dead_pair_and_stops_nobody_else(
    bench: Bench, tmp_path: Path, fault: str
) -> None:
    schedule = tmp_path / "rounds"
    schedule.write_text("0-1 2-3\n0-3\n")
    done = bench.pairs(4, f"-T 0.1 -e 64K -L 8 -s {schedule}", **{fault: f"{os.uname().nodename}:2"})
    log = parse_pairs(done.stdout.encode())
    assert done.returncode == 0, done.stderr
    assert log.concluded
    dead = {(row.sender, row.receiver) for row in log.rows if row.both_gb_s == 0}
    assert dead == {(2, 3), (3, 2)}
    assert len(log.rows) == 6


def test_a_rank_without_a_gpu_of_its_own_is_set_aside_and_told(bench: Bench) -> None:
    done = bench.pairs(3, "-T 0.1 -e 64K", FAKE_GPUS="2")
    assert done.returncode != 0
    assert "too few GPUs: 3 requested but only 2 were found" in done.stderr
    shared = bench.pairs(3, "-T 0.1 -e 64K -L 60 --share-gpu", FAKE_GPUS="2")
    log = parse_pairs(shared.stdout.encode())
    assert log.ranks_on_a_gpu == 2
    assert all(row.busbw_gb_s > 0 for row in log.rows)
