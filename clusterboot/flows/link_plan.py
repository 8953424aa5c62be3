"""Which pairs a link map measures, within which time."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from clusterboot.bench.pairs_options import PairsOptions, Rounds, cost, fitting_pair_s
from clusterboot.diagnose.matrix.records import PairMatrix
from clusterboot.diagnose.matrix.schedule import quick_rounds, rounds
from clusterboot.errors import UsageError

MapMode = Literal["quick", "full", "adaptive"]

# Below this a pair on a loaded node is mostly noise.
_LEAST_PAIR_S = 0.1
# The part of a budget that an adaptive map keeps for the pairs that settle what is open.
_KEPT_SHARE = 0.4
# Fewer nodes cannot be in each other's way by much.
_LEAST_FOR_SOLO = 8
_SOLO_PAIRS = 2


@dataclass(frozen=True)
class LinkPlan:
    """One launch: its rounds, and how a pair is measured.

    The last ``solo_rounds`` rounds have one pair each, which was measured among others before.
    With ``again`` all pairs were measured before, and the better of both counts.
    """

    rounds: tuple[tuple[tuple[int, int], ...], ...]
    options: PairsOptions
    solo_rounds: int = 0
    again: bool = False


def first_plan(
    nodes: int, mode: MapMode, options: PairsOptions, budget_s: float | None, measured: PairMatrix
) -> LinkPlan:
    """Plan the first launch of a map.

    Parameters: the number of nodes; what has been measured before, which is left out; the
    budget for the whole map in seconds, ``None`` for none.
    Errors: :class:`UsageError` for a budget in which not even the fewest rounds fit.
    """
    chosen = rounds(nodes) if mode == "full" else quick_rounds(nodes)
    left = remaining(chosen, measured)
    if budget_s is None:
        return _with_solo(left, options)
    spendable_s = budget_s * (1 - _KEPT_SHARE) if mode == "adaptive" else budget_s
    pair_s = fitting_pair_s(len(left) + _SOLO_PAIRS, spendable_s)
    if pair_s < _LEAST_PAIR_S and mode != "full":
        # Fewer partners are worth more than figures that say nothing.
        for partners in range(len(chosen) - 1, 1, -1):
            left = remaining(quick_rounds(nodes, partners), measured)
            pair_s = fitting_pair_s(len(left) + _SOLO_PAIRS, spendable_s)
            if pair_s >= _LEAST_PAIR_S:
                break
    if left and pair_s < _LEAST_PAIR_S:
        needed_s = cost((*left, (), ()), replace(options, pair_s=_LEAST_PAIR_S)).time_s
        raise UsageError(
            f"--budget {budget_s:g}: {len(left)} rounds do not fit",
            remedy=f"give {needed_s * budget_s / spendable_s:.0f} s, or another --mode",
        )
    return _with_solo(left, replace(options, pair_s=min(options.pair_s, max(pair_s, _LEAST_PAIR_S))))


def remaining(planned: Rounds, measured: PairMatrix) -> tuple[tuple[tuple[int, int], ...], ...]:
    """Leave out every pair of which both directions are known, and rounds that are empty then."""
    known = ~np.isnan(measured.bandwidth_gbps)
    known &= known.T
    left = (tuple(pair for pair in each if not known[pair]) for each in planned)
    return tuple(each for each in left if each)


def _with_solo(planned: tuple[tuple[tuple[int, int], ...], ...], options: PairsOptions) -> LinkPlan:
    """Add a few pairs alone, where enough run at once to be in each other's way."""
    crowd = planned[0] if planned and len(planned[0]) * 2 >= _LEAST_FOR_SOLO else ()
    solo = tuple(((pair),) for pair in dict.fromkeys((crowd[0], crowd[-1]))) if crowd else ()
    return LinkPlan((*planned, *solo), options, len(solo))
