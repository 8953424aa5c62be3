"""Whether a test was fast enough, judged where its bandwidth is at its peak."""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import median

from clusterboot.bench.collectives import COLLECTIVES
from clusterboot.bench.records import PLACEMENTS, BenchTest, Placement, PlacementName, Row
from clusterboot.diagnose.completeness import ranks_of
from clusterboot.diagnose.expectation import Baseline, BaselineKey, Expectation
from clusterboot.units import format_size, gbps

# A size belongs to the plateau where its busbw is at least this share of the peak.
_PLATEAU = 0.9
# Below the plateau, latency rules and repeats differ by far more: only a collapse counts there.
_COLLAPSE = 0.5


@dataclass(frozen=True)
class Plateau:
    """The sizes at which a placement's busbw is near its peak, and the median busbw there."""

    placement: PlacementName
    busbw_gbps: float
    sizes_bytes: tuple[int, ...]


@dataclass(frozen=True)
class Shortfall:
    """What was too slow, in words, and what could not be compared."""

    reasons: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    compared: bool = False
    comparable: bool = True


@dataclass(frozen=True)
class Change:
    """One size of one placement, before and now, in 10^9 bytes a second of busbw.

    ``beyond_noise`` is true where repeats alone do not differ by so much.
    """

    placement: PlacementName
    size_bytes: int
    before_gbps: float
    now_gbps: float
    beyond_noise: bool

    def __str__(self) -> str:
        """Say it in words."""
        return (
            f"{self.placement.replace('_', '-')} busbw at {format_size(self.size_bytes)} is"
            f" {self.now_gbps:.4g} GB/s, {self.now_gbps / self.before_gbps:.0%} of the baseline's"
            f" {self.before_gbps:.4g} GB/s"
        )


def busbw_of(test: BenchTest, row: Row, place: Placement) -> float | None:
    """Give a cell's busbw in 10^9 bytes a second, exact where its time tells more than two decimals.

    The time counts only where it agrees with the printed figure to its last digit.
    """
    collective = COLLECTIVES.get(test.collective or "")
    ranks = ranks_of(test)
    if place.busbw_gbps is None or place.time_us is None or collective is None or not ranks:
        return place.busbw_gbps
    exact = gbps(row.size_bytes, place.time_us) * collective.bus_factor(ranks)
    return exact if math.isclose(exact, place.busbw_gbps, rel_tol=0.01, abs_tol=0.006) else place.busbw_gbps


def plateaus(test: BenchTest) -> tuple[Plateau, ...]:
    """Find each placement's plateau; a placement that proves nothing has none.

    In place, alltoall and sendrecv are not defined by the benchmark.
    """
    collective = COLLECTIVES.get(test.collective or "")
    found = []
    for name in PLACEMENTS:
        if name == "in_place" and collective is not None and not collective.in_place:
            continue
        points = [
            (busbw, row.size_bytes)
            for row in test.rows
            if (place := row.placement(name)) is not None
            and (busbw := busbw_of(test, row, place)) is not None
            and row.size_bytes > 0
        ]
        if not points:
            continue
        peak = max(busbw for busbw, _ in points)
        near = [(busbw, size) for busbw, size in points if busbw >= peak * _PLATEAU]
        sizes = tuple(sorted({size for _, size in near}))
        found.append(Plateau(name, median(busbw for busbw, _ in near), sizes))
    return tuple(found)


def shortfall(test: BenchTest, expectation: Expectation) -> Shortfall:
    """Hold a complete test against what is expected of it.

    Returns: reasons where it is slow; notes; ``compared`` false where nothing was there to
    compare with, ``comparable`` false where a baseline was given and does not fit.
    """
    minimum = expectation.minimum_gbps(test.collective)
    largest = max((row.size_bytes for row in test.rows), default=0)
    too_small: tuple[str, ...] = ()
    if minimum is not None and largest < expectation.holds_from_bytes:
        need = format_size(expectation.holds_from_bytes)
        too_small = (
            f"its largest size is {format_size(largest)}: what is expected shows only from {need} on",
        )
        minimum = None
    reasons: list[str] = []
    compared = False
    if minimum is not None:
        found = plateaus(test)
        compared = bool(found)
        reasons += [
            f"{plateau.placement.replace('_', '-')} busbw is {plateau.busbw_gbps:.4g} GB/s at "
            f"{_sizes(plateau.sizes_bytes)}, below {minimum:.4g} GB/s{_source(expectation)}"
            for plateau in found
            if plateau.busbw_gbps < minimum
        ]
    if expectation.baseline is None:
        return Shortfall(tuple(reasons), too_small, compared)
    against = _against_baseline(test, expectation.baseline, expectation.tolerance)
    return Shortfall((*reasons, *against.reasons), against.notes, True, against.comparable)


def changes(test: BenchTest, baseline: Baseline, tolerance: float) -> tuple[Change, ...]:
    """Compare a test with a baseline size by size, in the test's order.

    Parameters: the test; the baseline; the share by which runs differ anyway at the plateau.
    Returns: one change for each size that both have, of every placement that proves something.
    """
    found = []
    for plateau in plateaus(test):
        pairs = []
        for row in test.rows:
            place = row.placement(plateau.placement)
            key = _key(test.collective or "", row, plateau.placement)
            before = baseline.busbw_gbps.get(key)
            now = busbw_of(test, row, place) if place is not None and row.size_bytes else None
            if now is not None and before:
                pairs.append((row.size_bytes, before, now, baseline.noise.get(key, 0.0)))
        peak = max((before for _, before, _, _ in pairs), default=0.0)
        for size, before, now, noise in pairs:
            allowed = max(tolerance if before >= peak * _PLATEAU else _COLLAPSE, 2 * noise)
            # The printed figures are exact to half of their last digit.
            beyond = abs(now - before) - 0.005 > before * allowed
            found.append(Change(plateau.placement, size, before, now, beyond))
    return tuple(found)


def _against_baseline(test: BenchTest, baseline: Baseline, tolerance: float) -> Shortfall:
    name = test.collective or ""
    if name not in baseline.ranks:
        return Shortfall((), (f"the baseline has no {name or 'such'} test",), comparable=False)
    if baseline.ranks[name] != len(test.ranks):
        note = f"the baseline has {baseline.ranks[name]} ranks, this run {len(test.ranks)}"
        return Shortfall((), (note,), comparable=False)
    compared = changes(test, baseline, tolerance)
    reasons = tuple(
        str(change) for change in compared if change.beyond_noise and change.now_gbps < change.before_gbps
    )
    better = [change for change in compared if change.beyond_noise and change.now_gbps > change.before_gbps]
    within = sum(not change.beyond_noise for change in compared)
    known = {change.size_bytes for change in compared}
    unknown = tuple(sorted({row.size_bytes for row in test.rows if row.size_bytes} - known))
    notes = (
        f"{within} of {len(compared)} figures are within noise of the baseline",
        *((f"{len(better)} are better beyond noise, as {better[-1]}",) if better else ()),
        *((f"not in the baseline: {_sizes(unknown)}",) if unknown else ()),
    )
    return Shortfall(reasons, notes, comparable=bool(compared))


def _key(collective: str, row: Row, placement: PlacementName) -> BaselineKey:
    return BaselineKey(collective, row.dtype, row.redop, row.root, placement, row.size_bytes)


def _sizes(sizes_bytes: tuple[int, ...]) -> str:
    """Name sizes briefly: one, or the first and last."""
    first, last = format_size(sizes_bytes[0]), format_size(sizes_bytes[-1])
    return first if len(sizes_bytes) == 1 else f"{first} to {last}"


def _source(expectation: Expectation) -> str:
    return f" ({expectation.source})" if expectation.source else ""
