"""Each file under fixtures/FACT/ is what a machine's section printed; beside it, what that means.

A new pair of files is a new test.
"""

from __future__ import annotations

import json
from dataclasses import fields, is_dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from clusterboot.facts.collect import FACTS

FIXTURES = Path(__file__).parent / "fixtures"
# A fact has the name of its file.
PARSERS = {fact.name: import_module(f"clusterboot.facts.{fact.name}").parse for fact in FACTS}


def plain(value: Any) -> Any:
    """Turn records into what JSON has, leaving out fields that say nothing."""
    if is_dataclass(value):
        named = {field.name: getattr(value, field.name) for field in fields(value)}
        value = {name: item for name, item in named.items() if item is not None and item not in ((), {})}
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items() if item is not None}
    if isinstance(value, tuple):
        return [plain(item) for item in value]
    return value


@pytest.mark.parametrize(
    "path", sorted(FIXTURES.glob("*/*.txt")), ids=lambda path: f"{path.parent.name}-{path.stem}"
)
def test_section_means_what_its_fixture_says(path: Path) -> None:
    parsed = PARSERS[path.parent.name](path.read_text())
    assert plain(parsed) == json.loads(path.with_suffix(".json").read_text())


def test_every_fact_has_fixtures() -> None:
    assert {path.parent.name for path in FIXTURES.glob("*/*.txt")} == set(PARSERS)
