"""Whether a test was fast enough, judged where its bandwidth is at its peak."""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import median

from clusterboot.bench.collectives import COLLECTIVES
from clusterboot.bench.records import BenchTest, Placement, Row
from clusterboot.diagnose.completeness import ranks_of
from clusterboot.diagnose.expectation import PLACEMENTS, Baseline, BaselineKey, Expectation, PlacementName
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
    for at, name in enumerate(PLACEMENTS):
        if name == "in_place" and collective is not None and not collective.in_place:
            continue
        points = [
            (busbw, row.size_bytes)
            for row in test.rows
            if at < len(row.placements)
            and (busbw := busbw_of(test, row, row.placements[at])) is not None
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
        return Shortfall(tuple(reasons), (), compared)
    against = _against_baseline(test, expectation.baseline, expectation.tolerance)
    return Shortfall((*reasons, *against.reasons), against.notes, True, against.comparable)


def _against_baseline(test: BenchTest, baseline: Baseline, tolerance: float) -> Shortfall:
    name = test.collective or ""
    if name not in baseline.ranks:
        return Shortfall((), (f"the baseline has no {name or 'such'} test",), comparable=False)
    if baseline.ranks[name] != len(test.ranks):
        note = f"the baseline has {baseline.ranks[name]} ranks, this run {len(test.ranks)}"
        return Shortfall((), (note,), comparable=False)
    reasons: list[str] = []
    unknown: set[int] = set()
    shared = 0
    for plateau in plateaus(test):
        at = PLACEMENTS.index(plateau.placement)
        rows = [row for row in test.rows if row.size_bytes and at < len(row.placements)]
        pairs = [
            (row, busbw_of(test, row, row.placements[at]), baseline.busbw_gbps.get(_key(name, row, at)))
            for row in rows
        ]
        known = [(row, now, before) for row, now, before in pairs if now is not None and before]
        unknown |= {row.size_bytes for row, _, before in pairs if before is None}
        shared += len(known)
        peak = max((before for _, _, before in known), default=0.0)
        reasons += [
            f"{plateau.placement.replace('_', '-')} busbw at {format_size(row.size_bytes)} is {now:.4g} GB/s,"
            f" {now / before:.0%} of the baseline's {before:.4g} GB/s"
            for row, now, before in known
            # The printed baseline is exact to half of its last digit.
            if now + 0.005 < before * (1 - tolerance if before >= peak * _PLATEAU else _COLLAPSE)
        ]
    notes = [f"not in the baseline: {_sizes(tuple(sorted(unknown)))}"] if unknown else []
    return Shortfall(tuple(reasons), tuple(notes), comparable=shared > 0)


def _key(collective: str, row: Row, at: int) -> BaselineKey:
    return BaselineKey(collective, row.dtype, row.redop, row.root, PLACEMENTS[at], row.size_bytes)


def _sizes(sizes_bytes: tuple[int, ...]) -> str:
    """Name sizes briefly: one, or the first and last."""
    first, last = format_size(sizes_bytes[0]), format_size(sizes_bytes[-1])
    return first if len(sizes_bytes) == 1 else f"{first} to {last}"


def _source(expectation: Expectation) -> str:
    return f" ({expectation.source})" if expectation.source else ""
