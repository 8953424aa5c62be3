"""The page's made-up fact, check and question, added as the page says."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from local_cluster import LocalCluster, planned

from clusterboot.checks.check import require
from clusterboot.commands.facts import inventory
from clusterboot.facts import collect
from clusterboot.facts.differences import described, differences

PAGE = Path(__file__).parents[2] / "docs/architecture.md"


def example(what: str) -> dict[str, Any]:
    """Run the page's example of a section."""
    found = re.search(rf"## A made-up {what}\n.*?```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert found
    module: dict[str, Any] = {"__name__": f"clusterboot.made_up.{what}"}
    exec(compile(found[1], str(PAGE), "exec"), module)  # noqa: S102  # the page's own example
    return module


def test_a_fact_is_one_file_and_one_line(cluster: LocalCluster, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(collect, "FACTS", (*collect.FACTS, example("fact")["FACT"]))
    for name, zone in (("n1", "UTC"), ("n2", "Asia/Tokyo"), ("n3", "UTC")):
        cluster.variable(name, "TZ", zone)

    facts = inventory(cluster.context()).facts

    assert facts["n2"].more == {"time zone": "Asia/Tokyo"}
    assert described(facts)["time zone"] == {"n1": "UTC", "n2": "Asia/Tokyo", "n3": "UTC"}
    (difference,) = (each for each in differences(facts) if each.fact == "time zone")
    assert [(odd.host, odd.value) for odd in difference.odd] == [("n2", "Asia/Tokyo")]


def test_a_check_is_one_file_and_one_line(cluster: LocalCluster) -> None:
    cluster.program("n2", "df", "#!/bin/sh\necho 'tmpfs 65536 65500 36 100% /dev/shm'\n")
    for name in ("n1", "n3"):
        cluster.program(name, "df", "#!/bin/sh\necho 'tmpfs 99999999 0 99999999 0% /dev/shm'\n")
    with cluster.context().visit() as visit:
        out = require(visit, planned({}), [example("check")["SharedMemoryFree"]()])
        row = visit.ledger["n2"]

    assert out == ("n2",)
    assert (row.status, row.cause) == ("failed", "it has only 36 KiB of /dev/shm left")
    assert row.remedy


def test_a_question_is_a_script_and_a_reading(cluster: LocalCluster) -> None:
    ask = example("question")["uptimes_s"]
    with cluster.context().visit() as visit:
        first, second = ask(visit), ask(visit)

    assert set(first) == {"n1", "n2", "n3"}
    assert 0 < first["n1"] <= second["n1"]
