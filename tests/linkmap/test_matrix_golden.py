"""Each fixture is a matrix, and beside it what an administrator should be told about it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from clusterboot.linkmap.formats.json import matrix_to_json
from clusterboot.linkmap.formats.reading import read_matrix
from clusterboot.linkmap.inference.infer import infer

FIXTURES = sorted((Path(__file__).parent / "fixtures").glob("*.json"))


@pytest.mark.parametrize("path", FIXTURES, ids=lambda path: path.stem)
def test_it_names_exactly_what_is_wrong(path: Path):
    matrix = read_matrix(path.read_bytes(), str(path))
    expected = json.loads(path.with_suffix(".expected").read_text())

    told = matrix_to_json(matrix, infer(matrix))

    findings = [dict(finding) for finding in told["findings"]]
    assert all(finding.pop("evidence") for finding in findings)
    assert len(findings) == len(expected["findings"])
    for finding, wanted in zip(findings, expected["findings"], strict=True):
        fraction = wanted.pop("fraction_of_expected")
        close = fraction if fraction is None else pytest.approx(fraction, rel=0.08, abs=0)
        assert finding.pop("fraction_of_expected") == close
    assert findings == expected["findings"]
    assert told["verdict"] == expected["verdict"]


def test_there_are_fixtures():
    assert len(FIXTURES) > 40
