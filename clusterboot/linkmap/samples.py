"""The samples of a link map: all of one way of measuring, by direction, and what they say together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace

import numpy as np

from .pair_matrix import LOW_SHARE, Flags, Pair, Rates, Samples

# Of the median: where the mean is less, the median does not stand for the whole.
_STANDS_FOR = 0.95

_COUNTS = frozenset({"count", "bytes", "low"})

Sample = tuple[float, float]
"""A rate in 10^9 bytes a second, and the bytes that were carried at it."""


def weighted_median(samples: Sequence[Sample]) -> float:
    """Give the rate at which the median byte was carried.

    Where all samples are of one length that is their plain median. A dead visit is a sample of no
    bytes, which counts where there is nothing else.
    """
    ordered = sorted(samples)
    half = sum(size for _, size in ordered) / 2
    for at, (rate, size) in enumerate(ordered):
        half -= size
        if half < 0:
            return rate
        if half == 0 and size and at + 1 < len(ordered):
            return (rate + ordered[at + 1][0]) / 2
    return ordered[-1][0]


def rate_of(samples: Sequence[Sample]) -> float:
    """Give what samples say of a direction's rate, as the program that took them does.

    That is the median, which leaves out what disturbed a few of them. Where those below it took so
    much of the time that it does not stand for the whole (a lossy link is fast between its stalls),
    it is all bytes over all of the time. Same rule: ``way_gb_s`` in collbench/pairs_samples.c.
    """
    median = weighted_median(samples)
    carried = [(rate, size) for rate, size in samples if size]
    if not carried or not median:
        return median
    mean = sum(size for _, size in carried) / sum(size / rate for rate, size in carried)
    return median if mean >= _STANDS_FOR * median else mean


@dataclass
class SampleBook:
    """The samples of every visit to each direction, and each direction's figures.

    ``summary`` has the figures, of an earlier map's directions too, whose samples are not known
    singly. ``unsettled`` are the directions whose time was spent before their median was known well.
    """

    summary: Samples
    by_pair: dict[Pair, list[Sample]] = field(default_factory=dict)
    unsettled: set[Pair] = field(default_factory=set)

    @classmethod
    def empty(cls, nodes: int) -> SampleBook:
        """Begin with nothing measured."""
        return cls(Samples.nothing(nodes))

    def add(self, at: Pair, rates: Sequence[float], each_bytes: int, *, is_settled: bool = True) -> None:
        """Enter the samples of a visit that were of one length; of a dead visit ``[0.0]`` of 0 bytes."""
        self.by_pair.setdefault(at, []).extend((rate, float(each_bytes)) for rate in rates)
        (self.unsettled.discard if is_settled else self.unsettled.add)(at)

    def close(self, at: Pair) -> float:
        """Bring a direction's figures up to date, and give its rate."""
        samples = self.by_pair[at]
        rates = np.array([rate for rate, _ in samples])
        told = self.summary
        told.count[at] = len(samples)
        told.bytes[at] = int(sum(size for _, size in samples))
        told.median_gb_s[at] = weighted_median(samples)
        told.min_gb_s[at], told.max_gb_s[at] = rates.min(), rates.max()
        told.q1_gb_s[at], told.q3_gb_s[at] = np.quantile(rates, [0.25, 0.75])
        told.low[at] = np.count_nonzero(rates < LOW_SHARE * told.q3_gb_s[at])
        return rate_of(samples)

    def forget(self, which: Flags) -> None:
        """Take directions out."""
        for each in fields(Samples):
            getattr(self.summary, each.name)[which] = 0 if each.name in _COUNTS else np.nan
        self.by_pair = {at: samples for at, samples in self.by_pair.items() if not which[at]}
        self.unsettled = {at for at in self.unsettled if not which[at]}

    def take_over(self, here: Rates, there: Rates, earlier: Samples) -> None:
        """Enter an earlier map's figures, whose nodes ``there`` are this map's ``here``."""
        at, was = np.ix_(here, here), np.ix_(there, there)
        for each in fields(Samples):
            getattr(self.summary, each.name)[at] = getattr(earlier, each.name)[was]

    def snapshot(self) -> Samples:
        """Give the figures as they are now."""
        return replace(
            self.summary, **{each.name: getattr(self.summary, each.name).copy() for each in fields(Samples)}
        )
