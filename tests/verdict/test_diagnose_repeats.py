"""Several runs: the median counts, and too wide a spread is no slowness."""

from __future__ import annotations

from dataclasses import replace

import pytest
from baselines import baseline_of

from clusterboot.programs.records import (
    BenchTest,
    Judgement,
    LogReport,
    ParsedLog,
    Placement,
    Rank,
    Row,
    Sweep,
)
from clusterboot.verdict.bandwidth import changes
from clusterboot.verdict.expectation import Expectation
from clusterboot.verdict.repeats import judge_repeats, spreads
from clusterboot.verdict.verdict import judge, report_of

MIB = 1024**2


def run(*busbw_gb_s: float, wrong: int = 0, lost: bool = False) -> BenchTest:
    sizes = [MIB * 16**at for at in range(len(busbw_gb_s))]
    rows = tuple(
        Row(size, size // 4, "float", "sum", -1, place, place)
        for size, busbw in zip(sizes, busbw_gb_s, strict=True)
        for place in (Placement(None, busbw, busbw, wrong),)
    )
    ranks = tuple(Rank(at, f"n{at // 2}", at % 2, 0, at) for at in range(4))
    sweep = Sweep(sizes[0], sizes[-1], 16, by_factor=True)
    test = BenchTest(
        "all_reduce", layout="2.13", ranks=ranks, sweep=sweep, rows=rows, out_of_bounds=0, concluded=True
    )
    return replace(test, rows=rows[:-1]) if lost else test


def all_of(expectation: Expectation, *tests: BenchTest) -> Judgement:
    return judge_repeats([report(test, expectation) for test in tests], expectation)


def report(test: BenchTest, expectation: Expectation | None = None) -> LogReport:
    log = ParsedLog((test,))
    return report_of(log, judge(log, expectation))


def test_one_slow_run_of_three_does_not_make_the_whole_slow() -> None:
    minimum = Expectation(90.0, source="--min-busbw")
    assert all_of(minimum, run(50, 100), run(50, 88), run(50, 101)).verdict == "ok"
    slow = all_of(minimum, run(50, 85), run(50, 88), run(50, 86))
    assert slow.verdict == "slow"
    assert any("median 86 GB/s of 3 runs, spread 3%" in note for note in slow.notes)


def test_a_spread_that_is_too_wide_is_inconclusive_not_slow() -> None:
    judged = all_of(Expectation(90.0), run(50, 60), run(50, 80), run(50, 100))
    assert judged.verdict == "inconclusive"
    assert "spread 50%" in judged.reason
    # Where even so the median is high enough, nothing is to be said against it.
    assert all_of(Expectation(70.0), run(50, 60), run(50, 80), run(50, 100)).verdict == "ok"


@pytest.mark.parametrize(
    ("odd", "verdict"), [(run(50, 100, wrong=3), "wrong-data"), (run(50, 100, lost=True), "inconclusive")]
)
def test_what_one_run_met_is_not_outvoted(odd: BenchTest, verdict: str) -> None:
    judged = all_of(Expectation(10.0), run(50, 100), odd, run(50, 100))
    assert judged.verdict == verdict
    assert judged.reason.startswith("run 2 of 3: ")


def test_median_and_spread_are_those_of_the_plateaus() -> None:
    reports = [report(run(1, each)) for each in (100.0, 90.0, 104.0)]
    out_of_place = spreads(reports)[0]
    assert (out_of_place.median_gb_s, out_of_place.runs_gb_s) == (100.0, (100.0, 90.0, 104.0))
    assert out_of_place.spread == pytest.approx(0.14)
    assert not out_of_place.wide


def test_a_change_counts_beyond_what_the_baselines_own_repeats_differ_by() -> None:
    steady = baseline_of((run(50, 100), run(50, 101), run(50, 99)))
    noisy = baseline_of((run(50, 100), run(50, 115), run(50, 85)))
    now = run(50, 80)
    assert [change.beyond_noise for change in changes(now, steady)] == [False, True] * 2
    assert [change.beyond_noise for change in changes(now, noisy)] == [False, False] * 2
    worse = judge(ParsedLog((now,)), Expectation(baseline=steady)).overall
    assert worse.verdict == "slow"
    assert "80% of the baseline's 100 GB/s" in worse.reason
    better = judge(ParsedLog((run(50, 130),)), Expectation(baseline=steady)).overall
    assert better.verdict == "ok"
    assert any("better beyond noise" in note for note in better.notes)
    same = judge(ParsedLog((run(50, 100),)), Expectation(baseline=steady)).overall
    assert "4 of 4 figures are within noise of the baseline" in same.notes


@pytest.mark.parametrize(
    ("before", "now", "is_change"),
    [
        # collbench prints four decimals below 1.
        (0.009, 0.001, True),
        (0.009, 0.0085, False),
        (0.001, 0.009, True),
        # nccl-tests prints two: what 0.00 and 0.01 stand for may be the same.
        (0.01, 0.001, True),
        (0.01, 0.0, False),
        (0.02, 0.0, True),
        (0.10, 0.10, False),
        (0.10, 0.08, True),
    ],
)
def test_a_change_of_a_tiny_rate_counts_as_far_as_its_digits_tell(
    before: float, now: float, is_change: bool
) -> None:
    found = changes(run(before, before, now), baseline_of([run(before, before, before)]))
    assert [change.beyond_noise for change in found] == [False, False, is_change] * 2


def test_a_baselines_times_tell_more_than_its_printed_figures() -> None:
    def over(time_us: float) -> BenchTest:
        test = run(1, 1)
        size = test.rows[-1].size_bytes
        exact = size / time_us / 1e3 * 1.5
        place = Placement(time_us, round(exact / 1.5, 2), round(exact, 2), 0)
        row = replace(test.rows[-1], out_of_place=place, in_place=place)
        return replace(test, rows=(replace(row, size_bytes=size),))

    # 0.004 GB/s, printed as 0.00, and a tenth of it.
    before, now = over(6_291_456.0), over(62_914_560.0)
    assert before.rows[0].out_of_place is not None
    assert before.rows[0].out_of_place.busbw_gb_s == 0
    assert [change.beyond_noise for change in changes(now, baseline_of([before]))] == [True] * 2
    assert [change.beyond_noise for change in changes(before, baseline_of([before]))] == [False] * 2


def test_the_median_of_runs_is_held_against_a_baseline_size_by_size() -> None:
    before = Expectation(baseline=baseline_of((run(50, 100),)))
    assert all_of(before, run(50, 70), run(50, 99), run(50, 98)).verdict == "ok"
    assert all_of(before, run(50, 70), run(50, 75), run(50, 98)).verdict == "inconclusive"
    assert all_of(before, run(50, 70), run(50, 75), run(50, 72)).verdict == "slow"
