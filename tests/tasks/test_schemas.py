"""The schemas in docs/schema are those of the documents."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from clusterboot.document import parse
from clusterboot.tasks import namespace
from json_schemas import FOLDER, check, schemas, text_of

STORED = Path(__file__).parents[1] / "files/schema_1"


def test_the_schemas_are_those_of_the_records():
    made = {name: text_of(schema) for name, schema in schemas().items()}

    assert {path.name: path.read_text(encoding="utf-8") for path in FOLDER.iterdir()} == made, "script/schema"


def test_every_command_has_its_schema():
    commands = {f"{name}.json" for name in namespace.task_names}

    assert {path.name for path in FOLDER.iterdir()} == {*commands, "nodes.json"}


@pytest.mark.parametrize("path", sorted(FOLDER.iterdir()), ids=lambda path: path.stem)
def test_a_schema_is_one(path: Path):
    Draft202012Validator.check_schema(json.loads(path.read_text(encoding="utf-8")))


@pytest.mark.parametrize("name", ["nccl-parse", "diagnose"])
def test_a_stored_document_is_as_its_schema_says(name: str):
    check(parse((STORED / f"{name}.json").read_bytes()))


def test_facts_are_as_their_schema_says():
    check(parse((STORED / "nodes.json").read_bytes()), "nodes.json")


def spoiled(document: Any, change: str) -> Any:
    changed = copy.deepcopy(document)
    test = changed["files"][0]["tests"][0]
    match change:
        case "a further key":
            test["rows"][0]["rate_gb_s"] = 1.0
        case "a further key of the whole":
            changed["more"] = 1
        case "a missing key":
            del test["ranks"][0]["host"]
        case "another type":
            test["rows"][0]["size_bytes"] = "8"
        case "another word":
            test["verdict"] = "fine"
        case "another schema":
            changed["schema"] = "clusterboot/1"
    return changed


@pytest.mark.parametrize(
    "change",
    [
        "a further key",
        "a further key of the whole",
        "a missing key",
        "another type",
        "another word",
        "another schema",
    ],
)
def test_what_is_not_as_the_schema_says_is_seen(change: str):
    document = parse((STORED / "nccl-parse.json").read_bytes())
    with pytest.raises(AssertionError):
        check(spoiled(document, change))
