"""A run that was kept is what later ones are held against; one figure of many that is low is no slowness."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path

import pytest
from baselines import baseline_of
from test_diagnose_repeats import run

from clusterboot.errors import UsageError
from clusterboot.programs.records import ParsedLog, Placement
from clusterboot.verdict.expectation import Expectation
from clusterboot.verdict.kept_baseline import keep_baseline, kept_baseline, with_kept
from clusterboot.verdict.repeats import judge_repeats
from clusterboot.verdict.verdict import judge, report_of

HOSTS = [{"name": f"n{at}", "status": "ok"} for at in range(1, 5)] + [{"name": "n5", "status": "failed"}]


def kept(folder: Path, *busbw_gb_s: float) -> Expectation:
    document = {"backend": "mpi", "started": "2026-01-02T03:04:05Z", "hosts": HOSTS}
    keep_baseline(folder, json.dumps({**document, "tests": [asdict(run(*busbw_gb_s))]}))
    return with_kept(Expectation(), kept_baseline(folder), "mpi")


def test_a_kept_run_is_held_against_later_ones_with_when_and_on_what(tmp_path: Path) -> None:
    assert kept_baseline(tmp_path) is None
    expectation = kept(tmp_path, 50, 100)
    assert expectation.source == "the baseline of 2026-01-02T03:04:05Z on n[1-4], mpi"
    assert judge(ParsedLog((run(50, 100),)), expectation).overall.verdict == "ok"
    assert judge(ParsedLog((run(50, 60),)), expectation).overall.verdict == "slow"


def test_what_was_asked_for_and_another_backend_go_before_the_kept_run(tmp_path: Path) -> None:
    found = kept(tmp_path, 50, 100)
    asked = Expectation(baseline=baseline_of((run(5, 10),)), source="old.json")
    assert with_kept(asked, kept_baseline(tmp_path), "mpi") == asked
    assert with_kept(Expectation(), kept_baseline(tmp_path), "nccl") == Expectation()
    both = with_kept(Expectation(8.0, source="--min-busbw"), kept_baseline(tmp_path), "mpi")
    assert (both.min_busbw_gb_s, both.baseline) == (8.0, found.baseline)
    assert both.source == f"--min-busbw and {found.source}"


def test_a_kept_run_that_does_not_fit_is_a_note_and_no_verdict(tmp_path: Path) -> None:
    expectation = kept(tmp_path, 50, 100)
    fewer = replace(run(50, 100), ranks=run(50, 100).ranks[:2])
    said = judge(ParsedLog((fewer,)), expectation).overall
    assert said.verdict == "ok"
    assert "the baseline has 4 ranks, this run 2" in said.notes
    assert any(note.startswith("bandwidth not judged") for note in said.notes)
    assert expectation.baseline is not None
    asked = replace(expectation, baseline=replace(expectation.baseline, is_kept=False))
    assert judge(ParsedLog((fewer,)), asked).overall.verdict == "inconclusive"


def test_a_kept_run_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    (tmp_path / "baseline.json").write_text('{"tests": []}')
    with pytest.raises(UsageError, match="no benchmark result"):
        kept_baseline(tmp_path)


def test_one_low_figure_of_several_is_a_note_until_repeats_show_it() -> None:
    expectation = Expectation(baseline=baseline_of((run(50, 100),)))
    good = run(50, 100)
    low = Placement(None, 40.0, 40.0, 0)
    odd = replace(good, rows=(*good.rows[:-1], replace(good.rows[-1], out_of_place=low)))
    single = judge(ParsedLog((odd,)), expectation)
    assert single.overall.verdict == "ok"
    (note,) = [note for note in single.overall.notes if "outlier" in note]
    assert "40% of the baseline's 100 GB/s" in note
    assert "--repeat 3" in note
    again = report_of(ParsedLog((odd,)), single)
    assert judge_repeats([again] * 3, expectation).verdict == "slow"
    both = judge(ParsedLog((run(50, 40),)), expectation)
    assert both.overall.verdict == "slow"
