"""JSON Schemas of all documents, made from the records that the documents are built as.

``script/schema`` writes them to ``docs/schema``, and tests hold documents against what stands there.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import sys
import typing
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator
from pydantic import ConfigDict, TypeAdapter
from typing_extensions import is_typeddict

from clusterboot.document import SCHEMA, Document, FailureJson
from clusterboot.facts.node import NodeFacts
from clusterboot.tasks.documents import PARTS

FOLDER = Path(__file__).parents[1] / "docs/schema"
_DIALECT = "https://json-schema.org/draft/2020-12/schema"


def schemas() -> dict[str, dict[str, Any]]:
    """Make all schemas, by their files' names."""
    made = {f"{command}.json": _of_command(command, parts) for command, parts in PARTS.items()}
    (facts,), definitions = _described([NodeFacts])
    nodes = {"type": "object", "description": "By host.", "additionalProperties": facts}
    return {**made, "nodes.json": {"$schema": _DIALECT, "title": "nodes.json", **nodes, "$defs": definitions}}


def _of_command(command: str, parts: Sequence[type]) -> dict[str, Any]:
    (common, *own), definitions = _described([Document, *parts, FailureJson])
    return {
        "$schema": _DIALECT,
        "title": f"The document of {command}",
        "properties": {"schema": {"const": SCHEMA}, "command": {"const": command}},
        "allOf": [common],
        "anyOf": own,
        "$defs": definitions,
    }


def _described(kinds: Sequence[type]) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Give a reference to each record, and the definitions of all that is in them."""
    for kind in {record for each in kinds for record in _records(each)}:
        # Pydantic reads it from the class; nothing else does.
        kind.__pydantic_config__ = ConfigDict(use_attribute_docstrings=True)  # type: ignore[attr-defined]
    found, whole = TypeAdapter.json_schemas(
        [(kind.__name__, "serialization", TypeAdapter(kind)) for kind in kinds]
    )
    plain: dict[str, Any] = _tidied(whole.get("$defs", {}))
    return [found[kind.__name__, "serialization"] for kind in kinds], plain


def _records(kind: Any) -> Iterator[type]:
    if is_typeddict(kind) or dataclasses.is_dataclass(kind):
        yield kind
        for each in typing.get_type_hints(kind).values():
            yield from _records(each)
    for each in typing.get_args(kind):
        yield from _records(each)


def _tidied(schema: Any) -> Any:
    """Leave out titles that repeat the names; a record's fields are all written, those with defaults too.

    Of facts, a field with a default is not required: what was stored before it was asked lacks it.
    """
    if isinstance(schema, list):
        return [_tidied(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    properties = schema.get("properties", {})
    with_defaults = [name for name, each in properties.items() if "default" in each]
    tidied = {
        key: {name: _tidied(each) for name, each in value.items()} if key == "properties" else _tidied(value)
        for key, value in schema.items()
        if not (key in ("title", "default") and not isinstance(value, dict))
    }
    if with_defaults and schema.get("title") not in _FACTS:
        tidied["required"] = [*schema.get("required", ()), *with_defaults]
    return tidied


def text_of(schema: Mapping[str, Any]) -> str:
    return json.dumps(schema, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


_FACTS = {kind.__name__ for kind in _records(NodeFacts)}


@functools.cache
def _validator(name: str) -> Draft202012Validator:
    """Read a schema, and take further keys for faults, which the published one has to allow."""
    schema = json.loads((FOLDER / name).read_text(encoding="utf-8"))
    tops = {each["$ref"].rpartition("/")[2] for key in ("allOf", "anyOf") for each in schema.get(key, ())}
    for definition, each in schema["$defs"].items():
        if definition not in tops and "properties" in each:
            each["additionalProperties"] = False
    if tops:
        schema["unevaluatedProperties"] = False
    return Draft202012Validator(schema)


def check(document: Mapping[str, Any], name: str | None = None) -> None:
    """Hold a document against its schema. Errors: ``AssertionError`` with the faults."""
    faults = _validator(name or f"{document['command']}.json").iter_errors(document)
    told = [f"{'/'.join(map(str, each.absolute_path))}: {_words(each)}" for each in faults]
    assert not told, "\n".join(told)


def _words(fault: Any) -> str:
    return "; ".join([fault.message[:300], *(_words(each) for each in fault.context)])


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for name, schema in schemas().items():
        (folder / name).write_text(text_of(schema), encoding="utf-8")
