"""What a file may hold for a matrix: a whole table of pairs, or what one log says of one pair."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from ..pair_matrix import PairMatrix
from .cells import Rows


@dataclass(frozen=True)
class Table:
    """A table with a row and a column for each node, and what stands above it."""

    rows: Rows
    caption: str | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class PairFigure:
    """What a log, or a line of a table, says of one pair.

    ``what`` is the measurement: figures of different ones are different matrices; ``rail`` is the
    device it went over, where that is known. ``ends`` are the two hosts, the sender first; ``None``
    where the log does not say. ``rate_gb_s`` is 0 for a dead pair, ``None`` for one that was not
    measured, and ``why`` says so in words. ``one_way`` is true where the rate is that from the first
    end to the second, false where it is that of both directions, ``None`` where nothing tells.
    ``largest_bytes`` is where a sweep of sizes ended. ``pulls`` is true where the first of two hosts in
    a file's name is the one that receives.
    """

    what: str
    path: str
    ends: tuple[str, str] | None
    rate_gb_s: float | None
    one_way: bool | None = False
    why: str | None = None
    rail: str | None = None
    largest_bytes: int | None = None
    pulls: bool = False


Found = Table | PairFigure

# Rows belong to a sweep's large end where they are at most this much smaller than the largest.
_LARGE_END = 4


def sustained(points: Mapping[int, float]) -> float | None:
    """Give what a sweep sustains: what it comes to at its large end, where no buffer flatters it.

    Parameters: the rate of each size in bytes.
    Returns: the median of the large end's sizes, or the last where that is still higher; ``None`` for none.
    """
    if not points:
        return None
    largest = max(points)
    return max(median(rate for size, rate in points.items() if size * _LARGE_END >= largest), points[largest])


@dataclass(frozen=True)
class Format:
    """A kind of file that is read.

    ``recognises`` looks at a text; ``read`` takes it and the name by which messages call the file,
    and raises :class:`~clusterboot.errors.UsageError` where nothing is to be had from it.
    """

    name: str
    recognises: Callable[[str], bool]
    read: Callable[[str, str], Sequence[Found]]


@dataclass(frozen=True, eq=False)
class StoredMatrix:
    """A matrix that was read: from which file or set of files, and what is to be known of it."""

    path: str
    matrix: PairMatrix
    caption: str | None = None
    notes: tuple[str, ...] = ()
