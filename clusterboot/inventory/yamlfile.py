"""YAML read with care: the line of everything in it is kept, and a hostile file stays harmless.

PyYAML composes the nodes. What it lets pass is refused here: it keeps the last of two equal keys in silence,
its composer recurses without a limit (200,000 brackets end the process), and aliases may stand for more
than there is memory.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import yaml

from .problems import Problems, shown

_MAX_BYTES = 8 * 1024 * 1024
_MAX_DEPTH = 32
_MAX_NODES = 400_000

_TAG = "tag:yaml.org,2002:"
_MERGE = f"{_TAG}merge"
# YAML 1.1, section 5.1 (c-printable), without the surrogates that UTF-8 cannot carry.
_NOT_YAML = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_convert = yaml.constructor.SafeConstructor()


@dataclass(frozen=True)
class YamlDocument:
    """A YAML file: its top mapping, merge keys resolved, and the lines of everything in it."""

    root: yaml.MappingNode

    def node(self, path: Sequence[str | int]) -> yaml.Node | None:
        """Find the node at ``path``, or ``None``."""
        *_, (_, node, complete) = self._walk(path)
        return node if complete else None

    def line(self, path: Sequence[str | int]) -> int:
        """Give the line of ``path``, or of the deepest part of it that the file has."""
        *_, (line, _, _) = self._walk(path)
        return line

    def _walk(self, path: Sequence[str | int]) -> Iterator[tuple[int, yaml.Node, bool]]:
        node: yaml.Node = self.root
        yield line_of(node), node, not path
        for index, step in enumerate(path):
            if isinstance(node, yaml.MappingNode) and isinstance(step, str):
                found = next(((key, value) for key, value in node.value if key.value == step), None)
                if found is None:
                    return
                line, node = line_of(found[0]), found[1]
            elif isinstance(node, yaml.SequenceNode) and isinstance(step, int) and step < len(node.value):
                node = node.value[step]
                line = line_of(node)
            elif isinstance(node, yaml.MappingNode) and isinstance(step, int):
                continue  # an object standing where a list may stand is its only element
            else:
                return
            yield line, node, index == len(path) - 1

    def data(self, problems: Problems) -> dict[str, Any]:
        """Turn the document into plain values, aliases written out; bad scalars become problems."""
        return {key.value: _plain(value, problems) for key, value in self.root.value}


def line_of(node: yaml.Node) -> int:
    """Give the line that a node begins in, counted from 1."""
    return int(node.start_mark.line) + 1


def read(path: Path, problems: Problems) -> YamlDocument:
    """Read the YAML file at ``path``.

    Parameters: the file; where to note what is wrong but does not end the reading
    (duplicate keys, tags).
    Errors: ``ConfigError`` where there is no document to go on with.
    """
    text = _text(path, problems)
    try:
        _look_ahead(text, problems)
        root = yaml.compose(text, _Loader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else None
        _stop(problems, line, f"not valid YAML: {error.problem or error.context}", _yaml_remedy(text, line))
    except yaml.YAMLError as error:
        _stop(problems, None, f"not valid YAML: {error}", "correct the file")
    if root is None or root.tag == f"{_TAG}null":
        _stop(problems, 1, "the file is empty", "write a fleet: type, name and ssh_config")
    if not isinstance(root, yaml.MappingNode):
        _stop(problems, line_of(root), "the file is not a mapping of keys", "begin it with 'type: fleet'")
    _Checks(problems).check(root)
    return YamlDocument(root)


def _stop(problems: Problems, line: int | None, cause: str, remedy: str) -> NoReturn:
    problems.add(line, cause, remedy)
    problems.raise_if_any()
    raise AssertionError(cause)  # the line above has just raised


def _text(path: Path, problems: Problems) -> str:
    try:
        with open(path, "rb", opener=_open_at_once) as file:
            raw = file.read(_MAX_BYTES + 1)
    except FileNotFoundError:
        _stop(problems, None, "there is no such file", "check the path given with --cluster")
    except IsADirectoryError:
        _stop(problems, None, "is a folder, not a cluster file", "name the file in it")
    except (OSError, ValueError) as error:
        cause = getattr(error, "strerror", None) or str(error)
        _stop(problems, None, f"cannot be read: {cause}", "check the path and its permissions")
    if len(raw) > _MAX_BYTES:
        _stop(problems, None, "is larger than 8 MiB", "fold host names: gpu[001-064]")
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        _stop(problems, line, "is not UTF-8 text", "save the file as UTF-8")
    if odd := _NOT_YAML.search(text):
        line = text.count("\n", 0, odd.start()) + 1
        _stop(problems, line, f"control character U+{ord(odd[0]):04X}", "take the character out")
    return text


def _open_at_once(path: str, flags: int) -> int:
    """Open a file without waiting for somebody to write into it, as a named pipe would have it."""
    descriptor = os.open(path, flags | os.O_NONBLOCK | os.O_NOCTTY)
    os.set_blocking(descriptor, True)
    return descriptor


def _yaml_remedy(text: str, line: int | None) -> str:
    lines = text.splitlines()
    here = lines[line - 1] if line and line <= len(lines) else ""
    if "\t" in here[: len(here) - len(here.lstrip())]:
        return "indent with spaces, not with tabs"
    return "correct the indentation, brackets or quotes here or just above"


def _look_ahead(text: str, problems: Problems) -> None:
    """Refuse what must not come to the composer, or what it says less well."""
    opened: list[str | None] = []
    anchors: set[str | None] = set()
    documents = 0
    event: Any
    for event in yaml.parse(text, _Loader):
        line = event.start_mark.line + 1
        documents += isinstance(event, yaml.DocumentStartEvent)
        if documents > 1:
            _stop(problems, line, "a second YAML document begins", "keep one fleet in one file")
        if isinstance(event, yaml.AliasEvent) and event.anchor not in anchors:
            _stop(problems, line, f"unknown alias {shown(event.anchor)}", "define it above with '&'")
        if isinstance(event, yaml.CollectionStartEvent):
            opened.append(event.anchor)
        elif isinstance(event, yaml.CollectionEndEvent):
            anchors.add(opened.pop())
        elif isinstance(event, yaml.ScalarEvent):
            anchors.add(event.anchor)
        if len(opened) > _MAX_DEPTH:
            _stop_nested(problems, line)


def _stop_nested(problems: Problems, line: int) -> NoReturn:
    _stop(problems, line, f"nested deeper than {_MAX_DEPTH} levels", "write a flat file")


class _Checks:
    """Checks nodes, each once however many aliases lead to it, and resolves merge keys in place."""

    def __init__(self, problems: Problems) -> None:
        self._problems = problems
        self._extents: dict[yaml.Node, tuple[int, int]] = {}

    def check(self, node: yaml.Node) -> tuple[int, int]:
        """Check a node and all that is in it.

        Returns: how many nodes it is and how deep it goes, with its aliases written out.
        Errors: ``ConfigError`` where that is too much.
        """
        if node in self._extents:
            return self._extents[node]
        inside: list[yaml.Node] = []
        if isinstance(node, yaml.SequenceNode):
            self._check_tag(node, "seq")
            inside = node.value
        elif isinstance(node, yaml.MappingNode):
            self._check_tag(node, "map")
            inside = [each for pair in node.value for each in pair]
        for each in inside:
            self.check(each)
        if isinstance(node, yaml.MappingNode):
            node.value = self._merged(node)
            inside = [each for pair in node.value for each in pair]
        extents = [self._extents[each] for each in inside]
        size = 1 + sum(size for size, _ in extents)
        depth = max((depth + 1 for _, depth in extents), default=0)
        if size > _MAX_NODES:
            remedy = "write it out, or fold host names"
            _stop(self._problems, line_of(node), "aliases make this too large", remedy)
        if depth > _MAX_DEPTH:
            _stop_nested(self._problems, line_of(node))
        self._extents[node] = size, depth
        return size, depth

    def _check_tag(self, node: yaml.Node, kind: str) -> None:
        if node.tag != f"{_TAG}{kind}":
            cause = f"YAML tag {shown(node.tag)}"
            self._problems.add(line_of(node), cause, "take the tag out; plain values only")

    def _merged(self, node: yaml.MappingNode) -> list[tuple[yaml.ScalarNode, yaml.Node]]:
        """Give a mapping's own pairs, the first of equal keys, then those that it takes over."""
        own: dict[str, tuple[yaml.ScalarNode, yaml.Node]] = {}
        sources: list[yaml.Node] = []
        for key, value in node.value:
            line = line_of(key)
            if not isinstance(key, yaml.ScalarNode):
                cause = "a key that is itself a list or mapping"
                self._problems.add(line, cause, "use a plain word as the key")
            elif key.tag == _MERGE:
                sources += value.value if isinstance(value, yaml.SequenceNode) else [value]
            elif key.value in own:
                cause = f"key {shown(key.value)} is here twice, first in line {line_of(own[key.value][0])}"
                self._problems.add(line, cause, "keep one of them")
            else:
                own[key.value] = key, value
        for source in sources:
            if isinstance(source, yaml.MappingNode):
                own = {**{key.value: (key, value) for key, value in source.value}, **own}
            else:
                cause = "'<<' takes over something that is no mapping"
                self._problems.add(line_of(source), cause, "name a mapping")
        return list(own.values())


def _plain(node: yaml.Node, problems: Problems) -> Any:
    if isinstance(node, yaml.SequenceNode):
        return [_plain(item, problems) for item in node.value]
    if isinstance(node, yaml.MappingNode):
        return {key.value: _plain(value, problems) for key, value in node.value}
    kind = node.tag.removeprefix(_TAG)
    if kind in ("str", "timestamp", "value", "merge"):
        return node.value
    try:
        return _PLAIN_SCALARS[kind](node)
    except (ValueError, LookupError, OverflowError):
        known = kind in _PLAIN_SCALARS
        cause = f"{shown(node.value)} is not a YAML {kind}" if known else f"YAML tag {shown(node.tag)}"
        problems.add(line_of(node), cause, "take the tag out, or put the value in quotes")
        return node.value


_PLAIN_SCALARS: dict[str, Callable[[Any], Any]] = {
    "null": lambda _: None,
    "bool": _convert.construct_yaml_bool,
    "int": _convert.construct_yaml_int,
    "float": _convert.construct_yaml_float,
}
