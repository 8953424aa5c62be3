"""The levels of speed that the pairs of a matrix fall into."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from ..pair_matrix import Flags, Rates

# Peaks of the density are two levels where it falls between them below this share of the lower.
_VALLEY = 0.6
_LEAST_GAP = 0.1
_LEAST_WIDTH = 0.02
_STEPS_A_WIDTH = 4
_MOST_STEPS = 20_000
# Few measurements can agree by chance: so many more are supposed, with this spread.
_SUPPOSED_SPREAD = 0.06
_SUPPOSED = 6
_DOUBT = 1.5


@dataclass(frozen=True)
class Level:
    """A peak of the pairs' bandwidth: its logarithm, its width, and the bound that parts it from the next."""

    peak: float
    width: float
    low: float


def logarithms(bandwidth_gb_s: Rates) -> Rates:
    """Give each cell's logarithm: ``-inf`` for dead, NaN for not measured."""
    with np.errstate(divide="ignore"):
        return np.asarray(np.log(bandwidth_gb_s), dtype=np.float64)


def best_of_both(logs: Rates) -> Rates:
    """Give each pair the better of its two directions, so that one bad direction hides no tier."""
    return np.fmax(logs, logs.T)


def worse_of_both(logs: Rates) -> Rates:
    """Give each pair the worse of its two directions, so that one reading alone makes no pair a fast one."""
    return np.fmin(logs, logs.T)


def scale(values: Rates) -> float:
    """Give the spread of values as a standard deviation that outliers do not move (MAD)."""
    if values.size == 0:
        return 0.0
    return float(1.4826 * np.median(np.abs(values - np.median(values))))


def cautious(spread: float, values: int) -> float:
    """Widen a spread that was estimated from few values."""
    supposed = _SUPPOSED * _SUPPOSED_SPREAD**2
    doubt = 1 + _DOUBT / math.sqrt(max(1, values))
    return math.sqrt((supposed + values * (doubt * spread) ** 2) / (_SUPPOSED + values))


def find_levels(logs: Rates) -> tuple[Level, ...]:
    """Find the levels of a matrix, the highest first.

    The width of a peak comes from how far the two directions of a pair differ, which no
    tier and no slow node moves. A level blames nobody: it may be a tier or a fault.
    """
    pairs = worse_of_both(logs)
    values = pairs[np.triu(np.isfinite(pairs), 1)]
    if values.size == 0:
        return ()
    width = max(_LEAST_WIDTH, _flutter(logs))
    step = max(width / _STEPS_A_WIDTH, float(np.ptp(values)) / _MOST_STEPS)
    edge = 4 * width
    count = int((float(np.ptp(values)) + 2 * edge) / step) + 2
    start = float(values.min()) - edge
    density = np.bincount(((values - start) / step).astype(np.intp), minlength=count).astype(np.float64)
    reach = np.arange(-edge, edge + step, step)
    density = np.convolve(density, np.exp(-0.5 * (reach / width) ** 2), mode="same")
    return _levels(density, start, step, width)


def coverage(known: Flags) -> float:
    """Give the share of pairs that have a value."""
    nodes = int(known.shape[0])
    return int(np.count_nonzero(known)) / max(1, nodes * (nodes - 1))


def _flutter(logs: Rates) -> float:
    """Estimate the noise of one measurement by comparing the two directions of each pair."""
    with np.errstate(invalid="ignore"):
        differences = (logs - logs.T)[np.triu_indices_from(logs, 1)]
    differences = differences[np.isfinite(differences)]
    spread = float(1.4826 * np.median(np.abs(differences))) / math.sqrt(2) if differences.size else 0.0
    return cautious(spread, int(differences.size))


def _levels(density: Rates, start: float, step: float, width: float) -> tuple[Level, ...]:
    """Walk down the density, and part it where it has a valley."""
    rises = np.diff(np.concatenate([[0.0], density, [0.0]]))
    peaks = np.flatnonzero((rises[:-1] > 0) & (rises[1:] <= 0))
    kept: list[int] = []
    bounds: list[float] = []
    for peak in reversed(peaks.tolist()):
        if not kept:
            kept.append(peak)
            continue
        between = density[peak : kept[-1] + 1]
        lowest = float(between.min())
        is_apart = (kept[-1] - peak) * step >= _LEAST_GAP
        if is_apart and lowest < _VALLEY * min(density[peak], density[kept[-1]]):
            bounds.append(start + step * float(peak + np.flatnonzero(between == lowest).mean() + 0.5))
            kept.append(peak)
        elif density[peak] > density[kept[-1]]:
            kept[-1] = peak
    lows = [*bounds, -math.inf]
    return tuple(Level(start + step * (peak + 0.5), width, low) for peak, low in zip(kept, lows, strict=True))
