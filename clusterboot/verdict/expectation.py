"""What a benchmark's result is held against: a minimum, an earlier result, or nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any

from typing_extensions import TypedDict

from clusterboot.errors import UsageError
from clusterboot.programs.collectives import exact_busbw_gb_s
from clusterboot.programs.records import PLACEMENTS, PlacementName


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
    """An earlier result: busbw in 10^9 bytes a second at each size, and the ranks it had.

    Of what it repeats the median counts; ``noise`` is half of the repeats' range over their
    median, for the sizes that it has more than once. One that ``is_kept`` was not asked for with this run:
    what it does not fit is not held against it.
    """

    busbw_gb_s: Mapping[BaselineKey, float]
    ranks: Mapping[str, int] = field(default_factory=dict)
    noise: Mapping[BaselineKey, float] = field(default_factory=dict)
    is_kept: bool = False


@dataclass(frozen=True)
class Expectation:
    """What the interconnect should give, and where that figure is from.

    ``min_busbw_gb_s`` is one minimum for all collectives, or one for each by name, in 10^9
    bytes a second. ``source`` names the figure's origin in words; ``derivation`` is its reckoning,
    shown to the user, empty where there is none. The minimum holds for sweeps that reach
    ``holds_from_bytes``: smaller messages cannot show it. ``line_gb_s`` is for each collective the busbw
    that no measurement can be above, as far as the nodes' hardware tells.
    """

    min_busbw_gb_s: float | Mapping[str, float] | None = None
    baseline: Baseline | None = None
    source: str = ""
    derivation: str = ""
    holds_from_bytes: int = 0
    line_gb_s: Mapping[str, float] = field(default_factory=dict)

    def minimum_gb_s(self, collective: str | None) -> float | None:
        """Give the minimum for a collective; ``None`` where none was set."""
        if self.min_busbw_gb_s is None or isinstance(self.min_busbw_gb_s, (int, float)):
            return self.min_busbw_gb_s
        return self.min_busbw_gb_s.get(collective or "")


def not_judged(expectation: Expectation) -> str:
    """Say that a bandwidth was held against nothing, why, and what would judge it."""
    why = "" if expectation.min_busbw_gb_s is not None else expectation.derivation
    why = why or "no minimum and no earlier result applies to this run"
    return f"bandwidth not judged: {why}; give --min-busbw, or keep a good run with --keep-baseline"


class ExpectedJson(TypedDict):
    """What one collective was held against."""

    collective: str
    min_busbw_gb_s: float | None
    """The least bus bandwidth, 10^9 bytes a second, from holds_from_bytes on."""
    holds_from_bytes: int
    baseline: list[list[float]]
    """An earlier run: a size in bytes and its bus bandwidth in 10^9 bytes a second each."""


def expected_to_json(expectation: Expectation, collectives: Sequence[str | None]) -> list[ExpectedJson]:
    """Give what each collective was held against, for a result: nothing for those without a figure.

    ``min_busbw_gb_s`` holds from ``holds_from_bytes`` on; ``baseline`` has a size in bytes and the
    busbw in 10^9 bytes a second, of both placements the better, for each size of an earlier run.
    """
    found: list[ExpectedJson] = []
    for name in dict.fromkeys(each for each in collectives if each):
        points: dict[int, float] = {}
        for key, value in (expectation.baseline.busbw_gb_s if expectation.baseline else {}).items():
            if key.collective == name:
                points[key.size_bytes] = max(value, points.get(key.size_bytes, 0.0))
        least = expectation.minimum_gb_s(name)
        if least is None and not points:
            continue
        found.append(
            {
                "collective": name,
                "min_busbw_gb_s": least,
                "holds_from_bytes": expectation.holds_from_bytes,
                "baseline": [list(point) for point in sorted(points.items())],
            }
        )
    return found


def _baseline(points: Mapping[BaselineKey, list[float]], ranks: Mapping[str, int]) -> Baseline:
    middle = {key: median(values) for key, values in points.items()}
    noise = {
        key: (max(values) - min(values)) / 2 / middle[key]
        for key, values in points.items()
        if len(values) > 1 and middle[key] > 0
    }
    return Baseline(middle, dict(ranks), noise)


def baseline_from_json(document: object) -> Baseline:
    """Read a baseline out of a saved ``result.json``.

    Parameters: the parsed JSON of ``nccl-test`` (``tests``) or ``nccl-parse`` (``files``).
    Errors: ``UsageError`` where it is no such document, or none of its tests has a figure.
    """
    points: dict[BaselineKey, list[float]] = {}
    ranks: dict[str, int] = {}
    try:
        for test in _tests(document):
            name = test["collective"]
            if name is None:
                continue
            ranks[name] = len(test["ranks"])
            in_one = max(Counter(rank.get("group") for rank in test["ranks"]).values(), default=0)
            for row in test["rows"]:
                for placement in PLACEMENTS:
                    place, size_bytes = row[placement] or {}, row["size_bytes"]
                    printed, time_us = place.get("busbw_gb_s"), place.get("time_us")
                    busbw = exact_busbw_gb_s(name, in_one, size_bytes, time_us, printed)
                    if busbw is not None:
                        key = BaselineKey(
                            name, row["dtype"], row["redop"], row["root"], placement, size_bytes
                        )
                        points.setdefault(key, []).append(float(busbw))
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise _no_baseline() from error
    if not points:
        raise _no_baseline()
    return _baseline(points, ranks)


def _no_baseline() -> UsageError:
    return UsageError(
        "the baseline has no benchmark result in it",
        remedy="give the result.json of an earlier nccl-test run",
    )


def _tests(document: Any) -> list[Any]:
    """List the tests of a document, those of all its runs where it has several."""
    if document.get("runs"):
        return [test for run in document["runs"] for test in run["tests"]]
    if "tests" in document:
        return list(document["tests"])
    return [test for file in document["files"] for test in file["tests"]]
