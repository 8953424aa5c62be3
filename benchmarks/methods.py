"""The ways of finding a bad node that people use today, each reduced to its rule.

A method sees a fabric only through :class:`Probe`, which counts what it measures. A measurement is
one series of timed transfers between two nodes: one way, the other way, or both ways at once. A
whole tournament makes these three of every pair. A run over a group gives what its slowest pair
gives, and counts as one measurement a member. A method returns what it names, in the form of
:func:`simulator.named`. Gates are shares of a median, as the tools' defaults are.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from simulator import Named, Rates, named_by

from clusterboot.diagnose.matrix.infer import infer
from clusterboot.diagnose.matrix.records import PairMatrix
from clusterboot.diagnose.matrix.schedule import Round, adaptive_rounds, next_round, rounds, second_looks

_GATE = 0.8
_RANDOM_ROUNDS = 15


class Probe:
    """A fabric that can be measured, and what that has cost."""

    def __init__(self, full: PairMatrix, generator: np.random.Generator, both: Rates | None = None) -> None:
        self.nodes = full.nodes
        self.generator = generator
        self.measurements = 0
        self.runs = 0
        self._full = full.bandwidth_gbps
        self._both = full.bandwidth_gbps if both is None else both
        self.seen: Rates = np.full(self._full.shape, np.nan)
        self.seen_both: Rates = self.seen.copy()

    def round(self, pairs: Round) -> None:
        """Measure pairs side by side: each direction by itself, and both at once."""
        self.runs += 1
        self.measurements += 3 * len(pairs)
        _copy(pairs, self._full, self.seen)
        _copy(pairs, self._both, self.seen_both)

    def sweep(self, pairs: Round) -> None:
        """Measure pairs side by side, with both directions at once only."""
        self.runs += 1
        self.measurements += len(pairs)
        _copy(pairs, self._both, self.seen_both)

    def pair(self, one: int, other: int) -> float:
        """Measure one pair alone, and give the slower direction."""
        self.round(((one, other),))
        return float(np.nanmin([self.seen[one, other], self.seen[other, one], np.inf]))

    def group(self, members: Sequence[int]) -> float:
        """Run a collective over a group: it goes at the pace of its slowest pair."""
        self.runs += 1
        self.measurements += len(members)
        cells = self._full[np.ix_(members, members)]
        return float(np.nanmin(cells)) if np.isfinite(cells).any() else 0.0

    def matrix(self) -> PairMatrix:
        """Give what was measured so far."""
        return PairMatrix(self.nodes, self.seen.copy())

    def swept(self) -> PairMatrix:
        """Give what was measured so far with both directions at once, and beside it the single ones."""
        return PairMatrix(self.nodes, self.seen_both.copy(), one_way_gbps=self.seen.copy())


def _copy(pairs: Round, source: Rates, to: Rates) -> None:
    for one, other in pairs:
        to[one, other] = source[one, other]
        to[other, one] = source[other, one]


Method = Callable[[Probe], Named]


def ours_full(probe: Probe) -> Named:
    """Measure the whole tournament, then infer."""
    _tournament(probe)
    return named_by(infer(probe.matrix()).findings)


def ours_adaptive(probe: Probe) -> Named:
    """Measure a few rounds in full, all others with both directions at once, and what that leaves open.

    From 64 nodes on it stops at half of a tournament's measurements, whatever is open then.
    """
    size = len(probe.nodes)
    most = 3 * size * (size - 1) // 2 // (2 if size >= 64 else 1)
    quick, others = adaptive_rounds(size)
    for each in quick:
        probe.round(each)
    for each in others:
        probe.sweep(each)
    looked: set[tuple[int, int]] = set()
    while True:
        matrix = probe.swept()
        inference = infer(matrix)
        looks = second_looks(matrix, inference) or next_round(matrix, inference)
        more = tuple(pair for pair in looks if pair not in looked)
        if not more or probe.measurements + 3 * len(more) > most:
            return named_by(inference.findings)
        probe.round(more)
        looked |= set(more)


def fixed_gate(probe: Probe) -> Named:
    """Measure all; a pair below 80% of the median is bad, a node with half of its pairs bad too."""
    _tournament(probe)
    slow = _slower(probe)
    return _nodes_then_links(probe, slow, slow.mean(axis=1) >= 0.5)


def every_slow_pair(probe: Probe) -> Named:
    """Measure all, a launch a pair; name each pair below the gate (SuperBench's round robin)."""
    _tournament(probe)
    return _nodes_then_links(probe, _slower(probe), np.zeros(len(probe.nodes), dtype=bool))


def best_relative(probe: Probe) -> Named:
    """Measure all; retest the nodes whose median is below 80% of the best, halving them (ClusterKit)."""
    _tournament(probe)
    medians = np.nanmedian(_slower_rates(probe), axis=1)
    suspects = medians < _GATE * medians.max()
    left = [int(node) for node in np.flatnonzero(suspects)]
    while len(left) > 1:
        probe.round(tuple(zip(left[0::2], left[1::2], strict=False)))
        left = left[: len(left) // 2]
    return _nodes_then_links(probe, np.zeros_like(_slower(probe)), suspects)


def random_matchings(probe: Probe) -> Named:
    """Pair all at random, 15 times; a node is bad when most of its pairs are below the gate."""
    size = len(probe.nodes)
    for _ in range(_RANDOM_ROUNDS):
        order = [int(node) for node in probe.generator.permutation(size)]
        probe.round(tuple(zip(order[0::2], order[1::2], strict=False)))
    slow, seen = _slower(probe), ~np.isnan(probe.seen)
    share = (slow & seen).sum(axis=1) / np.maximum(1, seen.sum(axis=1))
    return _nodes_then_links(probe, np.zeros_like(slow), share > 0.5)


def suspects_with_good(probe: Probe) -> Named:
    """Pair all once; retest the nodes of each slow pair with a node of a good one."""
    size = len(probe.nodes)
    probe.round(rounds(size)[0])
    median = np.nanmedian(_slower_rates(probe))
    slow = np.argwhere(_slower(probe))
    suspects = {int(node) for node in slow.ravel()}
    good = next((node for node in range(size) if node not in suspects), 0)
    bad = [node for node in suspects if node != good and probe.pair(node, good) < _GATE * median]
    return frozenset(("node", frozenset({probe.nodes[node]}), None, "both") for node in bad)


def halving(probe: Probe) -> Named:
    """Run a collective over all, and over halves of whatever is below the gate of a good half."""
    size = len(probe.nodes)
    halves = [list(range(size // 2)), list(range(size // 2, size))]
    gate = _GATE * max(probe.group(half) for half in halves)
    bad: list[int] = []
    left = [half for half in halves if probe.group(half) < gate]
    while left:
        members = left.pop()
        if len(members) <= 2:
            outside = [node for node in range(size) if node not in members][:1]
            bad += [node for node in members if outside and probe.pair(node, outside[0]) < gate]
            continue
        middle = len(members) // 2
        parts = [part for part in (members[:middle], members[middle:]) if len(part) > 1]
        left += [part for part in parts if probe.group(part) < gate]
    return frozenset(("node", frozenset({probe.nodes[node]}), None, "both") for node in bad)


METHODS: dict[str, Method] = {
    "clusterboot, full": ours_full,
    "clusterboot, adaptive": ours_adaptive,
    "fixed gate on a full pass": fixed_gate,
    "round robin, every slow pair named": every_slow_pair,
    "best-relative with retests": best_relative,
    "random matchings, 15 rounds": random_matchings,
    "disjoint pairs, then suspect x good": suspects_with_good,
    "binary halving": halving,
}


def _tournament(probe: Probe) -> None:
    for each in rounds(len(probe.nodes)):
        probe.round(each)


def _slower_rates(probe: Probe) -> Rates:
    return np.fmin(probe.seen, probe.seen.T)


def _slower(probe: Probe) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
    rates = _slower_rates(probe)
    with np.errstate(invalid="ignore"):
        return np.asarray(rates < _GATE * np.nanmedian(rates))


def _nodes_then_links(
    probe: Probe,
    slow: np.ndarray[tuple[int, ...], np.dtype[np.bool_]],
    bad: np.ndarray[tuple[int, ...], np.dtype[np.bool_]],
) -> Named:
    told = {("node", frozenset({probe.nodes[node]}), None, "both") for node in np.flatnonzero(bad)}
    for one, other in np.argwhere(np.triu(slow, 1)):
        if not bad[one] and not bad[other]:
            told.add(("link", frozenset({probe.nodes[one], probe.nodes[other]}), None, "both"))
    return frozenset(told)
