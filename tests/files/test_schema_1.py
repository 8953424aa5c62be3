"""Documents of schema 1, as earlier versions stored them, are read as today's."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from clusterboot.document import SCHEMA, parse
from clusterboot.linkmap.formats.reading import read_matrix
from clusterboot.linkmap.resume import read_earlier, resume
from clusterboot.report.saved import read_runs
from clusterboot.schema_1 import upgraded
from clusterboot.verdict.expectation import baseline_from_json

FOLDER = Path(__file__).with_name("schema_1")
STORED = sorted(FOLDER.glob("*.json"))


def data(name: str) -> bytes:
    return (FOLDER / f"{name}.json").read_bytes()


@pytest.mark.parametrize("path", STORED, ids=lambda path: path.stem)
def test_a_stored_document_gets_todays_names(path: Path):
    text = path.read_text(encoding="utf-8")
    assert "gbps" in text or "mbps" in text

    assert parse(text) == json.loads(path.with_suffix(".upgraded").read_text(encoding="utf-8"))


@pytest.mark.parametrize("path", STORED, ids=lambda path: path.stem)
def test_todays_document_stays_as_it_is(path: Path):
    document = parse(path.read_bytes())

    assert upgraded(document, SCHEMA) == document


@pytest.mark.parametrize(
    "document",
    [
        {"schema": "clusterboot/2", "severity": 1.0},
        {"schema": "clusterboot/3", "bandwidth_gbps": [[1.0]]},
        {"env": {"busbw_gbps": "1", "severity": "high"}},
        {"severity": {"cpus": 2}, "notes": {"severity": ["slow to answer"]}},
        {"bandwidth_gb_s": [[1.0]], "bandwidth_gbps": [[2.0]]},
        ["severity", 1.0],
        3,
        None,
    ],
)
def test_what_is_not_of_schema_1_is_not_touched(document: Any):
    """Other schemas, and hosts and variables that are called like a key of schema 1."""
    assert upgraded(document, SCHEMA) == document


def test_a_map_is_read_as_a_report_and_as_a_matrix():
    (run,) = read_runs(data("link-map"), "old")
    assert run.inference is not None
    assert run.inference.findings[0].fraction_of_expected == 0.1032
    assert run.both_gb_s is not None

    matrix = read_matrix(data("link-map"), "old")
    assert matrix.bandwidth_gb_s[0, 1] > 0


def test_a_map_is_gone_on_with(tmp_path: Path):
    (tmp_path / "result.json").write_bytes(data("link-map"))

    state = resume(read_earlier(tmp_path), read_matrix(data("link-map"), "old").nodes)

    assert np.nanmax(state.one_way_gb_s) > 0
    assert state.both_gb_s[0, 1] > 0


def test_a_run_is_read_as_a_report_and_as_a_baseline():
    (run,) = read_runs(data("nccl-test"), "old")
    assert run.tests[0].rows[0].out_of_place is not None
    assert run.tests[0].rows[0].out_of_place.busbw_gb_s == 0.0113

    baseline = baseline_from_json(parse(data("nccl-test")))
    assert {round(busbw, 4) for busbw in baseline.busbw_gb_s.values()} == {0.0111, 0.0113}


def test_parsed_logs_are_read():
    assert read_runs(data("nccl-parse"), "old")[0].tests[0].avg_busbw_gb_s


def test_facts_are_read():
    document = {"schema": "clusterboot/1", "command": "facts", "facts": json.loads(data("nodes"))}

    (run,) = read_runs(json.dumps(document).encode(), "old")

    (rdma,) = (line for line in run.facts if line.fact == "RDMA")
    assert "400 Gbit/s" in rdma.usual


def test_a_table_of_pairs_is_read_under_its_older_columns():
    table = b"sender,receiver,bandwidth_gbps,one_way_gbps,latency_us\na,b,2,1,3\nb,a,4,,\n"

    matrix = read_matrix(table, "old.csv")

    assert (matrix.bandwidth_gb_s[0, 1], matrix.bandwidth_gb_s[1, 0]) == (2, 4)
    assert matrix.one_way_gb_s is not None
    assert matrix.one_way_gb_s[0, 1] == 1
