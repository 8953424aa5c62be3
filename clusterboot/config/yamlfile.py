"""YAML read with care: the line of every node is kept, and a hostile file stays harmless.

Nodes are composed here from the parser's events and not by ``yaml.compose``: libyaml's
composer recurses without a limit (a file of 200,000 brackets ends the process), and
PyYAML keeps the last of two equal keys in silence.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import yaml

from clusterboot.config.problems import Problems, shown

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
class Scalar:
    """A value without parts. ``text`` is as written; ``tag`` what YAML takes it for."""

    line: int
    tag: str
    text: str
    size: int = 1


@dataclass(frozen=True)
class Items:
    """A YAML sequence. ``size`` counts all nodes in it with its aliases written out."""

    line: int
    items: tuple[Node, ...]
    size: int


@dataclass(frozen=True)
class Pairs:
    """A YAML mapping with its merge keys resolved: its own keys first, then what it takes over."""

    line: int
    pairs: dict[str, tuple[int, Node]]
    size: int


Node = Scalar | Items | Pairs


@dataclass(frozen=True)
class Document:
    """A YAML file: its top mapping and the lines of everything in it."""

    root: Pairs

    def node(self, path: Sequence[str | int]) -> Node | None:
        """Find the node at ``path``, or ``None``."""
        *_, (_, node, complete) = self._walk(path)
        return node if complete else None

    def line(self, path: Sequence[str | int]) -> int:
        """Give the line of ``path``, or of the deepest part of it that the file has."""
        *_, (line, _, _) = self._walk(path)
        return line

    def _walk(self, path: Sequence[str | int]) -> Iterator[tuple[int, Node, bool]]:
        node: Node = self.root
        yield node.line, node, not path
        for index, step in enumerate(path):
            if isinstance(node, Pairs) and isinstance(step, str) and step in node.pairs:
                line, node = node.pairs[step]
            elif isinstance(node, Items) and isinstance(step, int) and step < len(node.items):
                node = node.items[step]
                line = node.line
            elif isinstance(node, Pairs) and isinstance(step, int):
                continue  # an object standing where a list may stand is its only element
            else:
                return
            yield line, node, index == len(path) - 1

    def data(self, problems: Problems) -> dict[str, Any]:
        """Turn the document into plain values, aliases written out; bad scalars become problems."""
        return {key: _plain(node, problems) for key, (_, node) in self.root.pairs.items()}


def read(path: Path, problems: Problems) -> Document:
    """Read the YAML file at ``path``.

    Parameters: the file; where to note what is wrong but does not end the reading
    (duplicate keys, tags).
    Errors: ``ConfigError`` where there is no document to go on with.
    """
    text = _text(path, problems)
    composer = _Composer(text, problems)
    try:
        root = composer.document()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else None
        _stop(problems, line, f"not valid YAML: {error.problem or error.context}", _yaml_remedy(text, line))
    except yaml.YAMLError as error:
        _stop(problems, None, f"not valid YAML: {error}", "correct the file")
    finally:
        composer.close()
    if root is None or (isinstance(root, Scalar) and root.tag == f"{_TAG}null"):
        _stop(problems, 1, "the file is empty", "write a fleet: type, name and ssh_config")
    if not isinstance(root, Pairs):
        _stop(problems, root.line, "the file is not a mapping of keys", "begin it with 'type: fleet'")
    return Document(root)


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


class _Composer:
    """Nodes from events, with limits on depth and on what aliases expand to."""

    def __init__(self, text: str, problems: Problems) -> None:
        self._loader = _Loader(text)
        self._problems = problems
        self._anchors: dict[str, Node] = {}

    def close(self) -> None:
        self._loader.dispose()

    def document(self) -> Node | None:
        self._loader.get_event()  # the stream's start
        if isinstance(self._loader.get_event(), yaml.StreamEndEvent):
            return None
        root = self._node(self._loader.get_event(), 0)
        self._loader.get_event()  # the document's end
        after = self._loader.get_event()
        if not isinstance(after, yaml.StreamEndEvent):
            self._stop(after, "a second YAML document begins", "keep one fleet in one file")
        return root

    def _stop(self, event: Any, cause: str, remedy: str) -> NoReturn:
        _stop(self._problems, event.start_mark.line + 1, cause, remedy)

    def _node(self, event: Any, depth: int) -> Node:
        if isinstance(event, yaml.AliasEvent):
            if event.anchor not in self._anchors:
                self._stop(event, f"unknown alias {shown(event.anchor)}", "define it above with '&'")
            return self._anchors[event.anchor]
        if depth > _MAX_DEPTH:
            self._stop(event, f"nested deeper than {_MAX_DEPTH} levels", "write a flat file")
        build: Callable[[Any, int], Node] = self._scalar
        if isinstance(event, yaml.SequenceStartEvent):
            build = self._items
        elif isinstance(event, yaml.MappingStartEvent):
            build = self._pairs
        node = build(event, depth)
        if node.size > _MAX_NODES:
            self._stop(event, "aliases make this too large", "write it out, or fold host names")
        if event.anchor:
            self._anchors[event.anchor] = node
        return node

    def _scalar(self, event: Any, _depth: int) -> Scalar:
        tag = event.tag
        if tag is None or tag == "!":
            tag = self._loader.resolve(yaml.ScalarNode, event.value, event.implicit)
        return Scalar(event.start_mark.line + 1, tag, event.value)

    def _check_tag(self, event: Any, kind: str) -> None:
        if event.tag not in (None, "!", f"{_TAG}{kind}"):
            line = event.start_mark.line + 1
            self._problems.add(line, f"YAML tag {shown(event.tag)}", "take the tag out; plain values only")

    def _items(self, start: Any, depth: int) -> Items:
        self._check_tag(start, "seq")
        items: list[Node] = []
        while not isinstance(event := self._loader.get_event(), yaml.SequenceEndEvent):
            items.append(self._node(event, depth + 1))
        return Items(start.start_mark.line + 1, tuple(items), 1 + sum(item.size for item in items))

    def _pairs(self, start: Any, depth: int) -> Pairs:
        self._check_tag(start, "map")
        own: dict[str, tuple[int, Node]] = {}
        merged: list[Node] = []
        while not isinstance(event := self._loader.get_event(), yaml.MappingEndEvent):
            line = event.start_mark.line + 1
            key = self._node(event, depth + 1)
            value = self._node(self._loader.get_event(), depth + 1)
            if not isinstance(key, Scalar):
                self._problems.add(
                    line, "a key that is itself a list or mapping", "use a plain word as the key"
                )
            elif key.tag == _MERGE:
                merged += value.items if isinstance(value, Items) else [value]
            elif key.text in own:
                cause = f"key {shown(key.text)} is here twice, first in line {own[key.text][0]}"
                self._problems.add(line, cause, "keep one of them")
            else:
                own[key.text] = (line, value)
        for source in merged:
            if isinstance(source, Pairs):
                own = {**source.pairs, **own}
            else:
                self._problems.add(
                    source.line, "'<<' takes over something that is no mapping", "name a mapping"
                )
        size = 1 + sum(1 + value.size for _, value in own.values())
        return Pairs(start.start_mark.line + 1, own, size)


def _plain(node: Node, problems: Problems) -> Any:
    if isinstance(node, Items):
        return [_plain(item, problems) for item in node.items]
    if isinstance(node, Pairs):
        return {key: _plain(value, problems) for key, (_, value) in node.pairs.items()}
    kind = node.tag.removeprefix(_TAG)
    if kind in ("str", "timestamp", "value", "merge"):
        return node.text
    try:
        return _PLAIN_SCALARS[kind](yaml.ScalarNode(node.tag, node.text))
    except (ValueError, LookupError, OverflowError):
        known = kind in _PLAIN_SCALARS
        cause = f"{shown(node.text)} is not a YAML {kind}" if known else f"YAML tag {shown(node.tag)}"
        problems.add(node.line, cause, "take the tag out, or put the value in quotes")
        return node.text


_PLAIN_SCALARS: dict[str, Callable[[yaml.ScalarNode], Any]] = {
    "null": lambda _: None,
    "bool": _convert.construct_yaml_bool,
    "int": _convert.construct_yaml_int,
    "float": _convert.construct_yaml_float,
}
