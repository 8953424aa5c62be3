"""The ways of finding a bad node that people use today, each reduced to its rule.

A method sees a cluster only through :class:`Probe`, which counts what it measures. A measurement is
one series of timed transfers between two nodes: one way, the other way, or both ways at once; it
gives 3 to 9 samples, of which the other methods see the median. A whole tournament makes these three
of every pair. A run over a group gives what its slowest pair gives, and counts as one measurement a
member. A method returns what it names, in the form of :func:`simulator.named`. Gates are shares of a
median, as the tools' defaults are.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

import numpy as np
from simulator import MOST_SAMPLES, Cluster, Indices, Named, Rates, figures, named_by

from clusterboot.linkmap.doubt import find_doubts, without
from clusterboot.linkmap.inference.infer import infer
from clusterboot.linkmap.inference.schedule import Round, adaptive_rounds, next_round, rounds, second_looks
from clusterboot.linkmap.pair_matrix import Flags, PairMatrix, Samples

_GATE = 0.8
_RANDOM_ROUNDS = 15
_SAMPLE_BYTES = 1 << 20
# What is not believed is visited so often in all, as a link map has it.
_VISITS = 5
# As many further looks as a link map makes at least, however few pairs there are.
_LEAST_LOOKS = 48
# A visit, and what lies between two of them; further looks begin with a launch.
_VISIT_S = 0.4
_LAUNCH_S = (0.5, 2.0)


class Probe:
    """A cluster that can be measured, and what that has cost."""

    def __init__(
        self, cluster: Cluster, generator: np.random.Generator, left_out: Flags | None = None
    ) -> None:
        size = len(cluster.nodes)
        self.nodes = cluster.nodes
        self.generator = generator
        self.measurements = 0
        self.runs = 0
        self._cluster = cluster
        self._left_out = np.zeros((size, size), dtype=bool) if left_out is None else left_out
        self._now_s = float(generator.uniform(0, 60))
        self._one_way, self._both = _Series(size), _Series(size)

    @property
    def seen(self) -> Rates:
        """What single directions gave so far."""
        return self._one_way.medians

    def tournament(self) -> None:
        """Measure all pairs in full, round by round."""
        size = len(self.nodes)
        started_s = np.zeros((size, size))
        for number, each in enumerate(rounds(size)):
            for one, other in each:
                started_s[one, other] = started_s[other, one] = number * 3 * _VISIT_S
        ones, others = np.nonzero(~np.eye(size, dtype=bool) & ~self._left_out)
        start_s = self._now_s + started_s[ones, others] + np.where(ones < others, 0.0, _VISIT_S)
        self._one_way.take(ones, others, self._cluster.visit(ones, others, start_s, both=False))
        self._pass(len(rounds(size)), 3 * size * (size - 1) // 2, 3 * _VISIT_S)

    def round(self, pairs: Round) -> None:
        """Measure pairs side by side: each direction by itself, and both at once."""
        self._in_full(pairs, 0.0)
        self._pass(1, 3 * len(pairs), 3 * _VISIT_S)

    def each_alone(self, pairs: Sequence[tuple[int, int]]) -> None:
        """Launch once more, and measure pairs one after the other, each as a round does."""
        self._now_s += float(self.generator.uniform(*_LAUNCH_S))
        self._in_full(pairs, 3 * _VISIT_S)
        self._pass(len(pairs), 3 * len(pairs), 3 * _VISIT_S)

    def sweep(self, pairs: Round) -> None:
        """Measure pairs side by side, with both directions at once only."""
        self._visit_both(*self._ends(pairs), self._now_s)
        self._pass(1, len(pairs), _VISIT_S)

    def pair(self, one: int, other: int) -> float:
        """Measure one pair alone, and give the slower direction."""
        self.round(((one, other),))
        return float(np.nanmin([self.seen[one, other], self.seen[other, one], np.inf]))

    def group(self, members: Sequence[int]) -> float:
        """Run a collective over a group: it goes at the pace of its slowest pair."""
        ones, others = (side.ravel() for side in np.meshgrid(members, members))
        apart = (ones != others) & ~self._left_out[ones, others]
        _, rates = figures(self._cluster.visit(ones[apart], others[apart], self._now_s, both=False))
        self._pass(1, len(members), _VISIT_S)
        return float(rates[0].min()) if rates[0].size else 0.0

    def matrix(self) -> PairMatrix:
        """Give what was measured so far in single directions."""
        return PairMatrix(self.nodes, self.seen.copy(), samples=self._one_way.samples())

    def swept(self) -> PairMatrix:
        """Give what was measured so far with both directions at once, and beside it the single ones."""
        both, alone = self._both, self._one_way
        return PairMatrix(
            self.nodes,
            both.medians.copy(),
            one_way_gb_s=self.seen.copy(),
            samples=both.samples(),
            one_way_samples=alone.samples(),
        )

    def _pass(self, runs: int, measurements: int, time_s: float) -> None:
        self.runs += runs
        self.measurements += measurements
        self._now_s += runs * time_s

    def _ends(self, pairs: Sequence[tuple[int, int]]) -> tuple[Indices, Indices]:
        ends = np.array([pair for pair in pairs if not self._left_out[pair]], dtype=np.intp).reshape(-1, 2)
        return ends[:, 0], ends[:, 1]

    def _in_full(self, pairs: Sequence[tuple[int, int]], apart_s: float) -> None:
        """Visit pairs, each so much later than the one before it: one way, the other way, both ways."""
        ones, others = self._ends(pairs)
        start_s = self._now_s + apart_s * np.arange(len(ones))
        for at, (senders, receivers) in enumerate(((ones, others), (others, ones))):
            samples = self._cluster.visit(senders, receivers, start_s + at * _VISIT_S, both=False)
            self._one_way.take(senders, receivers, samples)
        self._visit_both(ones, others, start_s + 2 * _VISIT_S)

    def _visit_both(self, ones: Indices, others: Indices, start_s: Rates | float) -> None:
        for senders, receivers in ((ones, others), (others, ones)):
            samples = self._cluster.visit(senders, receivers, start_s, both=True)
            self._both.take(senders, receivers, samples)


class _Series:
    """The samples of all visits of one kind, and the figures of each cell's."""

    def __init__(self, nodes: int) -> None:
        self._visits = np.zeros((nodes, nodes), dtype=np.intp)
        self._samples: Rates = np.full((nodes, nodes, MOST_SAMPLES), np.nan)
        self._counts = np.zeros((2, nodes, nodes), dtype=np.int64)
        self._rates = np.full((5, nodes, nodes), np.nan)

    @property
    def medians(self) -> Rates:
        """Each cell's median, NaN for not measured."""
        medians: Rates = self._rates[0]
        return medians

    def take(self, senders: Indices, receivers: Indices, samples: Rates) -> None:
        """Add the samples of visits; those of a cell that was visited before count on."""
        cells = (senders, receivers)
        before = self._visits[cells]
        missing = (int(before.max(initial=0)) + 1) * MOST_SAMPLES - self._samples.shape[2]
        if missing > 0:
            self._samples = np.pad(self._samples, ((0, 0), (0, 0), (0, missing)), constant_values=np.nan)
        place = before[:, None] * MOST_SAMPLES + np.arange(MOST_SAMPLES)
        self._samples[senders[:, None], receivers[:, None], place] = samples
        self._visits[cells] += 1
        self._counts[:, senders, receivers], self._rates[:, senders, receivers] = figures(
            self._samples[cells]
        )

    def samples(self) -> Samples:
        """Give the figures as a matrix has them."""
        count, low = self._counts.copy()
        return Samples(count, *self._rates.copy(), bytes=count * _SAMPLE_BYTES, low=low)


Method = Callable[[Probe], Named]


def ours_full(probe: Probe) -> Named:
    """Measure the whole tournament, then infer; whoever is blamed is looked at once more."""
    probe.tournament()
    whole = 3 * _pairs(probe)
    return _looked_at(probe, probe.matrix, whole + max(whole, 3 * _LEAST_LOOKS), settle=False)


def ours_adaptive(probe: Probe) -> Named:
    """Measure a few rounds in full, all others with both directions at once, and what that leaves open.

    From 64 nodes on it stops at half of a tournament's measurements, whatever is open then.
    """
    quick, others = adaptive_rounds(len(probe.nodes))
    for each in quick:
        probe.round(each)
    for each in others:
        probe.sweep(each)
    whole = 3 * _pairs(probe)
    most = whole // 2 if len(probe.nodes) >= 64 else whole + max(whole, 3 * _LEAST_LOOKS)
    return _looked_at(probe, probe.swept, most, settle=True)


def _looked_at(probe: Probe, matrix_of: Callable[[], PairMatrix], most: int, *, settle: bool) -> Named:
    """Look once more at what cannot be, what is blamed, and what is left open, as a link map does.

    Parameters: ``most`` is how many measurements are made in all.
    """
    visits: Counter[tuple[int, int]] = Counter()
    looked: Counter[tuple[int, int]] = Counter()
    while True:
        matrix = matrix_of()
        doubts = find_doubts(matrix)
        inference = infer(without(matrix, doubts))
        unbelieved = dict.fromkeys((min(each.ends), max(each.ends)) for each in doubts)
        again = [pair for pair in unbelieved if visits[pair] < _VISITS - 1]
        again = again or list(second_looks(matrix, inference, looked))
        pairs = again or list(next_round(matrix, inference) if settle else ())
        if not pairs or probe.measurements + 3 * len(pairs) > most:
            return named_by(inference.findings)
        # What is looked at once more is measured alone, pair after pair.
        if again:
            probe.each_alone(again)
        else:
            probe.round(tuple(pairs))
        visits.update(pairs)
        looked.update(again)


def _pairs(probe: Probe) -> int:
    return len(probe.nodes) * (len(probe.nodes) - 1) // 2


def fixed_gate(probe: Probe) -> Named:
    """Measure all; a pair below 80% of the median is bad, a node with half of its pairs bad too."""
    probe.tournament()
    slow = _slower(probe)
    return _nodes_then_links(probe, slow, slow.mean(axis=1) >= 0.5)


def every_slow_pair(probe: Probe) -> Named:
    """Measure all, a launch a pair; name each pair below the gate (SuperBench's round robin)."""
    probe.tournament()
    return _nodes_then_links(probe, _slower(probe), np.zeros(len(probe.nodes), dtype=bool))


def best_relative(probe: Probe) -> Named:
    """Measure all; retest the nodes whose median is below 80% of the best, halving them (ClusterKit)."""
    probe.tournament()
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
