"""What an all-pairs run is asked to do, and what it costs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from clusterboot.errors import UsageError

from .collbench_program import NcclLibraries, nccl_argv

# Beyond what the pairs take: telling both ends, and the answer, for the slowest of a round.
_ROUND_S = 0.03
_LAUNCH_S = 4.0
# A measurement's share of a pair's time, see collbench/pairs_measure.h.
_WAY_SHARE = 0.3
_STEPS = 3
# A stream that has begun is carried to its end; the last one of a measurement begins in time. See
# STREAM_SHARE in collbench/pairs_samples.c.
_BEGUN_SHARE = 1 / 6
# So many times as long as the others may a pair take whose samples differ.
_DIFFERING = 10.0


@dataclass(frozen=True)
class PairsOptions:
    """How a pair is measured.

    ``pair_s`` is the time for one pair in seconds, ``most_s`` that for one whose samples differ
    (``None`` for ten times as much), ``least_s`` that for every one, however well its samples agree,
    ``stuck_s`` the silence after which a pair is dead, ``max_bytes`` the largest message; ``join_s`` what two
    ranks need before they can begin, which for NCCL is a communicator of their own.
    Errors: ``UsageError`` for values that cannot be measured with.
    """

    pair_s: float = 0.5
    stuck_s: float = 5.0
    max_bytes: int = 4 * 1024**2
    join_s: float = 0.0
    most_s: float | None = None
    least_s: float = 0.0

    def __post_init__(self) -> None:
        if not 1 <= self.max_bytes <= 1024**3:
            raise UsageError(f"a message of {self.max_bytes} bytes", remedy="give one of 1 byte to 1G")
        if not (0 < self.pair_s <= 1e6 and 0 < self.stuck_s <= 1e6):
            raise UsageError("the time for a pair must be more than 0 and at most 1e6 seconds")

    @property
    def limit_s(self) -> float:
        """The time for a pair whose samples differ, in seconds."""
        return _DIFFERING * self.pair_s if self.most_s is None else max(self.most_s, self.pair_s)


@dataclass(frozen=True)
class PairsRound:
    """Disjoint pairs that are measured side by side.

    Each direction is measured by itself and then both at once; with ``both_only`` only the last,
    in a third of the time.
    """

    pairs: tuple[tuple[int, int], ...]
    both_only: bool = False


@dataclass(frozen=True)
class Cost:
    """What a launch is expected to take: ``time_s`` is an estimate in seconds, ``bytes_most`` a limit.

    The limit is ``None`` where the links' rate is not known: what is carried is bounded in time.

    A measurement is one series of timed transfers between two nodes: one way, the other way, or
    both ways at once. ``pairs`` counts each pair once, however often it is measured.
    """

    rounds: int
    pairs: int
    measurements: int
    bytes_most: int | None
    time_s: float


def cost(rounds: Sequence[PairsRound], options: PairsOptions, rate_gb_s: float | None = None) -> Cost:
    """Estimate what one launch costs.

    Parameters: the rounds; the options; the links' nominal rate in 10^9 bytes a second, where known.
    """
    pairs = len({(min(pair), max(pair)) for each in rounds for pair in each.pairs})
    measurements = sum(len(each.pairs) * (1 if each.both_only else _STEPS) for each in rounds)
    # Both at once are two ways that bytes take.
    ways = sum(len(each.pairs) * (2 if each.both_only else _STEPS + 1) for each in rounds)
    way_s = (options.limit_s + options.pair_s * _BEGUN_SHARE) * _WAY_SHARE
    most = None if rate_gb_s is None else int(ways * rate_gb_s * 1e9 * way_s)
    pair_s = max(options.pair_s, options.least_s)
    time_s = _LAUNCH_S + sum(_share(each) * pair_s + _ROUND_S + options.join_s for each in rounds)
    return Cost(len(rounds), pairs, measurements, most, time_s)


def fitting_pair_s(rounds: Sequence[PairsRound], budget_s: float, join_s: float = 0.0) -> float:
    """Give the time for a pair with which rounds fit into ``budget_s`` seconds; may be below 0."""
    if not rounds:
        return budget_s - _LAUNCH_S
    return (budget_s - _LAUNCH_S - (_ROUND_S + join_s) * len(rounds)) / sum(map(_share, rounds))


def _share(each: PairsRound) -> float:
    """Give the part of a pair's time that a round takes."""
    return _WAY_SHARE if each.both_only else 1.0


def pairs_argv(
    options: PairsOptions,
    schedule: str,
    addresses: Sequence[str],
    port: int,
    libraries: NcclLibraries | None = None,
) -> list[str]:
    """Write the program's arguments.

    Parameters: the path of the file with :func:`schedule_text`, as rank 0 sees it; the nodes'
    addresses in the order that the schedule counts them, a node's once for each of its ranks; the
    port that connections are tried on; NCCL's ``libraries`` where it is to measure over NCCL.
    """
    return [
        *("pairs", *nccl_argv(libraries)),
        *("-s", schedule, "-a", ",".join(addresses), "-p", str(port)),
        *("-e", str(options.max_bytes), "-T", f"{options.pair_s:g}"),
        *("-M", f"{options.limit_s:g}", "-L", f"{options.stuck_s:g}"),
        *(("-N", f"{options.least_s:g}") if options.least_s else ()),
    ]


def schedule_text(rounds: Sequence[PairsRound], key: str = "") -> str:
    """Write rounds as the program reads them: one a line, pairs as ``0-1``, the word ``both`` before some.

    Parameters: ``key``, in hexadecimal digits, is what rank 0 alone learns and begins its lines with.
    """
    first = f"key {key}\n" if key else ""
    return first + "".join(f"{'both ' * each.both_only}{_words(each.pairs)}\n" for each in rounds)


def _words(pairs: Sequence[tuple[int, int]]) -> str:
    return " ".join(f"{one}-{other}" for one, other in pairs)
