"""What is known of each collective: how its size is divided, its bandwidth factor, its program."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Literal

from clusterboot.units import gb_s

Factor = Literal["one", "others", "twice-others"]

DTYPE_BYTES = {
    "int8": 1,
    "uint8": 1,
    "char": 1,
    "f8e4m3": 1,
    "f8e5m2": 1,
    "fp8_e4m3": 1,
    "fp8_e5m2": 1,
    "half": 2,
    "bfloat16": 2,
    "int32": 4,
    "uint32": 4,
    "int": 4,
    "float": 4,
    "int64": 8,
    "uint64": 8,
    "double": 8,
}


@dataclass(frozen=True)
class Collective:
    """One collective as nccl-tests runs it.

    ``split`` is true where a size is divided among the ranks; ``in_place`` false where the
    benchmark has no in-place form and its second placement proves nothing.
    Source: nccl-tests' ``src/*.cu`` (GetCollByteCount, GetBw) and ``doc/PERFORMANCE.md``.
    """

    name: str
    factor: Factor
    split: bool
    in_place: bool = True
    exact_sizes: bool = True
    in_collbench: bool = True

    @property
    def program(self) -> str:
        """The name of nccl-tests' program for it."""
        return f"{self.name}_perf"

    def bus_factor(self, ranks: int) -> float:
        """Give busbw over algbw for a number of ranks."""
        if self.factor == "one" or ranks < 1:
            return 1.0
        return (2.0 if self.factor == "twice-others" else 1.0) * (ranks - 1) / ranks


COLLECTIVES = {
    collective.name: collective
    for collective in (
        Collective("all_reduce", "twice-others", split=False),
        Collective("all_gather", "others", split=True),
        Collective("reduce_scatter", "others", split=True),
        Collective("broadcast", "one", split=False),
        Collective("reduce", "one", split=False),
        Collective("alltoall", "others", split=True, in_place=False),
        Collective("sendrecv", "one", split=False, in_place=False),
        Collective("gather", "others", split=True, in_collbench=False),
        Collective("scatter", "others", split=True, in_collbench=False),
        Collective("hypercube", "one", split=True, exact_sizes=False, in_collbench=False),
        Collective("alltoallv", "others", split=True, in_place=False, exact_sizes=False, in_collbench=False),
    )
}


def exact_busbw_gb_s(
    name: str | None, ranks: int, size_bytes: int, time_us: float | None, printed_gb_s: float | None
) -> float | None:
    """Give a row's busbw in 10^9 bytes a second, exact where its time tells more than its printed decimals.

    The time counts only where it agrees with the printed figure to its last digit.
    """
    collective = COLLECTIVES.get(name or "")
    if printed_gb_s is None or time_us is None or collective is None or not ranks:
        return printed_gb_s
    exact = gb_s(size_bytes, time_us) * collective.bus_factor(ranks)
    return exact if math.isclose(exact, printed_gb_s, rel_tol=0.01, abs_tol=0.006) else printed_gb_s


_NAMES = "|".join(sorted(COLLECTIVES, key=len, reverse=True))
_PROGRAM = re.compile(rf"(?<![A-Za-z0-9])({_NAMES})(?:_perf(?:_\w+)?)?$")
_MENTION = re.compile(rf"(?<![A-Za-z0-9_])({_NAMES})_perf(?![A-Za-z0-9])")


def of_program(program: str) -> str | None:
    """Name the collective of a program such as ``/opt/build/all_reduce_perf_mpi``; ``None`` if unknown."""
    match = _PROGRAM.search(program.strip())
    return match[1] if match else None


def mentions(text: str) -> set[str]:
    """Name the collectives whose programs a line mentions."""
    return {match[1] for match in _MENTION.finditer(text)}
