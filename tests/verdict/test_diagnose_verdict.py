"""What may be concluded from a run, and what may not."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from baselines import baseline_of

from clusterboot.errors import UsageError
from clusterboot.programs.bench_options import BenchOptions
from clusterboot.programs.nccl_tests.parser import parse_log
from clusterboot.programs.records import BenchTest, ParsedLog, Placement, Problem, Rank, Row, Sweep, Verdict
from clusterboot.run.runend import RunEnd
from clusterboot.verdict.as_json import to_json
from clusterboot.verdict.bandwidth import plateaus
from clusterboot.verdict.expectation import Expectation, baseline_from_json
from clusterboot.verdict.verdict import judge, report_of

KIB, MIB = 1024, 1024**2
BUSBW = {KIB: 0.5, 64 * KIB: 20.0, 4 * MIB: 90.0, 256 * MIB: 100.0}
OPTIONS = BenchOptions(("all_reduce",), KIB, 256 * MIB, 64)


def row(size_bytes: int, out_of_place: float, in_place: float, wrong: int | None = 0) -> Row:
    def place(busbw_gb_s: float) -> Placement:
        return Placement(None, busbw_gb_s, busbw_gb_s, wrong)

    return Row(size_bytes, size_bytes // 4, "float", "sum", -1, place(out_of_place), place(in_place))


def bench(busbw: dict[int, float] = BUSBW, **changes: object) -> BenchTest:
    test = BenchTest(
        "all_reduce",
        layout="2.13",
        ranks=tuple(Rank(n, f"gpu00{n // 2 + 1}", n % 2, 0, 100 + n) for n in range(4)),
        sweep=Sweep(KIB, 256 * MIB, 64, by_factor=True),
        rows=tuple(row(size, speed, speed) for size, speed in busbw.items()),
        avg_busbw_gb_s=1.0,
        out_of_bounds=0,
        concluded=True,
    )
    return replace(test, **changes)  # type: ignore[arg-type]


def verdict(test: BenchTest, expectation: Expectation | None = None, ended: RunEnd | None = None) -> Verdict:
    return judge(ParsedLog((test,)), expectation, ended).overall.verdict


def test_a_complete_table_with_nothing_to_compare_is_ok_and_says_so() -> None:
    overall = judge(ParsedLog((bench(),)), ended=RunEnd("exited", 0), options=OPTIONS, ranks=4).overall
    assert overall.verdict == "ok"
    assert any(note.startswith("bandwidth not judged: ") for note in overall.notes)


@pytest.mark.parametrize(
    "lacking",
    [
        {"concluded": False},
        {"rows": ()},
        {"rows": bench().rows[:-1]},
        {"rows": bench().rows[1:]},
        {"rows": (*bench().rows, bench().rows[0])},
        {"broken_rows": 1},
        {"sweep": None},
    ],
)
def test_a_clean_exit_does_not_make_up_for_what_is_missing(lacking: dict[str, object]) -> None:
    overall = judge(ParsedLog((bench(BUSBW, **lacking),)), ended=RunEnd("exited", 0)).overall
    assert overall.verdict == "inconclusive"
    assert [problem.kind for problem in overall.problems] == ["truncated"]


def test_every_op_root_and_cycle_needs_its_own_full_set_of_rows() -> None:
    rows = bench().rows
    other = tuple(replace(each, redop="max") for each in rows)
    assert verdict(bench(rows=rows + other)) == "ok"
    assert verdict(bench(rows=rows + rows)) == "ok"
    assert verdict(bench(rows=rows + other[:-1])) == "inconclusive"


def test_rows_are_expected_only_up_to_a_reduced_size() -> None:
    assert verdict(bench(rows=bench().rows[:-1], reduced_to_bytes=128 * MIB)) == "ok"
    assert verdict(bench(rows=bench().rows[:-2], reduced_to_bytes=128 * MIB)) == "inconclusive"


@pytest.mark.parametrize(
    "ended", [RunEnd("exited", 0), RunEnd("exited", 1), RunEnd("timed-out"), RunEnd("interrupted")]
)
def test_wrong_data_beats_everything(ended: RunEnd) -> None:
    spoilt = (row(KIB, 0.5, 0.5, wrong=3), *bench().rows[1:2])
    cuda = (Problem("cuda-error", "Test CUDA failure", "…", "gpu001", 9),)
    assert verdict(bench(rows=spoilt, problems=cuda, concluded=False), ended=ended) == "wrong-data"
    assert verdict(bench(out_of_bounds=2), ended=ended) == "wrong-data"


@pytest.mark.parametrize(
    ("ended", "expected"),
    [
        (RunEnd("exited", 0), "inconclusive"),
        (RunEnd("exited", 137), "failed"),
        (RunEnd("timed-out"), "hung"),
        (RunEnd("interrupted"), "inconclusive"),
        (RunEnd(), "inconclusive"),
    ],
)
def test_half_a_table_is_judged_by_how_the_run_ended(ended: RunEnd, expected: Verdict) -> None:
    assert verdict(bench(rows=bench().rows[:2], concluded=False), ended=ended) == expected


@pytest.mark.parametrize(
    ("ended", "expected"),
    [(RunEnd("exited", 7), "failed"), (RunEnd("timed-out"), "hung"), (RunEnd("interrupted"), "inconclusive")],
)
def test_a_full_table_is_not_ok_when_the_run_did_not_end_well(ended: RunEnd, expected: Verdict) -> None:
    assert verdict(bench(), ended=ended) == expected


@pytest.mark.parametrize(
    ("ended", "expected"),
    [
        (RunEnd("could-not-launch", detail="no slots"), "could-not-launch"),
        (RunEnd("exited", 213), "could-not-launch"),
        (RunEnd("timed-out"), "could-not-launch"),
        (RunEnd("exited", 0), "inconclusive"),
        (RunEnd(), "inconclusive"),
    ],
)
def test_output_without_any_test_is_judged_by_how_the_run_ended(ended: RunEnd, expected: Verdict) -> None:
    assert judge(ParsedLog(), ended=ended).overall.verdict == expected


def test_how_the_run_ended_says_nothing_of_a_test_that_was_over_before() -> None:
    log = ParsedLog((bench(), bench(rows=bench().rows[:1], concluded=False)))
    judged = judge(log, ended=RunEnd("timed-out"))
    assert [test.verdict for test in judged.tests] == ["ok", "hung"]
    assert judged.overall.verdict == "hung"


def test_a_collective_or_rank_that_was_asked_for_and_is_not_there_is_missed() -> None:
    two = replace(OPTIONS, collectives=("all_reduce", "alltoall"))
    overall = judge(ParsedLog((bench(),)), options=two).overall
    assert overall.verdict == "inconclusive"
    assert "alltoall" in overall.reason
    assert judge(ParsedLog((bench(),)), ranks=8).overall.verdict == "inconclusive"


def test_bandwidth_is_judged_at_the_plateau_not_by_the_sweeps_average() -> None:
    slow_small = {KIB: 0.001, 64 * KIB: 0.01, 4 * MIB: 97.0, 256 * MIB: 100.0}
    assert verdict(bench(slow_small), Expectation(95.0)) == "ok"
    assert verdict(bench(slow_small), Expectation(99.0)) == "slow"
    assert [found.sizes_bytes for found in plateaus(bench(slow_small))] == [(4 * MIB, 256 * MIB)] * 2


def test_each_placement_must_reach_the_minimum() -> None:
    rows = tuple(row(size, speed, speed / 2) for size, speed in BUSBW.items())
    overall = judge(ParsedLog((bench(rows=rows),)), Expectation(90.0, source="--min-busbw")).overall
    assert overall.verdict == "slow"
    assert "in-place" in overall.reason
    assert "--min-busbw" in overall.reason


def test_in_place_figures_of_a_collective_without_an_in_place_form_are_not_judged() -> None:
    rows = tuple(row(size, speed, speed / 2) for size, speed in BUSBW.items())
    assert verdict(bench(rows=rows, collective="sendrecv"), Expectation(90.0)) == "ok"


def test_a_minimum_for_one_collective_does_not_judge_another() -> None:
    assert verdict(bench(), Expectation({"alltoall": 500.0})) == "ok"
    assert verdict(bench(), Expectation({"all_reduce": 500.0})) == "slow"


def test_slow_links_are_judged_by_time_where_two_decimals_are_too_coarse() -> None:
    place = Placement(time_us=8_800_000.0, algbw_gb_s=0.03, busbw_gb_s=0.05, wrong=0)
    coarse = (replace(bench().rows[-1], out_of_place=place, in_place=place),)
    test = bench(rows=coarse, sweep=Sweep(256 * MIB, 256 * MIB, 2, by_factor=True))
    assert plateaus(test)[0].busbw_gb_s == pytest.approx(0.04576, rel=1e-3)
    assert verdict(test, Expectation(0.049)) == "slow"


def test_against_a_baseline_each_size_is_compared_with_its_own() -> None:
    baseline = baseline_of((bench(),))
    assert verdict(bench(), Expectation(baseline=baseline)) == "ok"
    dropped = judge(ParsedLog((bench({**BUSBW, 4 * MIB: 70.0}),)), Expectation(baseline=baseline)).overall
    assert dropped.verdict == "slow"
    assert "4 MiB" in dropped.reason
    # Latency differs from run to run; only a collapse counts below the plateau.
    assert verdict(bench({**BUSBW, 64 * KIB: 13.0}), Expectation(baseline=baseline)) == "ok"
    assert verdict(bench({**BUSBW, 64 * KIB: 3.0}), Expectation(baseline=baseline)) == "slow"


def test_a_baseline_that_does_not_fit_proves_nothing() -> None:
    other = replace(bench(), ranks=bench().ranks[:2])
    assert verdict(bench(), Expectation(baseline=baseline_of((other,)))) == "inconclusive"
    alltoall = replace(bench(), collective="alltoall")
    assert verdict(bench(), Expectation(baseline=baseline_of((alltoall,)))) == "inconclusive"


def test_a_saved_result_is_a_baseline() -> None:
    path = Path(__file__).parents[1] / "programs/fixtures/two_tests.txt"
    log = parse_log(path.read_bytes())
    saved = json.loads(json.dumps(to_json(report_of(log, judge(log)))))
    for document in (saved, {"files": [saved]}):
        assert baseline_from_json(document) == baseline_of(log.tests)


@pytest.mark.parametrize("document", [{}, [], None, {"tests": []}, {"tests": [{"rows": 3}]}, {"files": 3}])
def test_anything_else_is_refused_as_a_baseline(document: object) -> None:
    with pytest.raises(UsageError):
        baseline_from_json(document)


def test_a_minimum_set_in_the_benchmark_itself_counts_only_in_a_complete_table() -> None:
    below = (Problem("min-bandwidth", "Avg bus bandwidth : 1 FAILED", "…"),)
    assert verdict(bench(problems=below)) == "slow"
    assert verdict(bench(problems=below, rows=bench().rows[:1])) == "inconclusive"


def test_a_size_that_the_sweep_does_not_have_is_no_complete_table() -> None:
    odd = {KIB: 0.5, 32 * KIB: 20.0, 4 * MIB: 90.0, 256 * MIB: 100.0}
    assert verdict(bench(odd)) == "inconclusive"
