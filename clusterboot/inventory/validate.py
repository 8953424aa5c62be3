"""From a YAML document to a checked ``FleetFile`` or ``SlurmFile``, every fault with its line."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from .model import BLOCKS, CLOUD_KEYS, NO_HOST, FileBlock, FleetFile
from .problems import Problems, RuleError, shown
from .slurm_schema import SLURM_BLOCKS, SlurmFile
from .yamlfile import YamlDocument

Path = tuple[str | int, ...]

_MISSING = {
    "type": "write 'type: fleet'",
    "ssh_config": "write ssh_config with hosts; fleets in a cloud are not reached from here",
    "hosts": "list the host names under ssh_config.hosts",
    "hostname": "name the machine",
    "slurm": "write slurm with a partition",
    "partition": "name it as 'sinfo' lists it",
}

# What pydantic calls a fault: what is wrong, and what to write instead. The names in
# braces are the fault's own (pydantic's documentation, "Validation Errors").
_WORDS = {
    "string_type": ("is {input}, not text", "put it in quotes"),
    "int_type": ("is {input}, not a whole number", "write a whole number"),
    "float_type": ("is {input}, not a number", "write a number"),
    "finite_number": ("is {input}, not a finite number", "write a number"),
    "literal_error": ("is {input}", "write {expected}"),
    "greater_than": ("is {input}", "write a number above {gt:g}"),
    "greater_than_equal": ("is {input}", "write {ge} or more"),
    "less_than_equal": ("is {input}", "write {le} or less"),
    "too_short": ("is an empty list", "write at least one"),
    "list_type": ("is {input}, not a list", "write a list: one '- ' a line"),
    "dict_type": ("is {input}, not a mapping", "write 'key: value' below it"),
    "model_type": ("is {input}, not a mapping", "write 'key: value' below it"),
    "missing": ("is missing", "add it"),
}


@dataclass(frozen=True)
class Checked:
    """What is right of a file. ``whole`` says that no host or gateway had to be left out."""

    file: FleetFile | SlurmFile
    whole: bool


def validate(document: YamlDocument, problems: Problems, warnings: list[str]) -> Checked | None:
    """Check a document against the schema.

    Parameters: the document; where to note problems and warnings.
    Returns: the file without the parts that are wrong, so that whatever else is wrong can
    be found too; ``None`` where too little is left.
    """
    data = document.data(problems)
    schema: type[FleetFile | SlurmFile] = SlurmFile if data.get("type") == "slurm" else FleetFile
    blocks = SLURM_BLOCKS if schema is SlurmFile else BLOCKS
    if schema is FleetFile:
        _ignore_cloud_keys(data, document, problems, warnings)
    faults = _faults(schema, data)
    for fault in faults:
        problems.add(document.line(fault["loc"]), *_describe(fault, blocks))
    whole = not any(fault["loc"][:1] in (("ssh_config",), ("slurm",)) for fault in faults)
    while faults:
        # From the last to the first: what is taken out of a list moves only what comes after it.
        pruned = [_prune(data, fault["loc"]) for fault in reversed(faults)]
        if not all(pruned):
            return None
        faults = _faults(schema, data)
    return Checked(schema.model_validate(data), whole)


def _faults(schema: type[FileBlock], data: dict[str, Any]) -> list[ErrorDetails]:
    try:
        schema.model_validate(data)
    except ValidationError as error:
        return error.errors(include_url=False)
    return []


def _ignore_cloud_keys(
    data: dict[str, Any], document: YamlDocument, problems: Problems, warnings: list[str]
) -> None:
    ignored = [key for key in data if key in CLOUD_KEYS]
    for key in ignored:
        del data[key]
    if ignored:
        first = min(document.line((key,)) for key in ignored)
        named = ", ".join(ignored)
        warnings.append(f"{problems.file}:{first}: ignored, as the hosts are there already: {named}")


def _describe(fault: ErrorDetails, blocks: Mapping[str, type[FileBlock]]) -> tuple[str, str]:
    loc, kind, context = fault["loc"], fault["type"], fault.get("ctx", {})
    words = [step for step in loc if isinstance(step, str) and step != "[key]"]
    key = words[-1] if words else "the file"
    if kind == "extra_forbidden":
        return _unknown_key(words, blocks)
    if kind == "missing":
        return f"'{key}' is missing", _MISSING.get(key, "add it")
    rule = context.get("error")
    if isinstance(rule, RuleError):
        return f"{key}: {rule.cause}", rule.remedy
    if loc and loc[-1] == "[key]":
        return f"unknown key {shown(key)}", f"write {context.get('expected', 'a known word')}"
    cause, remedy = _WORDS.get(kind, (fault["msg"], "see the cluster file's reference"))
    names = {**context, "input": _input(fault["input"])}
    return f"'{key}' {cause.format_map(names)}", remedy.format_map(names)


def _input(value: Any) -> str:
    kinds = {list: "a list", dict: "a mapping", type(None): "empty", bool: shown(str(value).lower())}
    return kinds.get(type(value), str(value) if isinstance(value, int | float) else shown(value))


def _unknown_key(words: list[str], blocks: Mapping[str, type[FileBlock]]) -> tuple[str, str]:
    key = words[-1]
    block = next((blocks[word] for word in reversed(words[:-1]) if word in blocks), blocks[""])
    close = get_close_matches(key, block.model_fields, n=1, cutoff=0.6)
    elsewhere = [name or "the top" for name, other in blocks.items() if key in other.model_fields]
    if close:
        remedy = f"did you mean '{close[0]}'?"
    elif elsewhere:
        remedy = f"it belongs under {elsewhere[0]}"
    else:
        remedy = f"known here: {', '.join(block.model_fields)}"
    return f"unknown key {shown(key)}", remedy


def _prune(data: Any, loc: Path) -> bool:
    """Take the part at ``loc`` out of the data; what is missing takes its parent with it.

    An element of ``hosts`` leaves an empty place, so that the others keep their numbers.
    Returns: whether anything is left to go on with.
    """
    if loc == ("type",):
        data["type"] = "fleet"
        return True
    trail: list[tuple[Any, Any]] = []
    for step in loc:
        in_list = isinstance(data, list) and isinstance(step, int) and step < len(data)
        if in_list or (isinstance(data, dict) and step in data):
            trail.append((data, step))
        elif isinstance(step, int):
            continue
        else:
            break
        data = data[step]
    if not trail:
        return False
    holder, step = trail[-1]
    if isinstance(holder, dict):
        del holder[step]
    else:
        holder[step : step + 1] = [NO_HOST] if loc[:2] == ("ssh_config", "hosts") and len(trail) == 3 else []
    return True
