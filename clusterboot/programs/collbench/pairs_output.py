"""collbench's all-pairs output, read line by line: whatever was cut off, the rows before it stay."""

from __future__ import annotations

import re
from dataclasses import dataclass

# The C program's own lines, see collbench/pairs_conduct.c, with one blank for several.
_WHOLE = r"([0-9]{1,18})"
_RATE = r"([0-9]{1,18}(?:\.[0-9]{1,18})?(?:e[+-][0-9]{2})?)"
_AT = rf"{_WHOLE} (?P<sender>[0-9]{{1,5}}) (?!(?P=sender) )([0-9]{{1,5}})"
_NODE = re.compile(
    rf"# Node {_WHOLE} (?:unreached|Rank {_WHOLE} Pid [0-9]+ on (\S+)(?: device {_WHOLE} .*)?)"
)
# A direction by itself has no figures where only both at once were measured.
_PAIR = re.compile(rf"pair {_AT} {_WHOLE} (?:- -|{_RATE} {_RATE}) {_RATE}")
_SAMPLES = re.compile(rf"samples {_AT} (alone|both) (settled|budget) {_WHOLE}((?: {_RATE})+)")
_SEGMENTS = re.compile(rf"segments {_AT} (alone|both) {_WHOLE} {_WHOLE}")
_ROUND = re.compile(rf"# round {_WHOLE}")


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
    line = " ".join(line.split())
    if found := _PAIR.fullmatch(line):
        round_, sender, receiver, size = map(int, found.group(1, 2, 3, 4))
        busbw, latency = (None if word is None else float(word) for word in found.group(5, 6))
        return PairRow(round_, sender, receiver, size, busbw, latency if busbw else None, float(found[7]))
    if found := _SAMPLES.fullmatch(line):
        round_, sender, receiver, size = map(int, found.group(1, 2, 3, 6))
        gb_s = tuple(map(float, found[7].split()))
        return PairSamples(round_, sender, receiver, found[4] == "both", found[5] == "settled", size, gb_s)
    if found := _SEGMENTS.fullmatch(line):
        round_, sender, receiver, sent, resent = map(int, found.group(1, 2, 3, 5, 6))
        return PairSegments(round_, sender, receiver, found[4] == "both", sent, resent)
    if found := _NODE.fullmatch(line):
        rank, device = (None if word is None else int(word) for word in found.group(2, 4))
        return PairsNode(int(found[1]), rank, found[3], device)
    ended = _ROUND.fullmatch(line)
    return RoundEnd(int(ended[1])) if ended else None
