"""A sweep is judged by what it sustains at its large end, whatever its small sizes show."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from baselines import baseline_of
from hypothesis import given
from hypothesis import strategies as st

from clusterboot.programs.nccl_tests.parser import parse_log
from clusterboot.programs.records import BenchTest, Judgement, ParsedLog, Placement, Rank, Row, Sweep
from clusterboot.verdict.bandwidth import plateaus, shortfall
from clusterboot.verdict.expectation import Expectation
from clusterboot.verdict.repeats import judge_repeats
from clusterboot.verdict.verdict import judge, report_of

KIB, MIB, GIB = 1024, 1024**2, 1024**3
FIXTURES = Path(__file__).parents[1] / "programs/fixtures"
LINE_GB_S = 0.025
# As a shaped link of 200 Mbit/s with a large bucket came out: above its rate, then at half of it.
SHAPED = {
    8 * KIB: 0.0318,
    32 * KIB: 0.0262,
    128 * KIB: 0.0201,
    512 * KIB: 0.0152,
    1 * MIB: 0.0141,
    2 * MIB: 0.0139,
    4 * MIB: 0.0140,
}
# Logs of healthy clusters: a dip where the algorithm changes; two outliers, one of them among the last
# three; a fall of some percent at the end.
DIP = {8 * MIB: 11.9, 16 * MIB: 16.6, 32 * MIB: 32.57, 64 * MIB: 19.1, 128 * MIB: 30.7, 256 * MIB: 42.6}
OUTLIERS = {
    64 * MIB: 111.9,
    128 * MIB: 338.4,
    256 * MIB: 241.2,
    512 * MIB: 362.5,
    GIB: 362.3,
    2 * GIB: 235.7,
    4 * GIB: 366.6,
    8 * GIB: 361.0,
}
SAGGING = {64 * MIB: 300.0, 256 * MIB: 340.0, GIB: 362.0, 4 * GIB: 338.0, 8 * GIB: 330.0}


def bench(
    busbw: Mapping[int, float],
    in_place: Mapping[int, float] | None = None,
    *,
    collective: str = "all_reduce",
    iterations: int | None = 20,
    library: str | None = None,
    hosts: int = 4,
) -> BenchTest:
    def place(value: float) -> Placement:
        return Placement(None, value, value, 0)

    rows = tuple(
        Row(size, size // 4, "float", "sum", -1, place(value), place((in_place or busbw)[size]))
        for size, value in busbw.items()
    )
    sizes = tuple(busbw)
    factor = sizes[1] // sizes[0] if len(sizes) > 1 else 2
    return BenchTest(
        collective,
        tool="collbench" if library else "nccl-tests",
        layout="2.13",
        ranks=tuple(Rank(n, f"n{n % hosts}", n // hosts, 0, n) for n in range(8)),
        sweep=Sweep(sizes[0], sizes[-1], factor, True, iterations),
        rows=rows,
        out_of_bounds=0,
        concluded=True,
        library=library,
    )


def judged(test: BenchTest, expectation: Expectation | None = None) -> Judgement:
    """Judge by the bandwidth alone: not every sweep here has one factor between its sizes."""
    found = shortfall(test, expectation or Expectation())
    if found.reasons:
        return Judgement("slow", found.reasons[0], (), (*found.reasons[1:], *found.notes))
    if found.impossible or not found.comparable:
        return Judgement("inconclusive", found.impossible or found.notes[-1], (), found.notes)
    return Judgement("ok", "", (), found.notes)


def test_a_minimum_is_held_against_what_is_sustained_not_against_the_best_row() -> None:
    minimum = Expectation(0.0225, source="--min-busbw")
    found = judged(bench(SHAPED, collective="sendrecv"), minimum)
    assert found.verdict == "slow"
    assert (
        found.reason
        == "out-of-place busbw is 0.01405 GB/s at 512 KiB to 4 MiB, below 0.0225 GB/s (--min-busbw)"
    )


def test_a_sweep_that_collapses_is_not_ok_and_the_sizes_and_figures_are_named() -> None:
    chosen = bench(SHAPED, collective="sendrecv", iterations=None, library="MPI, host memory")
    found = judged(chosen)
    assert found.verdict == "slow"
    assert (
        found.reason
        == "out-of-place busbw falls from 0.0318 GB/s at 8 KiB to 0.01405 GB/s at 512 KiB to 4 MiB"
    )
    large = {size * 256: busbw * 1000 for size, busbw in SHAPED.items()}
    assert "falls from 31.8 GB/s at 2 MiB" not in judged(bench(large)).reason
    assert judged(bench(large)).reason.startswith(
        "out-of-place busbw falls from 26.2 GB/s at 8 MiB to 14.05 GB/s"
    )


def test_what_passes_through_buffers_counts_for_nothing_and_that_is_said() -> None:
    few = {64 * KIB: 0.0602, 256 * KIB: 0.04, 1 * MIB: 0.0355, 4 * MIB: 0.0352}
    found = judged(bench(few, collective="sendrecv", iterations=3, library="MPI, host memory"))
    assert found.verdict == "ok"
    assert any("busbw at 64 KiB to 256 KiB is higher" in note for note in found.notes)


@pytest.mark.parametrize("healthy", [DIP, OUTLIERS, SAGGING])
def test_dips_outliers_and_a_little_sag_are_healthy(healthy: dict[int, float]) -> None:
    level = max(healthy.values())
    assert judged(bench(healthy), Expectation(0.9 * level)).verdict == "ok"


def test_no_log_of_a_healthy_cluster_becomes_slow() -> None:
    for path in sorted(FIXTURES.glob("*.txt")):
        for test in parse_log(path.read_bytes()).tests:
            assert shortfall(test, Expectation()).reasons == (), path.name


def test_one_low_row_at_the_end_is_an_outlier_and_the_same_in_both_placements_is_none() -> None:
    good = {64 * MIB: 300.0, 128 * MIB: 340.0, 256 * MIB: 360.0, 512 * MIB: 361.0, GIB: 360.0}
    low = good | {GIB: 100.0}
    assert judged(bench(low, good)).verdict == "ok"
    found = judged(bench(low, low))
    assert found.verdict == "slow"
    assert "to 100 GB/s at 1 GiB" in found.reason


def test_mpi_collectives_may_lose_half_where_their_algorithm_changes_and_no_more() -> None:
    def over_mpi(end: float, hosts: int = 4) -> str:
        curve = {8 * KIB: 0.0204, 64 * KIB: 0.0202, 512 * KIB: end, 4 * MIB: end}
        return judged(bench(curve, iterations=None, library="MPI, host memory", hosts=hosts)).verdict

    assert over_mpi(0.0111) == "ok"
    assert over_mpi(0.004) == "slow"
    # In the memory of one host, caches are faster than what is behind them.
    assert over_mpi(0.004, hosts=1) == "ok"


def test_rows_above_the_line_count_for_nothing_and_a_large_one_makes_the_run_inconclusive() -> None:
    line = Expectation(0.02, line_gb_s={"sendrecv": LINE_GB_S})
    flattered = {8 * KIB: 0.15, 64 * KIB: 0.09, 512 * KIB: 0.0245, 2 * MIB: 0.0243, 4 * MIB: 0.0244}
    found = judged(bench(flattered, collective="sendrecv", iterations=None, library="MPI, host memory"), line)
    assert found.verdict == "ok"
    above = "busbw of 0.15 GB/s at 8 KiB is above what the line can carry, 0.025 GB/s"
    assert f"{above}: 8 KiB to 64 KiB count for nothing" in found.notes
    wrong = judged(bench({1 * MIB: 0.024, 2 * MIB: 0.1}, collective="sendrecv"), line)
    assert wrong.verdict == "inconclusive"
    assert "at 2 MiB is above what the line can carry" in wrong.reason
    whole = judge(ParsedLog((bench({1 * MIB: 0.024, 2 * MIB: 0.1}, collective="sendrecv"),)), line).overall
    assert whole.verdict == "inconclusive"


def test_what_a_baseline_could_not_sustain_is_no_standard() -> None:
    def sweep(small: float, end: float) -> BenchTest:
        return bench({64 * KIB: small, 256 * KIB: end, 1 * MIB: end, 4 * MIB: end}, collective="sendrecv")

    flattered = Expectation(baseline=baseline_of((sweep(20.0, 3.6),)))
    assert judged(sweep(3.5, 3.6), flattered).verdict == "ok"
    assert judged(sweep(0.5, 3.0), flattered).verdict == "slow"
    assert any("at 64 KiB is 0.5 GB/s" in note for note in judged(sweep(0.5, 3.6), flattered).notes)
    lower = judged(sweep(20.0, 3.0), flattered)
    assert lower.verdict == "slow"
    assert "at 256 KiB is 3 GB/s, 83% of the baseline's 3.6 GB/s" in lower.reason


def test_repeats_that_all_collapse_are_slow() -> None:
    test = bench(
        {8 * MIB: 40.0, 32 * MIB: 41.0, 128 * MIB: 12.0, 512 * MIB: 11.0, 2 * GIB: 11.5},
    )
    slow, ok = (
        report_of(log, judge(log))
        for log in (ParsedLog((test,)), ParsedLog((replace(test, ranks_on_a_gpu=2),)))
    )
    assert (slow.verdict, judge_repeats([slow] * 3).verdict) == ("slow", "slow")
    assert (ok.verdict, judge_repeats([ok] * 3).verdict) == ("ok", "ok")


@given(
    st.lists(st.floats(0.5, 1.0), min_size=1, max_size=14).map(sorted),
    st.integers(3, 26),
    st.floats(0.01, 500.0),
)
def test_a_curve_that_rises_is_never_slow_and_is_judged_at_its_end(
    shares: list[float], first: int, top: float
) -> None:
    curve = {2 ** (first + at): top * share for at, share in enumerate(shares)}
    test = bench(curve)
    assert shortfall(test, Expectation()).reasons == ()
    for plateau in plateaus(test):
        assert plateau.busbw_gb_s >= 0.9 * top * shares[-1]
        assert plateau.sizes_bytes[-1] == max(curve)


@given(st.lists(st.floats(0.01, 1000.0), min_size=1, max_size=20), st.floats(0.01, 1000.0))
def test_no_small_row_lifts_a_sweep_over_a_minimum(values: list[float], end: float) -> None:
    """Whatever stands before the large end: what is judged is never above the end's best."""
    curve = {2 ** (3 + at): value for at, value in enumerate(values)}
    curve |= {2 ** (3 + len(values) + at): end for at in range(3)}
    for plateau in plateaus(bench(curve)):
        assert plateau.busbw_gb_s <= end * 1.1
