from __future__ import annotations

import pytest
from collbench_runs import expected_sizes

from clusterboot.errors import UsageError
from clusterboot.programs.bench_options import BenchOptions, argv
from clusterboot.programs.collbench.collbench_program import collbench_argv
from clusterboot.programs.registered import PROGRAMS
from clusterboot.run.choice import asked


def test_the_shared_options_in_nccl_tests_letters() -> None:
    options = BenchOptions(begin_bytes=8, end_bytes=1024, factor=2, iterations=10, warmup=1, check=0)
    assert argv(options) == ["-b", "8", "-e", "1024", "-f", "2", "-n", "10", "-w", "1", "-c", "0"]


def test_collbench_runs_all_collectives_at_once_and_caps_the_time() -> None:
    options = BenchOptions(("all_reduce", "sendrecv"), cap_s=2.5)
    words = collbench_argv(options)
    assert words[:2] == ["-t", "all_reduce,sendrecv"]
    assert words[-2:] == ["-T", "2.5"]


def test_what_collbench_lacks_is_refused_before_anything_is_contacted() -> None:
    for options in (BenchOptions(("scatter",)), BenchOptions(dtype="bfloat16")):
        with pytest.raises(UsageError, match="collbench has no"):
            asked("mpi", PROGRAMS, options)
        assert next(each.name for each in asked("auto", PROGRAMS, options)) == "nccl-tests"
    assert [each.name for each in asked("auto", PROGRAMS, BenchOptions(("scatter",)))] == ["nccl-tests"]


def test_a_divided_size_is_rounded_down_to_whole_shares_of_16_bytes() -> None:
    options = BenchOptions(begin_bytes=8, end_bytes=2048, factor=4)
    assert expected_sizes(options, "all_reduce", 3) == (8, 32, 128, 512, 2048)
    assert expected_sizes(options, "all_gather", 3) == (0, 0, 96, 480, 2016)
    assert expected_sizes(options, "alltoall", 8, "double") == (0, 0, 128, 512, 2048)


@pytest.mark.parametrize(
    "bad",
    [
        {"collectives": ("all_reduced",)},
        {"collectives": ()},
        {"begin_bytes": 16, "end_bytes": 8},
        {"begin_bytes": 0},
        {"begin_bytes": -1},
        {"factor": 1},
        {"iterations": 0},
        {"cap_s": 0.0},
        {"cap_s": float("nan")},
    ],
)
def test_options_that_no_benchmark_could_run_are_usage_errors(bad: dict[str, object]) -> None:
    with pytest.raises(UsageError):
        BenchOptions(**bad)  # type: ignore[arg-type]
