"""Results as other programs read them back: csv, XML and Prometheus' format."""

from __future__ import annotations

import csv
import io
import re
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest

from clusterboot.programs.nccl_tests.parser import parse_log
from clusterboot.programs.records import LogReport, Problem
from clusterboot.report.about import About
from clusterboot.report.to_csv import CSV_COLUMNS, to_csv
from clusterboot.report.to_junit import to_junit
from clusterboot.report.to_prometheus import to_prometheus
from clusterboot.verdict.verdict import judge, report_of

FIXTURES = Path(__file__).parents[1] / "programs/fixtures"
# Everything that one of the formats would stumble over.
NASTY = 'logs/a"b\\c\n<&x>,;\x1b[31m=1+1.txt'
ABOUT = About("nccl-parse")
_SAMPLE = re.compile(r'[a-z_]+\{(?:[a-z_]+="(?:[^"\\\n]|\\["\\n])*",?)*\} -?[\d.e+-]+')


def report(name: str, path: str | None = "run.log") -> LogReport:
    log = parse_log((FIXTURES / f"{name}.txt").read_bytes())
    return report_of(log, judge(log), path)


def read_csv(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def test_csv_has_a_line_for_each_size_and_placement() -> None:
    rows = read_csv(to_csv(ABOUT, report("wrong_data")))
    assert list(rows[0]) == list(CSV_COLUMNS)
    assert [row["placement"] for row in rows[:2]] == ["out_of_place", "in_place"]
    assert len(rows) == 12
    assert rows[0]["size_bytes"] == "1024"
    assert {row["verdict"] for row in rows} == {"wrong-data"}
    assert sum(int(row["wrong"]) for row in rows) == 1_000_000


def test_csv_leaves_blank_what_the_log_does_not_say() -> None:
    first = read_csv(to_csv(ABOUT, report("layout_1_broadcast_one_half", None)))[0]
    assert (first["path"], first["redop"], first["root"], first["wrong"]) == ("", "", "0", "")
    assert {row["placement"] for row in read_csv(to_csv(ABOUT, report("rccl_only_in_place")))} == {"in_place"}
    alone = read_csv(to_csv(ABOUT, report("too_few_gpus")))
    assert [(row["test"], row["verdict"], row["size_bytes"]) for row in alone] == [("1", "inconclusive", "")]


def test_csv_holds_no_formula_and_no_line_break_of_a_file_name() -> None:
    text = to_csv(ABOUT, report("wrong_data", "=cmd|' /C calc'!A0\nx"))
    assert read_csv(text)[0]["path"] == "'=cmd|' /C calc'!A0 x"


@pytest.mark.parametrize(
    ("name", "counts", "kind"),
    [
        ("two_tests", ("2", "0", "0"), None),
        ("wrong_data", ("1", "1", "0"), "failure"),
        ("truncated_mid_row", ("1", "0", "1"), "error"),
        ("ssh_and_daemon", ("1", "0", "1"), "error"),
        ("fail_exit_after_the_footer", ("2", "1", "0"), "failure"),
    ],
)
def test_junit_counts_verdicts(name: str, counts: tuple[str, str, str], kind: str | None) -> None:
    root = ElementTree.fromstring(to_junit(ABOUT, report(name)))  # noqa: S314
    assert (root.get("tests"), root.get("failures"), root.get("errors")) == counts
    told = [child for case in root.iter("testcase") for child in case]
    assert [child.tag for child in told] == ([kind] if kind else [])
    if kind:
        assert told[0].get("type") == report(name).verdict


def test_junit_numbers_a_collective_that_comes_again_and_names_hosts() -> None:
    cases = ElementTree.fromstring(to_junit(ABOUT, report("jobs_of_one_rank_one_a_node"))).iter("testcase")  # noqa: S314
    assert [case.get("name") for case in cases] == ["unknown", "unknown 2", "unknown 3"]
    assert "gpu002: line 30: nccl-error" in to_junit(ABOUT, report("nccl_failure"))


def test_junit_is_xml_whatever_the_words_are() -> None:
    clean = report("no_slots", NASTY)
    problems = (Problem("no-slots", "]]>\x00\x0b<&\ud800", "\x07&"),)
    nasty = clean.with_overall(replace(clean.judgement.overall, problems=problems))
    case = next(ElementTree.fromstring(to_junit(ABOUT, nasty)).iter("testcase"))  # noqa: S314
    assert case.get("classname") == 'logs/a"b\\c\n<&x>,;=1+1.txt'


def test_prometheus_gives_base_units_and_one_verdict() -> None:
    text = to_prometheus(ABOUT, report("all_reduce_219_per_iteration"))
    assert text.count('verdict="ok"} 1') == 1
    last = parse_log((FIXTURES / "all_reduce_219_per_iteration.txt").read_bytes()).tests[0].rows[-1]
    assert last.out_of_place is not None
    assert last.out_of_place.busbw_gb_s is not None
    (line,) = [
        line
        for line in text.splitlines()
        if line.startswith("clusterboot_collective_busbw") and '"out_of' in line
    ]
    assert float(line.rpartition(" ")[2]) == pytest.approx(last.out_of_place.busbw_gb_s * 1e9)
    assert f'size_bytes="{last.size_bytes}"' in line


@pytest.mark.parametrize(
    "name", ["wrong_data", "two_tests", "no_slots", "three_cycles", "all_operations", "empty"]
)
def test_prometheus_lines_are_in_its_grammar_and_no_sample_comes_twice(name: str) -> None:
    lines = to_prometheus(ABOUT, report(name, NASTY)).splitlines()
    samples = [line for line in lines if not line.startswith("#")]
    assert all(_SAMPLE.fullmatch(line) for line in samples)
    assert len({line.rpartition(" ")[0] for line in samples}) == len(samples)
    helped = [line.split()[2] for line in lines if line.startswith("# HELP")]
    assert len(helped) == len(set(helped))


def test_every_format_says_that_shared_gpus_measure_no_bandwidth() -> None:
    shared = report("collbench_shared_gpu")
    assert shared.verdict == "ok"
    rows = read_csv(to_csv(ABOUT, shared))
    assert {(row["library"], row["shares_gpus"]) for row in rows} == {("NCCL 2.21.5, GPU memory", "yes")}
    (case,) = ElementTree.fromstring(to_junit(ABOUT, shared)).iter("testcase")  # noqa: S314
    properties = {each.get("name"): each.get("value") for each in case.iter("property")}
    assert properties == {"library": "NCCL 2.21.5, GPU memory", "shares_gpus": "no measure of bandwidth"}
    text = to_prometheus(ABOUT, shared)
    labels = 'cluster="",backend="nccl",path="run.log",test="1",collective="all_reduce"'
    sample = f"clusterboot_collective_shares_gpus{{{labels}}}"
    assert f"{sample} 1" in text
    assert "busbw_bytes_per_second" not in text
    own = to_prometheus(ABOUT, report("collbench_nccl"))
    assert f"{sample} 0" in own
    assert "busbw_bytes_per_second" in own
