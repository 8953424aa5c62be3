"""What a benchmark's result is held against: a minimum, an earlier result, or nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from clusterboot.bench.records import BenchTest
from clusterboot.errors import UsageError

PlacementName = Literal["out_of_place", "in_place"]
PLACEMENTS: tuple[PlacementName, ...] = ("out_of_place", "in_place")


@dataclass(frozen=True)
class BaselineKey:
    """What must be equal for two measurements to be comparable."""

    collective: str
    dtype: str
    redop: str | None
    root: int | None
    placement: PlacementName
    size_bytes: int


@dataclass(frozen=True)
class Baseline:
    """An earlier result: busbw in 10^9 bytes a second at each size, and the ranks it had."""

    busbw_gbps: Mapping[BaselineKey, float]
    ranks: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Expectation:
    """What the interconnect should give, and where that figure is from.

    ``min_busbw_gbps`` is one minimum for all collectives, or one for each by name, in 10^9
    bytes a second; ``tolerance`` the share by which a measurement may fall short of the
    baseline. ``source`` names the figure's origin in words; ``derivation`` is its reckoning,
    shown to the user, empty where there is none.
    """

    min_busbw_gbps: float | Mapping[str, float] | None = None
    baseline: Baseline | None = None
    source: str = ""
    derivation: str = ""
    tolerance: float = 0.1

    def minimum_gbps(self, collective: str | None) -> float | None:
        """Give the minimum for a collective; ``None`` where none was set."""
        if self.min_busbw_gbps is None or isinstance(self.min_busbw_gbps, (int, float)):
            return self.min_busbw_gbps
        return self.min_busbw_gbps.get(collective or "")


def baseline_of(tests: tuple[BenchTest, ...]) -> Baseline:
    """Make a baseline of an earlier run's tests; what it repeats counts with its best."""
    points: dict[BaselineKey, float] = {}
    ranks: dict[str, int] = {}
    for test in tests:
        if test.collective is None:
            continue
        ranks[test.collective] = len(test.ranks)
        for row in test.rows:
            for name, place in zip(PLACEMENTS, row.placements, strict=False):
                if place.busbw_gbps is not None:
                    key = BaselineKey(test.collective, row.dtype, row.redop, row.root, name, row.size_bytes)
                    points[key] = max(place.busbw_gbps, points.get(key, 0.0))
    return Baseline(points, ranks)


def baseline_from_json(document: object) -> Baseline:
    """Read a baseline out of a saved ``result.json``.

    Parameters: the parsed JSON of ``nccl-test`` (``tests``) or ``nccl-parse`` (``files``).
    Errors: ``UsageError`` where it is no such document, or none of its tests has a figure.
    """
    points: dict[BaselineKey, float] = {}
    ranks: dict[str, int] = {}
    try:
        for test in _tests(document):
            name = test["collective"]
            if name is None:
                continue
            ranks[name] = len(test["ranks"])
            for row in test["rows"]:
                for placement in PLACEMENTS:
                    busbw = (row[placement] or {}).get("busbw_gbps")
                    if busbw is not None:
                        key = BaselineKey(
                            name, row["dtype"], row["redop"], row["root"], placement, row["size_bytes"]
                        )
                        points[key] = max(float(busbw), points.get(key, 0.0))
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise _no_baseline() from error
    if not points:
        raise _no_baseline()
    return Baseline(points, ranks)


def _no_baseline() -> UsageError:
    return UsageError(
        "the baseline has no benchmark result in it",
        remedy="give the result.json of an earlier nccl-test run",
    )


def _tests(document: Any) -> list[Any]:
    if "tests" in document:
        return list(document["tests"])
    return [test for file in document["files"] for test in file["tests"]]
