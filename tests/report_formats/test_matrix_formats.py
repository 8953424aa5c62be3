"""Link maps as other programs read them back."""

from __future__ import annotations

import csv
import io
import json
import re
from xml.etree import ElementTree

import pytest

from clusterboot.diagnose.matrix.infer import infer
from clusterboot.diagnose.matrix.reading import read_matrix
from clusterboot.diagnose.matrix.records import Finding, Inference, PairMatrix
from clusterboot.report.matrix_formats import findings_to_junit, matrix_to_prometheus, pairs_to_csv
from operator_fixture import Operator

NASTY = '=1+1"\\<&x>'
_SAMPLE = re.compile(r'[a-z_]+\{(?:[a-z_]+="(?:[^"\\\n]|\\["\\n])*",?)*\} (?:-?[\d.e+-]+|nan)')


def matrix(*names: str) -> PairMatrix:
    """Six nodes of 10 GB/s, of which the third sends at 3 and the pair of the fifth and sixth is dead."""
    rows = [
        [None if at == to else 0 if (at, to) == (4, 5) else 3.0 if at == 2 else 10.0 for to in range(6)]
        for at in range(6)
    ]
    nodes = [*names, *"abcdef"[len(names) :]]
    return read_matrix(json.dumps({"nodes": nodes, "bandwidth_gbps": rows}).encode(), "m")


def parsed(text: str) -> ElementTree.Element:
    return ElementTree.fromstring(text)  # noqa: S314  # our own output


def test_csv_has_a_line_for_each_measured_direction() -> None:
    found = matrix(NASTY)
    rows = list(csv.DictReader(io.StringIO(pairs_to_csv("m", found, infer(found)))))
    assert len(rows) == 30
    assert rows[0] == {
        "path": "m",
        "sender": "'" + NASTY,
        "receiver": "b",
        "bandwidth_gbps": "10.0",
        "latency_us": "",
    }
    assert [row["receiver"] for row in rows if row["bandwidth_gbps"] == "0.0"] == ["f"]


def test_junit_fails_the_nodes_and_links_that_are_named() -> None:
    found = matrix(NASTY)
    root = parsed(findings_to_junit("m", found, infer(found)))
    assert (root.get("tests"), root.get("failures"), root.get("errors")) == ("7", "2", "0")
    failed = {case.get("name"): case.find("failure") for case in root.iter("testcase")}
    assert {name for name, failure in failed.items() if failure is not None} == {"c", "link e-f out"}
    assert failed["c"] is not None
    assert "c sends 3 GB/s" in str(failed["c"].get("message"))
    assert NASTY in failed


def test_junit_makes_what_is_open_an_error() -> None:
    open_ = Finding("node", ("a", "b"), "both", 0.5, "one of two", next_pairs=(("a", "c"),))
    unmeasured = Finding("node", ("f",), "both", None, "not measured")
    found = matrix()
    root = parsed(findings_to_junit("m", found, Inference("slow", (open_, unmeasured))))
    assert (root.get("tests"), root.get("failures"), root.get("errors")) == ("7", "0", "2")
    nothing = parsed(findings_to_junit("m", found, Inference("inconclusive", (), ("why",))))
    assert (nothing.get("errors"), nothing.find(".//error").get("message")) == ("1", "why")  # type: ignore[union-attr]


def test_prometheus_has_the_verdict_each_finding_and_each_nodes_median() -> None:
    found = matrix(NASTY)
    unmeasured = Finding("node", ("f",), "both", None, "not measured")
    text = matrix_to_prometheus("m", found, Inference("slow", (*infer(found).findings, unmeasured)))
    samples = [line for line in text.splitlines() if not line.startswith("#")]
    assert all(_SAMPLE.fullmatch(line) for line in samples)
    assert 'clusterboot_links_verdict{path="m",verdict="slow"} 1' in samples
    assert 'clusterboot_links_severity{path="m",kind="link",hosts="e-f",direction="out"} 0' in samples
    assert 'clusterboot_links_severity{path="m",kind="node",hosts="f",direction="both"} nan' in samples
    assert (
        'clusterboot_links_bandwidth_bytes_per_second{path="m",node="c",direction="out"} 3000000000'
        in samples
    )
    assert len({line.split()[0] for line in samples}) == len(samples)


@pytest.mark.parametrize(
    ("name", "begins"),
    [("csv", "path,sender"), ("junit", "<?xml"), ("prometheus", "# HELP clusterboot_links")],
)
def test_diagnose_prints_one_format_and_nothing_else(operator: Operator, name: str, begins: str) -> None:
    operator.write("m.csv", "from,a,b,c\na,,9,9\nb,9,,9\nc,9,9,\n")
    done = operator.run("diagnose", "m.csv", "--format", name)
    assert done.stdout.startswith(begins)
    assert operator.run("diagnose", "m.csv", "--format", "xml").returncode == 2
