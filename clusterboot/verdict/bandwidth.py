"""Whether a test was fast enough, judged by what it sustains at the large end of its sweep.

Never by its best row: small messages pass a shaped or bursty link faster than it can go on, and a
link that breaks down under load does so where the messages are large.
"""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median

from clusterboot.programs.collectives import COLLECTIVES, exact_busbw_gb_s
from clusterboot.programs.completeness import ranks_of
from clusterboot.programs.records import PLACEMENTS, BenchTest, Placement, PlacementName, Row
from clusterboot.units import format_size

from .expectation import Baseline, BaselineKey, Expectation

# The large end of a sweep: its largest size, and those down to a fourth of it. Single rows of healthy
# clusters come out at 0.4 times their neighbours, so that one row alone says little.
_LARGE_END = 4
# Sizes before it belong to the plateau while their busbw differs from the large end's by no more.
_NEAR = 0.1
# Below the plateau, latency rules and repeats differ by far more: only a collapse counts there.
_COLLAPSE = 0.5
# By such a share runs differ anyway at the plateau.
_TOLERANCE = 0.1
# A sweep may end at this share of its best size. Collectives of NCCL, and sendrecv over whatever, rise and
# stay, but for dips where the algorithm changes and a few percent at the end; MPI's change their
# algorithm with the size, and what suits large messages less can cost half of the bandwidth.
_MAY_FALL_TO, _MPI_MAY_FALL_TO = 0.7, 0.4
# One row, the last, may be an outlier; so low it is not.
_LAST_MAY_FALL_TO = 0.5
# What sockets, queues and token buckets hold can take all of a short series at any rate: with TCP's
# usual limits 10 MiB a connection (tcp_rmem and tcp_wmem of tcp(7)). Of a series that moves less than
# several times as much, a high bandwidth proves nothing.
_PROVING_BYTES = 64 * 1024**2
_USUAL_ITERATIONS = 20
# nccl-tests prints figures with two decimals, collbench those below 1 with four. What has more is reckoned
# from a time.
_PRINTED_DECIMALS = (2, 4)
# Of fewer figures one that is low may be as right as the others.
_FEWEST_FIGURES = 3
# The rates of lines are exact; the printed figures are not.
_ABOVE_LINE = 1.05


@dataclass(frozen=True)
class Plateau:
    """The sizes at the large end at which a placement sustains its busbw, and the median busbw there."""

    placement: PlacementName
    busbw_gb_s: float
    sizes_bytes: tuple[int, ...]

    def __str__(self) -> str:
        """Say it in words."""
        return f"{self.busbw_gb_s:.4g} GB/s at {_sizes(self.sizes_bytes)}"


@dataclass(frozen=True)
class Shortfall:
    """What was too slow, in words, and what could not be compared.

    ``impossible`` says which figures are above what the line can carry, where they are the sweep's largest.
    """

    reasons: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    compared: bool = False
    comparable: bool = True
    impossible: str | None = None


@dataclass(frozen=True)
class Change:
    """One size of one placement, before and now, in 10^9 bytes a second of busbw.

    ``beyond_noise`` is true where repeats alone do not differ by so much.
    """

    placement: PlacementName
    size_bytes: int
    before_gb_s: float
    now_gb_s: float
    beyond_noise: bool

    def __str__(self) -> str:
        """Say it in words."""
        return (
            f"{_words(self.placement)} busbw at {format_size(self.size_bytes)} is"
            f" {self.now_gb_s:.4g} GB/s, {self.now_gb_s / self.before_gb_s:.0%} of the baseline's"
            f" {self.before_gb_s:.4g} GB/s"
        )


def busbw_of(test: BenchTest, row: Row, place: Placement) -> float | None:
    """Give a cell's busbw in 10^9 bytes a second, as exactly as it is known."""
    return exact_busbw_gb_s(test.collective, ranks_of(test), row.size_bytes, place.time_us, place.busbw_gb_s)


def plateaus(test: BenchTest, line_gb_s: float | None = None) -> tuple[Plateau, ...]:
    """Find what each placement sustains; a placement that proves nothing has none.

    Parameters: the test; what the line can carry at most, in 10^9 bytes a second of busbw, where it is
    known: rows above it count for nothing. In place, alltoall and sendrecv are not defined by the benchmark.
    Returns: the level is the median of the large end's sizes, or the last where that is still higher;
    to it belong the sizes before it that do not differ from it.
    """
    points = {name: _points(test, name, line_gb_s) for name in _placements(test)}
    return tuple(_plateau(name, each) for name, each in points.items() if each)


def _placements(test: BenchTest) -> tuple[PlacementName, ...]:
    collective = COLLECTIVES.get(test.collective or "")
    return PLACEMENTS if collective is None or collective.in_place else ("out_of_place",)


def _points(test: BenchTest, name: PlacementName, line_gb_s: float | None = None) -> dict[int, float]:
    """Give the busbw of each size in 10^9 bytes a second; of cycles, types and ops the median."""
    found: dict[int, list[float]] = {}
    for row in test.rows:
        place = row.placement(name)
        busbw = busbw_of(test, row, place) if place is not None and row.size_bytes > 0 else None
        if busbw is not None and not _is_above(busbw, line_gb_s):
            found.setdefault(row.size_bytes, []).append(busbw)
    return {size: median(values) for size, values in sorted(found.items())}


def _is_above(busbw_gb_s: float, line_gb_s: float | None) -> bool:
    return line_gb_s is not None and busbw_gb_s > line_gb_s * _ABOVE_LINE


def _plateau(name: PlacementName, points: dict[int, float]) -> Plateau:
    largest = max(points)
    end = [size for size in points if size * _LARGE_END >= largest]
    level = max(median(points[size] for size in end), points[largest])
    sizes = [*end]
    for size in sorted(points.keys() - set(end), reverse=True):
        if not _is_near(points[size], level):
            break
        sizes.insert(0, size)
    near = [points[size] for size in sizes if _is_near(points[size], level)]
    return Plateau(name, median(near) if near else level, tuple(sizes))


def _is_near(busbw_gb_s: float, level_gb_s: float) -> bool:
    return abs(busbw_gb_s - level_gb_s) <= level_gb_s * _NEAR


def shortfall(test: BenchTest, expectation: Expectation, *, is_median: bool = False) -> Shortfall:
    """Hold a complete test against what is expected of it, and against itself.

    Parameters: ``is_median`` is true for a test that stands for several runs.
    Returns: reasons where it is slow, or its sweep collapses; notes; ``compared`` false where nothing
    was there to compare with, ``comparable`` false where a baseline was given and does not fit.
    """
    line_gb_s = expectation.line_gb_s.get(test.collective or "")
    impossible, notes = _above_line(test, line_gb_s)
    minimum = expectation.minimum_gb_s(test.collective)
    largest = max((row.size_bytes for row in test.rows), default=0)
    if minimum is not None and largest < expectation.holds_from_bytes:
        need = format_size(expectation.holds_from_bytes)
        notes += (f"its largest size is {format_size(largest)}: what is expected shows only from {need} on",)
        minimum = None
    reasons: list[str] = []
    compared = False
    if minimum is not None:
        found = plateaus(test, line_gb_s)
        compared = bool(found)
        source = f" ({expectation.source})" if expectation.source else ""
        reasons += [
            f"{_words(plateau.placement)} busbw is {plateau}, below {minimum:.4g} GB/s{source}"
            for plateau in found
            if plateau.busbw_gb_s < minimum
        ]
    fallen, flattered = _falls(test, line_gb_s)
    reasons += fallen
    notes += flattered
    if expectation.baseline is None:
        return Shortfall(tuple(reasons), notes, compared, impossible=impossible)
    against = _against_baseline(test, expectation.baseline, is_median=is_median)
    # What nobody asked to compare with may not fit.
    comparable = against.comparable or expectation.baseline.is_kept
    compared = compared or against.comparable
    reasons += against.reasons
    return Shortfall(tuple(reasons), (*notes, *against.notes), compared, comparable, impossible)


def _above_line(test: BenchTest, line_gb_s: float | None) -> tuple[str | None, tuple[str, ...]]:
    """Name the rows that are above what the line can carry.

    Returns: why the measurement cannot be right, where the largest size is among them; else a note.
    """
    above: dict[int, float] = {}
    for name in _placements(test):
        for size, busbw in _points(test, name).items():
            if _is_above(busbw, line_gb_s):
                above[size] = max(busbw, above.get(size, 0.0))
    if line_gb_s is None or not above:
        return None, ()
    best = max(above, key=lambda size: above[size])
    text = (
        f"busbw of {above[best]:.4g} GB/s at {format_size(best)} is above what the line can carry,"
        f" {line_gb_s:.4g} GB/s"
    )
    if max(row.size_bytes for row in test.rows) in above:
        return f"{text}: the measurement cannot be right", ()
    return None, (f"{text}: {_sizes(tuple(sorted(above)))} count for nothing",)


def _falls(test: BenchTest, line_gb_s: float | None) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Say where busbw falls towards large sizes by more than is usual, and which small sizes prove nothing.

    Returns: a reason for each placement that falls; notes on sizes that only seem faster.
    """
    floor = _may_fall_to(test)
    if floor is None:
        return (), ()
    reasons: list[str] = []
    notes: list[str] = []
    lasts: list[str] = []
    found = plateaus(test, line_gb_s)
    for plateau in found:
        points = _points(test, plateau.placement, line_gb_s)
        before = {size: busbw for size, busbw in points.items() if size < plateau.sizes_bytes[0]}
        proven = {size: busbw for size, busbw in before.items() if _proves(test, size)}
        best = max(proven, key=lambda size: proven[size], default=None)
        if best is not None and plateau.busbw_gb_s < floor * proven[best]:
            reasons.append(_fall(plateau.placement, best, proven[best], plateau))
        flattered = [
            size
            for size, busbw in before.items()
            if size not in proven and busbw > plateau.busbw_gb_s * (1 + _NEAR)
        ]
        if flattered:
            notes.append(
                f"{_words(plateau.placement)} busbw at {_sizes(tuple(flattered))} is higher than at the large"
                " end and counts for nothing: so few bytes pass at once through buffers"
            )
        largest = max(points)
        # A few small messages are slow for whatever else the machine does: they prove nothing either way.
        if _proves(test, largest) and points[largest] < min(floor, _LAST_MAY_FALL_TO) * plateau.busbw_gb_s:
            last = Plateau(plateau.placement, points[largest], (largest,))
            at = max((size for size in points if size < largest), key=lambda size: points[size])
            lasts.append(_fall(plateau.placement, at, points[at], last))
    # An outlier is one row's; what both placements show is none.
    if lasts and len(lasts) == len(found):
        reasons += lasts
    return tuple(reasons), tuple(notes)


def _may_fall_to(test: BenchTest) -> float | None:
    """Give the share of its best size at which a healthy sweep may end; ``None`` where nothing is known."""
    if test.shares_gpus:
        return None
    over_mpi = test.tool == "collbench" and (test.library or "").startswith("MPI")
    if over_mpi and len({rank.host for rank in test.ranks}) < 2:
        # A host's memory: caches are faster than what is behind them.
        return None
    return _MPI_MAY_FALL_TO if over_mpi and test.collective != "sendrecv" else _MAY_FALL_TO


def _proves(test: BenchTest, size_bytes: int) -> bool:
    """Tell whether the series of a size moved enough to show a bandwidth and not what buffers hold.

    collbench, where it chooses the iterations by itself, repeats until the rate no longer falls.
    """
    iterations = test.sweep.iterations if test.sweep else None
    if iterations is None and test.tool == "collbench":
        return True
    return size_bytes * (iterations or _USUAL_ITERATIONS) >= _PROVING_BYTES


def _fall(placement: PlacementName, best_bytes: int, best_gb_s: float, end: Plateau) -> str:
    return f"{_words(placement)} busbw falls from {best_gb_s:.4g} GB/s at {format_size(best_bytes)} to {end}"


def changes(test: BenchTest, baseline: Baseline) -> tuple[Change, ...]:
    """Compare a test with a baseline size by size, in the test's order.

    Returns: one change for each size that both have, of every placement that proves something.
    """
    found = []
    for plateau in plateaus(test):
        pairs = []
        before_at: dict[int, list[float]] = {}
        for row in test.rows:
            place = row.placement(plateau.placement)
            what = (test.collective or "", row.dtype, row.redop, row.root)
            key = BaselineKey(*what, plateau.placement, row.size_bytes)
            before = baseline.busbw_gb_s.get(key)
            now = busbw_of(test, row, place) if place is not None and row.size_bytes else None
            if now is not None and before:
                pairs.append((row.size_bytes, before, now, baseline.noise.get(key, 0.0)))
                before_at.setdefault(row.size_bytes, []).append(before)
        if not pairs:
            continue
        level = _plateau(plateau.placement, {at: median(each) for at, each in before_at.items()})
        for size, before, now, noise in pairs:
            steady = size >= level.sizes_bytes[0] and _is_near(before, level.busbw_gb_s)
            allowed = max(_TOLERANCE if steady else _COLLAPSE, 2 * noise)
            # What the baseline had at a small size and could not sustain is no standard.
            standard = before if steady else min(before, level.busbw_gb_s)
            least = (standard - _half_digit(standard)) * (1 - allowed)
            most = (before + _half_digit(before)) * (1 + allowed)
            beyond = now + _half_digit(now) < least or now - _half_digit(now) > most
            found.append(Change(plateau.placement, size, before, now, beyond))
    return tuple(found)


def _half_digit(busbw_gb_s: float) -> float:
    """Give by how much a figure may be off: half of its last digit, where it has as few as are printed."""
    printed = (decimals for decimals in _PRINTED_DECIMALS if round(busbw_gb_s, decimals) == busbw_gb_s)
    decimals = next(printed, None)
    return 0.0 if decimals is None else 0.5 * 10.0**-decimals


def _against_baseline(test: BenchTest, baseline: Baseline, *, is_median: bool) -> Shortfall:
    name = test.collective or ""
    if name not in baseline.ranks:
        return Shortfall((), (f"the baseline has no {name or 'such'} test",), comparable=False)
    if baseline.ranks[name] != len(test.ranks):
        note = f"the baseline has {baseline.ranks[name]} ranks, this run {len(test.ranks)}"
        return Shortfall((), (note,), comparable=False)
    compared = changes(test, baseline)
    slow = [change for change in compared if change.beyond_noise and change.now_gb_s < change.before_gb_s]
    # One figure of several may be that of a moment; what more of them show is none.
    is_outlier = len(slow) == 1 and len(compared) >= _FEWEST_FIGURES and not is_median
    reasons = () if is_outlier else tuple(map(str, slow))
    better = [change for change in compared if change.beyond_noise and change.now_gb_s > change.before_gb_s]
    within = sum(not change.beyond_noise for change in compared)
    known = {change.size_bytes for change in compared}
    unknown = tuple(sorted({row.size_bytes for row in test.rows if row.size_bytes} - known))
    notes = (
        f"{within} of {len(compared)} figures are within noise of the baseline",
        *((f"a single outlier: {slow[0]}; --repeat 3 tells whether it stays",) if is_outlier else ()),
        *((f"{len(better)} are better beyond noise, as {better[-1]}",) if better else ()),
        *((f"not in the baseline: {_sizes(unknown)}",) if unknown else ()),
    )
    return Shortfall(reasons, notes, comparable=bool(compared))


def _words(placement: PlacementName) -> str:
    return placement.replace("_", "-")


def _sizes(sizes_bytes: tuple[int, ...]) -> str:
    """Name sizes briefly: one, or the first and last."""
    first, last = format_size(sizes_bytes[0]), format_size(sizes_bytes[-1])
    return first if len(sizes_bytes) == 1 else f"{first} to {last}"
