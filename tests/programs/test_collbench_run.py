"""collbench, compiled and run: what it measures, checks and prints."""

from __future__ import annotations

import math
import subprocess
from pathlib import Path

import pytest
from collbench_runs import MPIRUN, SANITIZED, STRICT, Run, build, expected_sizes, runner
from pairs_log import parse_pairs
from patience import HANGS_S

from clusterboot.programs.bench_options import BenchOptions
from clusterboot.programs.collbench.collbench_program import collbench_argv
from clusterboot.programs.collectives import COLLECTIVES
from clusterboot.programs.nccl_tests.parser import parse_log
from clusterboot.run.runend import RunEnd
from clusterboot.verdict.verdict import judge

pytestmark = pytest.mark.lab

NAMES = tuple(name for name, collective in COLLECTIVES.items() if collective.in_collbench)


@pytest.fixture(scope="module")
def binary(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("collbench"), *STRICT)


@pytest.fixture(scope="module")
def collbench(binary: Path) -> Run:
    return runner(binary)


@pytest.mark.parametrize("ranks", [1, 4, 7])
def test_every_collective_prints_every_row_and_finds_its_data_right(collbench: Run, ranks: int) -> None:
    options = BenchOptions(NAMES, 8, 256 * 1024, 4, iterations=2, warmup=1)
    done = collbench(ranks, collbench_argv(options))
    log = parse_log(done.stdout)
    assert done.returncode == 0
    assert [test.collective for test in log.tests] == list(NAMES)
    for test in log.tests:
        assert test.tool == "collbench"
        assert len(test.ranks) == ranks
        assert tuple(row.size_bytes for row in test.rows) == expected_sizes(
            options, str(test.collective), ranks
        )
        assert {row.out_of_place.wrong for row in test.rows} == {0}
    judged = judge(log, ended=RunEnd("exited", 0), options=options, ranks=ranks)
    assert judged.overall.verdict == "ok"


def test_bandwidths_follow_from_size_and_time_by_nccl_tests_factors(collbench: Run) -> None:
    options = BenchOptions(NAMES, 1024**2, 1024**2, 2, iterations=2, warmup=1)
    log = parse_log(collbench(4, collbench_argv(options)).stdout)
    for test in log.tests:
        row = test.rows[0]
        for place in row.placements:
            assert place.time_us is not None
            assert place.algbw_gb_s is not None
            assert place.busbw_gb_s is not None
            algbw = row.size_bytes / place.time_us / 1000
            factor = {"all_reduce": 1.5, "broadcast": 1, "reduce": 1, "sendrecv": 1}.get(
                test.collective or "", 0.75
            )
            assert math.isclose(place.algbw_gb_s, algbw, abs_tol=0.006, rel_tol=0.002)
            assert math.isclose(place.busbw_gb_s, algbw * factor, abs_tol=0.006, rel_tol=0.002)


@pytest.mark.parametrize("dtype", ["float", "double", "int32"])
@pytest.mark.parametrize(
    ("name", "wrong"),
    # How many elements one spoilt input element reaches, with 4 ranks.
    [
        ("all_reduce", 4),
        ("all_gather", 4),
        ("reduce_scatter", 1),
        ("broadcast", 1),
        ("reduce", 1),
        ("alltoall", 1),
        ("sendrecv", 1),
    ],
)
def test_one_spoilt_element_is_counted_wherever_it_arrives(
    collbench: Run, name: str, wrong: int, dtype: str
) -> None:
    done = collbench(4, f"-t {name} -b 4K -e 4K -n 1 -w 1 -d {dtype} --corrupt 2")
    (test,) = parse_log(done.stdout).tests
    (row,) = test.rows
    assert row.out_of_place.wrong == wrong
    assert row.in_place is not None
    assert row.in_place.wrong == (wrong if COLLECTIVES[name].in_place else None)
    assert done.returncode == 1
    assert judge(parse_log(done.stdout)).overall.verdict == "wrong-data"


def test_without_checks_wrong_data_is_not_claimed_to_be_right(collbench: Run) -> None:
    done = collbench(2, "-b 4K -e 4K -n 1 -c 0 --corrupt 1")
    (row,) = parse_log(done.stdout).tests[0].rows
    assert row.out_of_place.wrong is None
    assert done.returncode == 0


def test_a_cap_on_the_time_reduces_iterations(collbench: Run) -> None:
    # A million iterations of 1 MiB would take longer than anybody waits here.
    done = collbench(4, "-b 1M -e 1M -n 1000000 -w 1000000 -T 0.2")
    assert done.returncode == 0
    assert len(parse_log(done.stdout).tests[0].rows) == 1


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("-b 5x", "bad value '5x' of option '-b'"),
        ("-t all_reduce,nonsense", "bad value 'all_reduce,nonsense'"),
        ("-b 2M -e 1M", "is larger than"),
        ("-b 0 -e 1M -f 2", "stays 0"),
        ("-e 99G", "an MPI call counts"),
        ("--nonsense", "unknown option '--nonsense'"),
        ("-b", "no value for '-b'"),
        ("-r 2", "bad value '2' of option '-r'"),
        ("stray", "unknown argument 'stray'"),
        ("-n 0", "bad value '0'"),
    ],
)
def test_a_bad_option_ends_every_rank_with_one_line_that_says_why(
    collbench: Run, words: str, says: str
) -> None:
    done = collbench(2, words)
    assert done.returncode == 2
    assert done.stderr.count("collbench: ") == 1
    assert says in done.stderr
    assert judge(parse_log(done.stdout + done.stderr)).overall.verdict == "inconclusive"


@pytest.fixture(scope="module")
def shaped(binary: Path) -> Run:
    """Run collbench over a link that saves up what it may pass at once, and passes it after a pause."""
    library = binary.with_name("shaped_link.so")
    source = Path(__file__).with_name("shaped_link.c")
    subprocess.run(["mpicc", "-std=c11", "-O2", "-shared", "-fPIC", "-o", library, source], check=True)
    # Over sockets: what is sent waits in them, and the sender goes on.
    launcher = [word.replace("self,vader", "self,tcp") for word in MPIRUN]
    # Over loopback alone: other tests' labs make and remove links of this machine meanwhile.
    launcher += ["--mca", "btl_tcp_if_include", "lo", "-x", f"LD_PRELOAD={library}"]
    return lambda ranks, words, **env: runner(binary)(ranks, words, launcher=launcher, **env)


def test_a_burst_does_not_pass_for_a_rate_where_the_program_chooses_the_iterations(shaped: Run) -> None:
    """A rate is only ever bounded from above here: what else the machine does makes it lower."""
    line = {"SHAPED_BYTES_PER_S": "25e6", "SHAPED_BURST_BYTES": "200e3"}
    # Three messages, of a link that lets three pass at once.
    done = shaped(2, "-t sendrecv -b 64K -e 64K -c 0 -w 1 -n 3 -T 2", **line)
    assert done.returncode == 0, done.stderr
    (test,) = parse_log(done.stdout).tests
    assert test.sweep is not None
    assert test.sweep.iterations is None
    place = test.rows[0].out_of_place
    assert place is not None
    assert place.busbw_gb_s is not None
    assert 0 < place.busbw_gb_s < 0.025 * 1.1


@pytest.mark.parametrize("words", ["", "-a 0", "-a 1", "-a 2", "-T 0.5"])
def test_the_time_of_a_collective_ends_where_the_last_rank_has_its_data(shaped: Run, words: str) -> None:
    """A rank that ``-a`` chooses may start its clock some milliseconds after the others on a busy machine."""
    late_us = 200_000
    done = shaped(3, f"-t broadcast -b 1K -e 1K -n 1 -w 2 -c 0 {words}", SHAPED_LATE_US=str(late_us))
    (test,) = parse_log(done.stdout).tests
    for place in test.rows[0].placements:
        assert place.time_us is not None
        assert place.time_us >= 0.8 * late_us


def test_a_rank_that_stops_leaves_a_log_that_proves_nothing_and_a_run_that_hung(binary: Path) -> None:
    words = ["-b", "8", "-e", "1K", "-f", "2", "-n", "1", "-w", "0", "--stall", "1"]
    with subprocess.Popen([*MPIRUN, "-n", "2", str(binary), *words], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        lines: list[bytes] = []
        while not lines or not lines[-1].startswith(b"           8 "):
            lines.append(process.stdout.readline())
        process.terminate()
        process.wait(HANGS_S)
    log = parse_log(b"".join(lines))
    assert len(log.tests[0].rows) == 1
    assert judge(log).overall.verdict == "inconclusive"
    assert judge(log, ended=RunEnd("timed-out")).overall.verdict == "hung"


@pytest.mark.parametrize(("ranks", "rounds"), [(2, 1), (4, 3), (5, 5)])
def test_without_a_schedule_every_pair_meets_once_and_nobody_twice_a_round(
    collbench: Run, ranks: int, rounds: int
) -> None:
    done = collbench(ranks, "pairs -T 0.1 -e 64K")
    log = parse_pairs(done.stdout.encode())
    assert done.returncode == 0, done.stderr
    assert log.concluded
    assert log.ended_rounds == tuple(range(rounds))
    # On a machine that is busy elsewhere a pair may get nothing across in a tenth of a second.
    measured = [row for row in log.rows if row.bytes]
    ways = {(each.sender, each.receiver, each.both) for each in log.samples}
    assert ways >= {(row.sender, row.receiver, both) for row in measured for both in (False, True)}
    assert [(node.node, node.rank) for node in log.nodes] == [(rank, rank) for rank in range(ranks)]
    met = sorted((row.sender, row.receiver) for row in log.rows)
    assert met == [(one, other) for one in range(ranks) for other in range(ranks) if one != other]
    for number in range(rounds):
        senders = [row.sender for row in log.rows if row.round == number]
        assert len(senders) == len(set(senders))
    for row in measured:
        assert row.bytes >= 64 * 1024
        assert min(row.busbw_gb_s, row.both_gb_s, row.latency_us or 0) > 0


def test_the_rounds_of_a_file_are_run_as_they_stand(collbench: Run, tmp_path: Path) -> None:
    schedule = tmp_path / "rounds"
    schedule.write_text("2-0\n\n1-3 0-2\n")
    log = parse_pairs(collbench(4, ["pairs", "-T", "0.02", "-L", "60", "-s", str(schedule)]).stdout.encode())
    met = [(row.round, row.sender, row.receiver) for row in log.rows]
    assert met == [(0, 2, 0), (0, 0, 2), (2, 1, 3), (2, 3, 1), (2, 0, 2), (2, 2, 0)]
    assert log.ended_rounds == (0, 1, 2)


@pytest.mark.parametrize(
    ("rounds", "says"),
    [
        ("0-1 1-2\n", "round 0: '1-2' has a node that is in another pair"),
        ("0-1\n0-4\n", "round 1: '0-4' is no pair of 3 nodes"),
        ("0-0\n", "'0-0' is no pair"),
        ("0-1x\n", "'0-1x' is no pair"),
    ],
)
def test_rounds_that_cannot_be_are_refused(collbench: Run, tmp_path: Path, rounds: str, says: str) -> None:
    schedule = tmp_path / "rounds"
    schedule.write_text(rounds)
    done = collbench(3, ["pairs", "-s", str(schedule)])
    assert done.returncode == 2
    assert says in done.stderr
    assert parse_pairs(done.stdout.encode()).rows == ()


def test_no_memory_or_undefined_behaviour_fault_under_sanitizers(tmp_path: Path) -> None:
    run = runner(build(tmp_path, *SANITIZED))
    options = BenchOptions(NAMES, 4, 64 * 1024, 8, iterations=1, warmup=1)
    # Open MPI keeps memory of its own until the end; that is not this program's to free.
    done = run(8, collbench_argv(options), ASAN_OPTIONS="detect_leaks=0")
    assert done.returncode == 0, done.stderr
    assert len(parse_log(done.stdout).tests) == len(NAMES)
    assert "ERROR: AddressSanitizer" not in done.stderr
    assert "runtime error" not in done.stderr
    mapped = run(3, "pairs -T 0.02 -L 60", ASAN_OPTIONS="detect_leaks=0")
    assert mapped.returncode == 0, mapped.stderr
    assert parse_pairs(mapped.stdout.encode()).concluded
    assert "runtime error" not in mapped.stderr
