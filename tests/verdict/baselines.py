"""A baseline of tests that were never saved."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

from clusterboot.programs.records import BenchTest
from clusterboot.verdict.expectation import Baseline, baseline_from_json


def baseline_of(tests: Sequence[BenchTest]) -> Baseline:
    return baseline_from_json({"tests": [asdict(test) for test in tests]})
