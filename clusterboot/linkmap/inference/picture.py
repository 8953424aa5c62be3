"""A matrix beside what it should be: what every step of the inference looks at."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from ..pair_matrix import Flags, PairMatrix, Rates, row_middles
from .levels import best_of_both, logarithms, worse_of_both
from .noise import Noise, noise_of
from .structure import Structure, Tier, find_structure
from .suspects import find_suspects

# The logarithm that stands for a dead pair: far below anything that was measured.
DEAD = -25.0
# Two nodes have only each other: all that they say of the noise is supposed.
_ALONE = Noise(0.05, 2)
# Sound partners with which single directions of a node are known, until they tell its directions.
_ENOUGH_ONE_WAY = 3
_MANY = 1000
# So many slow links of one node are hardly the links' own fault.
_SEVERAL = 2
# Cells of a tier of which both are known, until their ratio is that of the tier.
ENOUGH_RATIOS = 5


@dataclass(frozen=True, eq=False)
class Picture:
    """A matrix and its sound fabric.

    ``rates`` is what each cell gives, in 10^9 bytes a second, and ``expected`` the logarithm of
    what it should; ``residuals`` are the logarithms of measured over expected, :data:`DEAD` for
    dead, NaN for not measured; ``seen`` are the pairs that were measured in either direction.
    ``usual`` is the logarithm of what ``matrix.bandwidth_gb_s``, and each of its samples, should be, and
    ``one_way_usual`` that for ``matrix.one_way_gb_s``, NaN where it is not known.
    """

    matrix: PairMatrix
    rates: Rates
    expected: Rates
    residuals: Rates
    seen: Flags
    tiers: tuple[Tier, ...]
    noise: Noise
    usual: Rates
    one_way_usual: Rates | None = None


def draw(matrix: PairMatrix) -> Picture:
    """Set a matrix beside the fabric that it was measured on."""
    logs = logarithms(matrix.bandwidth_gb_s)
    seen = ~np.isnan(best_of_both(logs))
    if len(matrix.nodes) == 2:
        expected = worse_of_both(logs) if lacks_reference(matrix) else best_of_both(logs)
        structure, noise = Structure(expected, np.isfinite(logs), ()), _ALONE
        residuals = _residuals(logs, structure)
    else:
        structure = find_structure(logs)
        residuals = _residuals(logs, structure)
        noise = noise_of(residuals, structure.usual)
    expected = structure.expected
    picture = Picture(
        matrix, matrix.bandwidth_gb_s, expected, residuals, seen, structure.tiers, noise, expected
    )
    return picture if matrix.one_way_gb_s is None else with_one_way(picture, matrix.one_way_gb_s)


def lacks_reference(matrix: PairMatrix) -> bool:
    """Tell whether nothing shows what two nodes should give each other, where one direction gives more.

    What it gives is a reference if it does so in all of its samples, or if both directions reached it. If
    not, a visit that read too high may have made it, or one that was held up the other: there is no third
    node that would tell.
    """
    if len(matrix.nodes) != 2 or matrix.samples is None:
        return False
    rates, lowest, highest = (
        (float(each[0, 1]), float(each[1, 0]))
        for each in (matrix.bandwidth_gb_s, matrix.samples.min_gb_s, matrix.samples.max_gb_s)
    )
    # Nearer to the better direction's rate than to the worse one's.
    least = math.sqrt(rates[0] * rates[1])
    return 0 < min(rates) < (1 - _ALONE.cell_loss) * max(rates) and max(*lowest, min(highest)) < least


def with_one_way(picture: Picture, one_way_gb_s: Rates) -> Picture:
    """Take into a picture of both directions at once what single directions give.

    Both at once show whatever is slow, but not always in which direction: what a slow direction
    holds up are also the other's acknowledgements. So the better of both figures is a
    cell's, each beside what it should be; and where a slow node gives clearly more in a direction
    by itself, with several partners, both at once say nothing of this direction.
    """
    logs = logarithms(one_way_gb_s)
    known = np.isfinite(logs) & (picture.residuals > DEAD / 2)
    expected = picture.expected + _usual_ratio(logs, picture, known)
    known &= np.isfinite(expected)
    residuals = np.where(known, logs - expected, np.nan)
    better = known & (residuals >= picture.residuals)
    joined = replace(
        picture,
        rates=np.where(better, one_way_gb_s, picture.rates),
        expected=np.where(better, expected, picture.expected),
        residuals=np.where(better, residuals, picture.residuals),
        one_way_usual=expected,
    )
    suspect = find_suspects(joined.residuals, joined.noise.node_drop).any
    sound = ~suspect[:, None] | ~suspect[None, :]
    with np.errstate(invalid="ignore"):
        lacking = picture.residuals < picture.noise.node_drop(_MANY) / 2
    by_itself = np.where(known & sound, residuals, np.nan)
    gains = np.where(lacking, by_itself - picture.residuals, np.nan)
    sends = _held_up(gains, by_itself, suspect, joined.noise)
    receives = _held_up(gains.T, by_itself.T, suspect, joined.noise)
    beside = (sends[:, None] & ~suspect[None, :]) | (~suspect[:, None] & receives[None, :])
    unclear = beside & ~known & (joined.residuals > DEAD / 2)
    return replace(joined, residuals=np.where(unclear, np.nan, joined.residuals))


def _held_up(gains: Rates, by_itself: Rates, suspect: Flags, noise: Noise) -> Flags:
    """Find the suspect rows that are sound by themselves, and lack something beside the other direction.

    Parameters: by how much each cell that lacks something then gains by itself; the residuals of all
    single directions that are known. What is slow by itself too is not held up: it is slow.
    """
    few, all_ = (np.count_nonzero(~np.isnan(cells), axis=1) for cells in (gains, by_itself))
    gain = np.array([-noise.node_drop(int(count)) / 2 for count in few])
    drop = np.array([noise.node_drop(int(count)) for count in all_])
    # Two bad links that meet in a bad node by chance are much rarer than a node of which one direction was
    # well while half of its partners looked.
    slow = np.count_nonzero(by_itself < noise.node_drop(1), axis=1)
    is_sound = (row_middles(by_itself) > drop) & (slow < _SEVERAL)
    return np.asarray(suspect & is_sound & (few >= _ENOUGH_ONE_WAY) & (row_middles(gains) > gain))


def _usual_ratio(logs: Rates, picture: Picture, known: Flags) -> Rates:
    """Give, for each cell, how far single directions are above both at once in its tier (logarithm).

    NaN where too few of both are known in a tier.
    """
    ratios = np.where(known, logs - np.log(np.where(known, picture.rates, 1.0)), np.nan)
    usual = np.full(logs.shape, np.nan)
    for level in np.unique(picture.expected):
        tier = picture.expected == level
        values = ratios[tier & known]
        if values.size >= ENOUGH_RATIOS:
            usual[tier] = float(np.median(values))
    return usual


def only_dead(picture: Picture) -> Picture:
    """Give the picture in which all that moves data at all is fine.

    A dead pair needs no reference, where a slow one has none to be trusted.
    """
    dead = picture.matrix.bandwidth_gb_s == 0
    residuals = np.where(dead, DEAD, np.where(np.isnan(picture.residuals), np.nan, 0.0))
    return replace(picture, residuals=residuals, noise=Noise(0.0, picture.noise.cells))


def _residuals(logs: Rates, structure: Structure) -> Rates:
    with np.errstate(invalid="ignore"):
        residuals = logs - structure.expected
    dead = np.isneginf(logs)
    return np.where(dead, DEAD, residuals)
