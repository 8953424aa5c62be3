"""What an all-pairs run is asked to do, and what it costs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from clusterboot.errors import UsageError

Rounds = Sequence[Sequence[tuple[int, int]]]

# Beyond what the pairs take: telling both ends, and the answer, for the slowest of a round.
_ROUND_S = 0.03
_LAUNCH_S = 4.0
# The limits of collbench/pairs_measure.c: repeats of one size, and ways that bytes take.
_MOST_REPEATS = 200
_WAYS = 4
_WAYS_SHARE = 0.3 * _WAYS


@dataclass(frozen=True)
class PairsOptions:
    """How a pair is measured.

    ``pair_s`` is the time for one pair in seconds, ``stuck_s`` the silence after which it is
    dead, ``max_bytes`` the largest message.
    Errors: ``UsageError`` for values that cannot be measured with.
    """

    pair_s: float = 1.0
    stuck_s: float = 5.0
    max_bytes: int = 4 * 1024**2

    def __post_init__(self) -> None:
        if not 1 <= self.max_bytes <= 1024**3:
            raise UsageError(f"a message of {self.max_bytes} bytes", remedy="give one of 1 byte to 1G")
        if not (0 < self.pair_s <= 1e6 and 0 < self.stuck_s <= 1e6):
            raise UsageError("the time for a pair must be more than 0 and at most 1e6 seconds")


@dataclass(frozen=True)
class Cost:
    """What a launch is expected to take: ``bytes_most`` is a limit, ``time_s`` an estimate in seconds."""

    rounds: int
    pairs: int
    bytes_most: int
    time_s: float


def cost(rounds: Rounds, options: PairsOptions, rate_gbps: float | None = None) -> Cost:
    """Estimate what one launch costs.

    Parameters: the rounds; the options; the links' nominal rate in 10^9 bytes a second, where known.
    """
    pairs = sum(len(each) for each in rounds)
    bytes_most = float(_MOST_REPEATS * _WAYS * options.max_bytes)
    if rate_gbps is not None:
        # A message that has begun is carried to its end.
        timed = rate_gbps * 1e9 * options.pair_s * _WAYS_SHARE + 2 * _WAYS * options.max_bytes
        bytes_most = min(bytes_most, timed)
    time_s = _LAUNCH_S + len(rounds) * (options.pair_s + _ROUND_S)
    return Cost(len(rounds), pairs, int(pairs * bytes_most), time_s)


def fitting_pair_s(rounds: int, budget_s: float) -> float:
    """Give the time for a pair with which ``rounds`` fit into ``budget_s`` seconds; may be below 0."""
    return (budget_s - _LAUNCH_S) / max(1, rounds) - _ROUND_S


def pairs_argv(options: PairsOptions, schedule: str, addresses: Sequence[str], port: int) -> list[str]:
    """Write the program's arguments.

    Parameters: the path of the file with :func:`schedule_text`, as rank 0 sees it; the nodes'
    addresses in the order that the schedule counts them; the port that connections are tried on.
    """
    return [
        *("pairs", "-s", schedule, "-a", ",".join(addresses), "-p", str(port)),
        *("-e", str(options.max_bytes), "-T", f"{options.pair_s:g}", "-L", f"{options.stuck_s:g}"),
    ]


def schedule_text(rounds: Rounds) -> str:
    """Write rounds as the program reads them: one a line, pairs as ``0-1``."""
    return "".join(" ".join(f"{one}-{other}" for one, other in each) + "\n" for each in rounds)
