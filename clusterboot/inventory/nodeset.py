"""Folded host names, ``gpu[001-064]``, in the order in which they are written.

ClusterShell does the folding. It is only ever given plain ranges of a checked size: its
own language also has groups (which run commands), set operators, wildcards, and ranges
that fill the memory.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from importlib import import_module
from itertools import product
from typing import Any

from .name_rules import check_hostname
from .problems import RuleError, shown

MAX_HOSTS = 16384
_MAX_LITERAL = 253

_FOREIGN = re.compile(r"[^A-Za-z0-9._:,/\[\] -]")
_RANGE = re.compile(r"(\d{1,9})(?:-(\d{1,9})(?:/(\d{1,9}))?)?")
_PIECES = re.compile(r"(\[[^\[\]]*\])")


def expand(text: str) -> tuple[str, ...]:
    """Expand a folded set of host names.

    Parameters: names with ranges in brackets, split by commas: ``gpu[001-064,070],head2``.
    Returns: the names as written, zeros kept, doubles kept.
    Errors: :class:`RuleError` that quotes the part at fault.
    """
    if odd := _FOREIGN.search(text):
        remedy = (
            "write plain names and ranges like gpu[001-064]; groups, operators and wildcards are not read"
        )
        raise RuleError(f"{shown(odd[0])} in the host name {shown(text)}", remedy)
    names: list[str] = []
    for part in re.split(r",(?![^\[]*\])", text):
        names += _expand_one(part.strip(), MAX_HOSTS - len(names))
    return tuple(names)


def _expand_one(text: str, room: int) -> Iterable[str]:
    if "[" not in text and "]" not in text:
        return (check_hostname(text),)
    pieces = _PIECES.split(text)
    if sum(len(piece) for piece in pieces[::2]) > _MAX_LITERAL:
        raise RuleError(f"{shown(text)} is too long for a host name", "shorten it")
    choices = [piece[1:-1].split(",") if index % 2 else [piece] for index, piece in enumerate(pieces)]
    count = 1
    for index, choice in enumerate(choices):
        count *= sum(_range_size(item.strip(), text) for item in choice) if index % 2 else 1
    if count > room:
        raise RuleError(f"{shown(text)} is more than {MAX_HOSTS} hosts", "name fewer hosts in one file")
    names: list[str] = []
    for combination in product(*choices):
        one = "".join(f"[{item.strip()}]" if i % 2 else item for i, item in enumerate(combination))
        names += _node_names(one)
    for name in names:
        check_hostname(name)
    return names


def _range_size(item: str, text: str) -> int:
    match = _RANGE.fullmatch(item)
    if not match:
        raise RuleError(f"{shown(item)} in {shown(text)} is not a range", "write ranges like [001-064,070]")
    first, last, step = int(match[1]), int(match[2] or match[1]), int(match[3] or 1)
    # What cannot be counted is left to ClusterShell, which has the words for it.
    return max(1, (last - first) // step + 1) if step else 1


def _node_names(text: str) -> list[str]:
    shell: Any = import_module("ClusterShell.NodeSet")  # loaded only by files that fold
    try:
        return [str(name) for name in shell.NodeSet(text, resolver=shell.RESOLVER_NOGROUP)]
    except shell.NodeSetException as error:
        raise RuleError(str(error), "write ranges like gpu[001-064,070]") from None
