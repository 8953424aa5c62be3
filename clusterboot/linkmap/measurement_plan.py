"""Which pairs a link map measures, within which time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from clusterboot.errors import UsageError
from clusterboot.programs.collbench.pairs_options import PairsOptions, PairsRound, cost, fitting_pair_s

from .inference.schedule import adaptive_rounds, few_rounds, rounds
from .pair_matrix import Flags, Pair

MapMode = Literal["full", "adaptive"]
# Why a round is measured: for the matrix; each pair alone, to compare with what it gives among
# others; once more, because a pair is suspect (again) or all are noisy (more). But for those of pairs
# alone the samples of all visits count alike.
Taking = Literal["first", "solo", "again", "more"]

# Below this a pair on a loaded node is mostly noise.
_LEAST_PAIR_S = 0.1
# The part of a budget that an adaptive map keeps for the pairs that settle what is open.
_KEPT_SHARE = 0.3
# In a budget a pair whose samples differ may take so many times as long as the others.
_DIFFERING_IN_BUDGET = 3.0
# Fewer nodes cannot be in each other's way by much.
_LEAST_FOR_SOLO = 8
_SOLO_PAIRS = 4
# Pairs a few at a time take long: beyond this many seconds, and no budget, fewer are measured.
_MOST_APART_S = 300.0
_LEAST_PARTNERS = 2
# What is measured at length takes so many times the usual time.
_LONG, _LEAST_LONG = 56.0, 28.0


@dataclass(frozen=True)
class PlannedRound(PairsRound):
    """A round, and how what it gives is taken."""

    taking: Taking = "first"


@dataclass(frozen=True)
class LinkPlan:
    """One launch: its rounds, and how a pair is measured."""

    rounds: tuple[PlannedRound, ...]
    options: PairsOptions


@dataclass(frozen=True, eq=False)
class Known:
    """Which pairs have been measured before, by the plan's own indices, symmetric.

    ``one_way`` are those of which single directions are known, ``both`` those measured both
    ways at once.
    """

    one_way: Flags
    both: Flags

    @classmethod
    def nothing(cls, nodes: int) -> Known:
        """Begin with no pair known."""
        none = np.zeros((nodes, nodes), dtype=bool)
        return cls(none, none)


def first_plan(
    nodes: int, mode: MapMode, options: PairsOptions, budget_s: float | None, known: Known
) -> LinkPlan:
    """Plan the first launch of a map.

    Parameters: the number of nodes; what has been measured before, which is left out; the
    budget for the whole map in seconds, ``None`` for none.
    Errors: :class:`UsageError` for a budget in which not even the fewest rounds fit.
    """
    planned = _with_solo(remaining(rounds_of(mode, nodes), known))
    if budget_s is None:
        return LinkPlan(planned, options)
    spendable_s = budget_s * (1 - _KEPT_SHARE) if mode == "adaptive" else budget_s
    if mode != "full" and fitting_pair_s(planned, spendable_s, options.join_s) < _LEAST_PAIR_S:
        # Fewer partners are worth more than figures that say nothing.
        for partners in range(len(few_rounds(nodes)), 1, -1):
            planned = _with_solo(remaining(_in_full(few_rounds(nodes, partners)), known))
            if fitting_pair_s(planned, spendable_s, options.join_s) >= _LEAST_PAIR_S:
                break
    pair_s = fitting_pair_s(planned, spendable_s, options.join_s)
    if planned and pair_s < _LEAST_PAIR_S:
        needed_s = cost(planned, replace(options, pair_s=_LEAST_PAIR_S)).time_s
        raise UsageError(
            f"--budget {budget_s:g}: {len(planned)} rounds do not fit",
            remedy=f"give {needed_s * budget_s / spendable_s:.0f} s, or another --mode",
        )
    pair_s = min(options.pair_s, max(pair_s, _LEAST_PAIR_S))
    return LinkPlan(planned, replace(options, pair_s=pair_s, most_s=_DIFFERING_IN_BUDGET * pair_s))


def apart_plan(
    mode: MapMode, options: PairsOptions, limit_s: float | None, known: Known, pairs_at_once: int
) -> LinkPlan | None:
    """Plan the same again, with few pairs at once: where all of them together are in each other's way.

    Parameters: as :func:`first_plan`; ``limit_s`` is the time that is left, in seconds; ``known`` is
    as large as there are nodes.
    Returns: as many partners of each node as the time allows; ``None`` where it allows for none.
    """
    nodes = len(known.both)
    most_s = _MOST_APART_S if limit_s is None else limit_s
    choices = [rounds_of(mode, nodes)]
    choices += [
        _in_full(few_rounds(nodes, count))
        for count in range(len(few_rounds(nodes)) - 1, _LEAST_PARTNERS - 1, -1)
    ]
    for chosen in choices:
        plan = LinkPlan(in_parts(remaining(chosen, known), pairs_at_once), options)
        if cost(plan.rounds, options).time_s <= most_s or (mode == "full" and limit_s is None):
            return plan
    return plan if limit_s is None else None


def options_at_length(options: PairsOptions, *, may_end_early: bool = False) -> PairsOptions:
    """Measure pairs for long enough to say what they sustain.

    What swings or loses packets is measured for a time that its samples do not decide on: it would end
    in a moment in which nothing was lost, and its rate would be that of such moments. What is steady may
    end after half of it, and so may all where a budget has no time for more.
    """
    least_s = (_LEAST_LONG if may_end_early else _LONG) * options.pair_s
    return replace(options, least_s=least_s, most_s=_LONG * options.pair_s)


def rounds_of(mode: MapMode, nodes: int) -> tuple[PlannedRound, ...]:
    """List the rounds of a mode: what is measured in full, then what with both directions at once only."""
    if mode == "full":
        return _in_full(rounds(nodes))
    few, others = adaptive_rounds(nodes)
    return (*_in_full(few), *(PlannedRound(each, both_only=True) for each in others))


def remaining(planned: Sequence[PlannedRound], known: Known) -> tuple[PlannedRound, ...]:
    """Leave out every pair that is known as it would be measured, and rounds that are empty then."""
    left = (
        replace(each, pairs=tuple(pair for pair in each.pairs if not flags[pair]))
        for each in planned
        for flags in (known.one_way | known.both if each.both_only else known.one_way,)
    )
    return tuple(each for each in left if each.pairs)


def in_parts(planned: Sequence[PlannedRound], pairs_at_once: int) -> tuple[PlannedRound, ...]:
    """Split rounds so that no more than so many pairs are measured side by side."""
    return tuple(
        replace(each, pairs=each.pairs[start : start + pairs_at_once])
        for each in planned
        for start in range(0, len(each.pairs), pairs_at_once)
    )


def _in_full(planned: Sequence[tuple[Pair, ...]]) -> tuple[PlannedRound, ...]:
    return tuple(PlannedRound(each) for each in planned)


def _with_solo(planned: tuple[PlannedRound, ...]) -> tuple[PlannedRound, ...]:
    """Add a few pairs alone, where enough run at once to be in each other's way."""
    crowd = planned[0].pairs if planned and len(planned[0].pairs) * 2 >= _LEAST_FOR_SOLO else ()
    step = max(1, len(crowd) // _SOLO_PAIRS)
    solo = tuple(PlannedRound((pair,), both_only=True, taking="solo") for pair in crowd[::step][:_SOLO_PAIRS])
    return (*planned, *solo)
