"""How far measurements of a sound fabric differ, and what is too far to be chance."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from ..pair_matrix import Flags, Rates
from .levels import cautious, scale

# What is lost must also matter: a node, a pair in both directions, a single measurement.
_NODE_LOSS = 0.12
_PAIR_LOSS = 0.16
_CELL_LOSS = 0.35
# However noisy: what gives so little, or nothing at all, is no flutter.
_MOST_PAIR_LOSS = 0.8
_MOST_CELL_LOSS = 0.85
# A median of m values is 1.25 times as uncertain as their mean.
_NODE_SPREADS = 6.0 * 1.25
# Farther out than the most extreme of so many Gaussian values, by this many spreads, and by
# more where the spread itself comes from few values.
_MARGIN = 2.0
_MARGIN_OF_FEW = 12.0
# A value is apart from all smaller ones where the gap to the next is so many times the mean excess
# of their own tail: with exponential tails that happens by chance once in exp(7), a thousand times.
_GAP = 7.0
# The tail is the worst values, as many as the root of all but at least so many; what is normal is
# looked for in the smaller half, beyond which nobody can say what it is.
_TAIL_VALUES = 5
_NORMAL_SHARE = 0.5
# Of the spread.
_LEAST_TAIL = 0.2
_ENOUGH_CELLS = 12
_FASTEST = math.log(1000)
# Measurements that differ so much, and in no order that is known, prove nothing.
_TOO_NOISY = 0.18


@dataclass(frozen=True)
class Noise:
    """How far measurements differ by chance.

    ``spread`` is that of one measurement as a share of its value, ``cells`` how many there are;
    ``pair_spread`` that of the mean of a pair's directions, where it is known. ``cell_edge`` and
    ``pair_edge`` are the losses up to which single directions and pairs follow one another without a
    gap: the tail of the noise, whatever its form.
    """

    spread: float
    cells: int
    pair_spread: float = 0.0
    cell_edge: float = 0.0
    pair_edge: float = 0.0

    def node_drop(self, partners: int) -> float:
        """Give how far (logarithm, below 0) a median over so many partners must be to count."""
        least = max(_NODE_LOSS, _NODE_SPREADS * self.spread / math.sqrt(max(1, partners)))
        return -least

    @property
    def cell_loss(self) -> float:
        """The share that a single measurement must lose to count."""
        return min(_MOST_CELL_LOSS, max(_CELL_LOSS, self._extreme * self.spread, self.cell_edge))

    @property
    def pair_loss(self) -> float:
        """The share that both directions of a pair must lose, on the mean, to count."""
        chance = self._extreme * max(self.pair_spread, self.spread / math.sqrt(2))
        return min(_MOST_PAIR_LOSS, max(_PAIR_LOSS, chance, self.pair_edge))

    @property
    def is_too_much(self) -> bool:
        """Whether nothing can be concluded from measurements that differ so much."""
        return self.spread > _TOO_NOISY

    @property
    def _extreme(self) -> float:
        cells = max(2, self.cells)
        return math.sqrt(2 * math.log(cells)) + _MARGIN + _MARGIN_OF_FEW / cells

    def fitted(self, lost: Rates) -> Noise:
        """Fit the noise to what is left to be explained.

        Parameters: the share that each cell lacks. Real measurements flutter: single ones are
        farther out than the spread tells, and what disturbs one direction disturbs the other.
        """
        values = lost[~np.isnan(lost)]
        if values.size < _ENOUGH_CELLS or not self.spread:
            return self
        means = ((lost + lost.T) / 2)[np.triu_indices_from(lost, 1)]
        means = means[~np.isnan(means)]
        least = _LEAST_TAIL * self.spread
        return replace(
            self, pair_spread=scale(means), cell_edge=edge(values, least), pair_edge=edge(means, least)
        )


def edge(values: Rates, least: float) -> float:
    """Give the value above which values are apart from all the others.

    From the middle outward, values belong together as long as the next one is not farther from
    the last than so many times the mean excess of the tail that they have so far. A heavy tail thins out
    by and by and so has no such gap, while a fault is beyond one, however many faults there are: as
    long as they are less than half, the search starts among normal values.

    Parameters: ``least`` is the smallest mean excess that is believed, for values that agree by chance.
    Returns: the end of what belongs together and that far beyond it; the largest value and
    that far where there is no gap, or too few values to see one.
    Source: a forward search, as against masking in robust statistics (Atkinson, Riani); the
    mean excess is the scale of a generalised Pareto tail (Pickands, Balkema, de Haan).
    """
    start = int(values.size * _NORMAL_SHARE)
    if values.size < 2 * _TAIL_VALUES:
        return 0.0
    ordered = np.sort(values)
    ends = np.arange(max(start, _TAIL_VALUES), values.size + 1)  # so many belong together
    first = ends - np.maximum(np.sqrt(ends).astype(np.intp), _TAIL_VALUES)
    sums = np.concatenate([[0.0], np.cumsum(ordered)])
    excess = (sums[ends] - sums[first]) / (ends - first) - ordered[first]
    reach = ordered[ends - 1] + _GAP * np.maximum(excess, least)
    apart = np.flatnonzero(ordered[ends[:-1]] > reach[:-1])
    return float(reach[apart[0] if apart.size else -1])


def noise_of(residuals: Rates, usual: Flags) -> Noise:
    """Estimate the noise of a matrix.

    Parameters: each cell's distance from what is expected (logarithm); the cells that are
    not at fault, as far as is known. Half of them may be, still.
    """
    values = residuals[usual]
    cells = int(values.size)
    return Noise(cautious(scale(values), cells), cells)


def loss(residuals: Rates) -> Rates:
    """Give the share of the expected bandwidth that each cell lacks; 1 for dead."""
    # What is a thousand times as fast lacks nothing; its exponential would overflow.
    return np.asarray(1.0 - np.exp(np.minimum(residuals, _FASTEST)), dtype=np.float64)
