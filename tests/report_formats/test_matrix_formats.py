"""Link maps as other programs read them back."""

from __future__ import annotations

import csv
import io
import re
from xml.etree import ElementTree

import numpy as np

from clusterboot.linkmap.inference.infer import infer
from clusterboot.linkmap.pair_matrix import PairMatrix
from clusterboot.report.formats import (
    MATRIX_COLUMNS,
    matrix_to_csv,
    matrix_to_junit,
    matrix_to_prometheus,
)

NODES = ("=cmd()", "b", "c", "d", 'e"<', "f")


def a_map() -> PairMatrix:
    rates = np.full((6, 6), 12.0)
    np.fill_diagonal(rates, np.nan)
    rates[1, :] = rates[:, 1] = 1.2
    rates[1, 1] = np.nan
    rates[2, 3] = rates[3, 2] = 0.0
    latency = np.full((6, 6), np.nan)
    latency[0, 2] = 2.5
    return PairMatrix(NODES, rates, latency)


def test_csv_has_a_line_for_each_direction_and_no_formula() -> None:
    lines = list(csv.DictReader(io.StringIO(matrix_to_csv(a_map()))))
    assert tuple(lines[0]) == MATRIX_COLUMNS
    assert len(lines) == 30
    assert {line["sender"] for line in lines} == {"'=cmd()", "b", "c", "d", 'e"<', "f"}
    (dead,) = [line for line in lines if (line["sender"], line["receiver"]) == ("c", "d")]
    assert (dead["bandwidth_gb_s"], dead["one_way_gb_s"], dead["latency_us"]) == ("0", "", "")
    assert [line["latency_us"] for line in lines if line["latency_us"]] == ["2.5"]


def test_junit_fails_the_bad_node_and_the_bad_link_and_passes_the_others() -> None:
    matrix = a_map()
    root = ElementTree.fromstring(matrix_to_junit(matrix, infer(matrix)))  # noqa: S314
    cases = {str(case.get("name")): case for case in root.iter("testcase")}
    assert set(cases) == {*NODES, "link c-d"}
    assert {name for name, case in cases.items() if case.find("failure") is not None} == {"b", "link c-d"}
    assert (root.get("tests"), root.get("failures"), root.get("errors")) == ("7", "2", "0")
    told = cases["b"].find("failure")
    assert told is not None
    assert "10% of the expected" in str(told.get("message"))


def test_junit_says_where_nothing_can_be_concluded() -> None:
    matrix = PairMatrix(("a", "b", "c"), np.full((3, 3), np.nan))
    root = ElementTree.fromstring(matrix_to_junit(matrix, infer(matrix)))  # noqa: S314
    assert (root.get("errors"), root.get("failures")) == ("3", "0")


def test_prometheus_has_verdict_findings_and_pairs_in_base_units() -> None:
    matrix = a_map()
    text = matrix_to_prometheus(matrix, infer(matrix))
    line = re.compile(r'clusterboot_link_\w+(\{(\w+="([^"\\\n]|\\.)*",?)*\}) [0-9.e+-]+')
    samples = [each for each in text.splitlines() if not each.startswith("#")]
    assert all(line.fullmatch(each) for each in samples)
    assert 'clusterboot_link_verdict{verdict="slow"} 1' in samples
    finding = 'kind="node",hosts="b",where="",direction="both",certain="1"'
    assert f"clusterboot_link_finding_of_expected_ratio{{{finding}}} 0.1" in samples
    assert 'clusterboot_link_bandwidth_bytes_per_second{sender="c",receiver="d"} 0' in samples
    assert 'clusterboot_link_latency_seconds{sender="=cmd()",receiver="c"} 2.5e-06' in samples
