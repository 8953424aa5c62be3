"""collbench's all-pairs output, read line by line: whatever was cut off, the rows before it stay."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

# Names of the C program's own lines, see collbench/pairs_conduct.c.
_NODE = re.compile(r"#  Node +(\d+) (?:(unreached)|Rank +(\d+) Pid +\d+ on +(\S+)(?: device +(\d+) .*)?)")
_ROUND = re.compile(r"# round (\d+)")
_PAIR_WORDS = 8
_SAMPLES_WORDS = 8
_SEGMENTS_WORDS = 7
_WAYS = {"alone": False, "both": True}
_ENDS = {"settled": True, "budget": False}
# What the program prints for a direction by itself where it measured only both at once.
_NOT_ASKED = "-"
_MOST_NODES = 100_000


@dataclass(frozen=True)
class PairRow:
    """One direction of one pair. Nodes are counted from 0, in the order that the run was given.

    ``busbw_gb_s`` is 10^9 bytes a second with this direction alone, ``None`` where it was not
    asked for, ``both_gb_s`` with both at once, each as its samples say; both are 0 for a dead
    pair, whose ``latency_us`` is ``None``.
    """

    round: int
    sender: int
    receiver: int
    bytes: int
    busbw_gb_s: float | None
    latency_us: float | None
    both_gb_s: float


@dataclass(frozen=True)
class PairSamples:
    """The single measurements of one direction of a pair that were of one length.

    ``both`` says whether both directions were busy, ``bytes`` what each sample carried, ``gb_s``
    their rates in 10^9 bytes a second, in the order in which they were taken. ``is_settled`` is
    false where the time was spent before the median of the direction was known well.
    """

    round: int
    sender: int
    receiver: int
    both: bool
    is_settled: bool
    bytes: int
    gb_s: tuple[float, ...]


@dataclass(frozen=True)
class PairSegments:
    """What TCP sent in one direction of a pair for its samples: segments with data, and those sent again.

    ``both`` says whether both directions were busy; ``sent`` counts what was sent again, too.
    """

    round: int
    sender: int
    receiver: int
    both: bool
    sent: int
    resent: int


@dataclass(frozen=True)
class RoundEnd:
    """All rows of this round have come."""

    round: int


@dataclass(frozen=True)
class PairsNode:
    """A node of the run: its rank, host name and device, ``None`` where it was not reached.

    The device is a GPU's number, or the rank's place on its host where there is none.
    """

    node: int
    rank: int | None
    host: str | None
    device: int | None = None


def read_pairs_line(line: str) -> PairRow | PairSamples | PairSegments | RoundEnd | PairsNode | None:
    """Read one line, with or without its newline; ``None`` for one that is nothing of these."""
    line = line.rstrip("\r\n")
    if line.startswith("pair "):
        return _row(line.split())
    if line.startswith("samples "):
        return _samples(line.split())
    if line.startswith("segments "):
        return _segments(line.split())
    node = _NODE.fullmatch(line)
    if node:
        rank = None if node[2] else _whole(node[3])
        index = _whole(node[1])
        device = _whole(node[5]) if node[5] else None
        return None if index is None else PairsNode(index, rank, node[4], device)
    ended = _ROUND.fullmatch(line)
    number = _whole(ended[1]) if ended else None
    return None if number is None else RoundEnd(number)


def _row(words: list[str]) -> PairRow | None:
    whole = _numbers(words[1:5])
    if len(words) != _PAIR_WORDS or whole is None:
        return None
    both_gb_s = _rate(words[7])
    alone = [None, None] if words[5:7] == [_NOT_ASKED] * 2 else [_rate(word) for word in words[5:7]]
    if both_gb_s is None or (None in alone and words[5:7] != [_NOT_ASKED] * 2):
        return None
    busbw_gb_s, latency_us = alone
    round_, sender, receiver, size = whole
    return PairRow(round_, sender, receiver, size, busbw_gb_s, latency_us if busbw_gb_s else None, both_gb_s)


def _samples(words: list[str]) -> PairSamples | None:
    if len(words) < _SAMPLES_WORDS or words[4] not in _WAYS or words[5] not in _ENDS:
        return None
    whole = _numbers([*words[1:4], words[6]])
    rates = [_rate(word) for word in words[7:]]
    gb_s = tuple(rate for rate in rates if rate is not None)
    if whole is None or len(gb_s) < len(rates):
        return None
    round_, sender, receiver, size = whole
    return PairSamples(round_, sender, receiver, _WAYS[words[4]], _ENDS[words[5]], size, gb_s)


def _segments(words: list[str]) -> PairSegments | None:
    whole = _numbers([*words[1:4], *words[5:]])
    if len(words) != _SEGMENTS_WORDS or words[4] not in _WAYS or whole is None:
        return None
    round_, sender, receiver, sent, resent = whole
    return PairSegments(round_, sender, receiver, _WAYS[words[4]], sent, resent)


def _numbers(words: list[str]) -> list[int] | None:
    """Read a round, a pair and what follows; ``None`` where one is no number, or that is no pair."""
    found = [number for word in words if (number := _whole(word)) is not None]
    is_pair = len(found) == len(words) > 2 and found[1] != found[2] and max(found[1:3]) < _MOST_NODES
    return found if is_pair else None


def _whole(word: str) -> int | None:
    # A number of thousands of digits is none of ours, and int() refuses it with an error.
    return int(word) if word.isascii() and word.isdigit() and len(word) <= 18 else None


def _rate(word: str) -> float | None:
    try:
        value = float(word)
    except ValueError:
        return None
    return value if math.isfinite(value) and value >= 0 else None
