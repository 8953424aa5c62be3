"""A matrix beside what it should be: what every step of the inference looks at."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from clusterboot.diagnose.matrix.levels import best_of_both, logarithms
from clusterboot.diagnose.matrix.noise import Noise, noise_of
from clusterboot.diagnose.matrix.records import Flags, PairMatrix, Rates
from clusterboot.diagnose.matrix.structure import Structure, Tier, find_structure

# The logarithm that stands for a dead pair: far below anything that was measured.
DEAD = -25.0
# Two nodes have only each other: all that they say of the noise is supposed.
_ALONE = Noise(0.05, 2)


@dataclass(frozen=True, eq=False)
class Picture:
    """A matrix and its sound fabric.

    ``residuals`` are the logarithms of measured over expected, :data:`DEAD` for dead, NaN for
    not measured; ``expected`` the logarithms of what each cell should give; ``seen`` are the
    pairs that were measured in either direction.
    """

    matrix: PairMatrix
    expected: Rates
    residuals: Rates
    seen: Flags
    tiers: tuple[Tier, ...]
    noise: Noise


def draw(matrix: PairMatrix) -> Picture:
    """Set a matrix beside the fabric that it was measured on."""
    logs = logarithms(matrix.bandwidth_gbps)
    seen = ~np.isnan(best_of_both(logs))
    if len(matrix.nodes) == 2:
        structure = Structure(best_of_both(logs), np.isfinite(logs), ())
        return Picture(matrix, structure.expected, _residuals(logs, structure), seen, (), _ALONE)
    structure = find_structure(logs)
    residuals = _residuals(logs, structure)
    return Picture(
        matrix, structure.expected, residuals, seen, structure.tiers, noise_of(residuals, structure.usual)
    )


def only_dead(picture: Picture) -> Picture:
    """Give the picture in which all that moves data at all is fine.

    A dead pair needs no reference, where a slow one has none to be trusted.
    """
    dead = picture.matrix.bandwidth_gbps == 0
    residuals = np.where(dead, DEAD, np.where(np.isnan(picture.residuals), np.nan, 0.0))
    return Picture(
        picture.matrix,
        picture.expected,
        residuals,
        picture.seen,
        picture.tiers,
        Noise(0.0, picture.noise.cells),
    )


def _residuals(logs: Rates, structure: Structure) -> Rates:
    with np.errstate(invalid="ignore"):
        residuals = logs - structure.expected
    dead = np.isneginf(logs)
    return np.where(dead, DEAD, residuals)
