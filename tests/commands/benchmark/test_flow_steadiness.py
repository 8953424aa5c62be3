"""A sound lab is found sound, however often it is measured."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from clusterboot import lab as labs
from operator_fixture import Operator

RUNS = 20
# A rate at which the links, and not this machine's cores, are what limits.
RATE, MINIMUM_GB_S = "100mbit", 0.8 * 100e6 / 8 / 1e9
SWEEP = ("--collective", "sendrecv", "-b", "1M", "-e", "4M", "-f", "4")


@pytest.mark.lab
@pytest.mark.slow
def test_a_clean_lab_is_ok_in_twenty_of_twenty_runs(
    make_lab: Callable[..., labs.Lab], operator: Operator, record_property: Callable[[str, object], None]
) -> None:
    lab = make_lab(nodes=4, rate=RATE)
    cluster = ("--cluster", str(lab.cluster_file))
    operator.document("bootstrap", *cluster)
    first = operator.document("nccl-test", *cluster, *SWEEP)
    compare = ("--baseline", str(Path(first["folder"]) / "result.json"), "--min-busbw", str(MINIMUM_GB_S))
    said = []
    for _ in range(RUNS):
        done = operator.run("nccl-test", *cluster, *SWEEP, *compare, "--json")
        said.append(done.returncode)
    record_property("exit_codes", said)
    assert said == [0] * RUNS
