"""How far measurements of a sound fabric differ, and what is too far to be chance."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from statistics import NormalDist

import numpy as np

from clusterboot.diagnose.matrix.levels import cautious, scale
from clusterboot.diagnose.matrix.records import Flags, Rates

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
# The tail is looked at where this share of the cells, but at least so many, lie beyond: more than
# the few bad links that there can be.
_TAIL = 0.025
_TAIL_CELLS = 4
_MOST_TAIL = 2.0
_ENOUGH_CELLS = 12
_FASTEST = math.log(1000)
# Measurements that differ so much, and in no order that is known, prove nothing.
_TOO_NOISY = 0.18


@dataclass(frozen=True)
class Noise:
    """How far measurements differ by chance.

    ``spread`` is that of one measurement as a share of its value, ``cells`` how many there are;
    ``pair_spread`` that of the mean of a pair's directions, where it is known; ``tail`` how much
    farther out the worst tenths of a percent lie than those of a Gaussian.
    """

    spread: float
    cells: int
    pair_spread: float = 0.0
    tail: float = 1.0

    def node_drop(self, partners: int) -> float:
        """Give how far (logarithm, below 0) a median over so many partners must be to count."""
        least = max(_NODE_LOSS, _NODE_SPREADS * self.spread / math.sqrt(max(1, partners)))
        return -least

    @property
    def cell_loss(self) -> float:
        """The share that a single measurement must lose to count."""
        return min(_MOST_CELL_LOSS, max(_CELL_LOSS, self._extreme * self.spread))

    @property
    def pair_loss(self) -> float:
        """The share that both directions of a pair must lose, on the mean, to count."""
        chance = self._extreme * max(self.pair_spread, self.spread / math.sqrt(2))
        return min(_MOST_PAIR_LOSS, max(_PAIR_LOSS, chance))

    @property
    def is_too_much(self) -> bool:
        """Whether nothing can be concluded from measurements that differ so much."""
        return self.spread > _TOO_NOISY

    @property
    def _extreme(self) -> float:
        cells = max(2, self.cells)
        return (math.sqrt(2 * math.log(cells)) + _MARGIN + _MARGIN_OF_FEW / cells) * self.tail

    def fitted(self, lost: Rates) -> Noise:
        """Fit the noise to what is left to be explained.

        Parameters: the share that each cell lacks. Real measurements flutter: single ones are
        farther out than the spread tells, and what disturbs one direction disturbs the other.
        """
        values = lost[~np.isnan(lost)]
        if values.size < _ENOUGH_CELLS or not self.spread:
            return self
        share = max(_TAIL, _TAIL_CELLS / values.size)
        usual = NormalDist().inv_cdf(1 - share) * self.spread
        tail = float(np.quantile(values, 1 - share)) / usual
        means = ((lost + lost.T) / 2)[np.triu_indices_from(lost, 1)]
        return replace(self, pair_spread=scale(means[~np.isnan(means)]), tail=min(_MOST_TAIL, max(1.0, tail)))


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
