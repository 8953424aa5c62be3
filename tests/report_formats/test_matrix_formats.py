"""Link maps as other programs read them back."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable
from xml.etree import ElementTree

import numpy as np

from clusterboot.linkmap.inference.infer import infer
from clusterboot.linkmap.map_ending import map_ending
from clusterboot.linkmap.pair_matrix import PairMatrix
from clusterboot.report.about import About
from clusterboot.report.to_csv import MATRIX_COLUMNS, matrix_to_csv
from clusterboot.report.to_junit import matrix_to_junit
from clusterboot.report.to_prometheus import matrix_to_prometheus

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


def written(form: Callable[..., str], matrix: PairMatrix) -> str:
    inference = infer(matrix)
    code = 0 if inference.verdict == "ok" else 6
    about = About("link-map", code, map_ending(matrix, inference), cluster="a", backend="mpi")
    return form(about, (matrix, inference))


def test_csv_has_a_line_for_each_direction_and_no_formula() -> None:
    lines = list(csv.DictReader(io.StringIO(written(matrix_to_csv, a_map()))))
    assert tuple(lines[0]) == MATRIX_COLUMNS
    assert len(lines) == 30
    assert {line["sender"] for line in lines} == {"'=cmd()", "b", "c", "d", 'e"<', "f"}
    (dead,) = [line for line in lines if (line["sender"], line["receiver"]) == ("c", "d")]
    assert (dead["bandwidth_gb_s"], dead["one_way_gb_s"], dead["latency_us"]) == ("0", "", "")
    assert [line["latency_us"] for line in lines if line["latency_us"]] == ["2.5"]


def test_junit_fails_the_bad_node_and_the_bad_link_and_passes_the_others() -> None:
    matrix = a_map()
    root = ElementTree.fromstring(written(matrix_to_junit, matrix))  # noqa: S314
    cases = {str(case.get("name")): case for case in root.iter("testcase")}
    assert set(cases) == {*NODES, "link c with d"}
    assert {name for name, case in cases.items() if case.find("failure") is not None} == {
        "b",
        "link c with d",
    }
    assert (root.get("tests"), root.get("failures"), root.get("errors")) == ("7", "2", "0")
    told = cases["b"].find("failure")
    assert told is not None
    assert "10% of the expected" in str(told.get("message"))


def test_junit_says_where_nothing_can_be_concluded() -> None:
    matrix = PairMatrix(("a", "b", "c"), np.full((3, 3), np.nan))
    root = ElementTree.fromstring(written(matrix_to_junit, matrix))  # noqa: S314
    assert (root.get("errors"), root.get("failures")) == ("3", "0")


def test_prometheus_has_verdict_findings_and_pairs_in_base_units() -> None:
    matrix = a_map()
    text = written(matrix_to_prometheus, matrix)
    line = re.compile(r'clusterboot_(?:link|node|run)_\w+(\{(\w+="([^"\\\n]|\\.)*",?)*\}) [0-9.e+-]+')
    samples = [each for each in text.splitlines() if not each.startswith("#")]
    assert all(line.fullmatch(each) for each in samples)
    assert 'clusterboot_link_verdict{cluster="a",backend="mpi",verdict="slow"} 1' in samples
    of = 'cluster="a",backend="mpi",'
    finding = f'{of}kind="node",hosts="b",where="",direction="both",certain="1"'
    assert f"clusterboot_link_finding_of_expected_ratio{{{finding}}} 0.1" in samples
    assert f'clusterboot_link_bandwidth_bytes_per_second{{{of}sender="c",receiver="d"}} 0' in samples
    assert f'clusterboot_link_latency_seconds{{{of}sender="=cmd()",receiver="c"}} 2.5e-06' in samples


def test_a_map_of_many_nodes_has_medians_and_counts_in_place_of_pairs() -> None:
    nodes = 300
    rates = np.full((nodes, nodes), 12.0)
    np.fill_diagonal(rates, np.nan)
    rates[7, :] = rates[:, 7] = np.nan
    rates[0, 1] = 0.0
    matrix = PairMatrix(tuple(f"n{at}" for at in range(nodes)), rates, rates * 1.0)
    samples = written(matrix_to_prometheus, matrix).splitlines()
    assert len(samples) < 6 * nodes
    of = 'cluster="a",backend="mpi",'
    median = "clusterboot_node_median_bandwidth_bytes_per_second"
    assert f'{median}{{{of}node="n3",direction="out"}} 1.2e+10' in samples
    assert not [line for line in samples if line.startswith(f"{median}{{") and 'node="n7"' in line]
    counts = {"measured": 300 * 299 // 2 - 299, "dead": 1, "not_measured": 299}
    assert {f'clusterboot_link_pairs{{{of}state="{state}"}} {n}' for state, n in counts.items()} <= {*samples}
