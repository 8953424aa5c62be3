"""Simulated fabrics with known faults, to measure how right an inference is.

A fabric is the matrix of what its pairs give when all is well: flat, in racks (two tiers), or
in rails (GPUs of one node fastest, GPUs of one rail next). Faults are laid over it, noise over
both, and some measurements may be missing. Everything comes from one seeded generator.

A :class:`Cluster` is measured as a link map does it: a pair is visited for a fifth to half of a
second, which gives 3 to 9 samples, each direction by itself or both at once. A fault that comes
and goes is there or not there at the time of the visit, and changes within it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from clusterboot.linkmap.pair_matrix import LOW_SHARE, Direction, Finding, Kind, PairMatrix, Where

Rates = NDArray[np.float64]
Indices = NDArray[np.intp]
Shape = Literal["flat", "racks", "rails"]
SHAPES: tuple[Shape, ...] = ("flat", "racks", "rails")

# A visit of a link map: how long it takes, how many samples it gives.
_VISIT_S = (0.2, 0.5)
_LEAST_SAMPLES, MOST_SAMPLES = 3, 9
# Of the noise of a figure, what a whole visit shares; the rest is its median's own.
_OF_VISIT = 0.85
_BURST_SAMPLES = 1
# A sample of which so little is left shows that something is wrong.
_SHOWN = 0.65
# A half-normal jitter's mean, so that what is left on the mean stays the severity.
_MEAN_JITTER = math.sqrt(2 / math.pi)


@dataclass(frozen=True)
class Fault:
    """One injected fault.

    ``members`` is the node, the two ends of a link, or the group; ``severity`` what is left of
    the bandwidth, 0 for dead. A ``cap`` limits (a slow port), else it multiplies (loss).
    With ``period_s`` it is there for the share ``duty`` of each period and then gone (flapping).
    ``jitter`` is the spread (logarithm) of the samples that it slows, as retransmissions make
    it; with ``burst`` a visit's first samples give so many times the line's rate, which a bucket of
    tokens lets through, before the rest is held to what is left.
    """

    kind: Kind
    members: tuple[int, ...]
    severity: float
    direction: Direction = "both"
    where: Where | None = None
    cap: bool = False
    period_s: float | None = None
    duty: float = 0.5
    jitter: float = 0.0
    burst: float = 0.0


@dataclass(frozen=True)
class Conditions:
    """What disturbs all measurements alike, and is no fault.

    ``noise`` is the standard deviation of one figure as a share of its value. With ``tail`` the
    noise has heavy tails (a visit's is Laplace's, a sample's Student's with 3 degrees of freedom), and this
    share of the samples stalls. ``outliers`` is the share of single samples that are off by up
    to five times, either way; ``high`` the share of visits that read too high, by up to eight times.
    """

    noise: float
    tail: float = 0.0
    outliers: float = 0.0
    high: float = 0.0


@dataclass(frozen=True, eq=False)
class Fabric:
    """A sound fabric: what each pair gives in GB/s, and the sets that share an uplink."""

    rates: Rates
    homes: tuple[tuple[int, ...], ...]


def fabric(shape: Shape, nodes: int, generator: np.random.Generator) -> Fabric:
    """Make a sound fabric; the nodes of a rack need not stand side by side."""
    rates, home = _sound(shape, nodes, generator)
    order = generator.permutation(nodes) if generator.random() < 0.5 else np.arange(nodes)
    home = home[order]
    homes = tuple(tuple(np.flatnonzero(home == each).tolist()) for each in np.unique(home))
    return Fabric(rates[np.ix_(order, order)], homes)


def _sound(shape: Shape, nodes: int, generator: np.random.Generator) -> tuple[Rates, NDArray[np.intp]]:
    base = float(generator.choice([0.12, 1.2, 12.0, 24.0, 48.0]))
    rates = np.full((nodes, nodes), base)
    index = np.arange(nodes)
    if shape == "racks":
        # Three racks or more, or two that are equal: two unequal ones look like a slow uplink.
        fits = [size for size in (2, 4, 8, 16, 32, 64) if nodes >= 3 * size or nodes == 2 * size]
        if not fits:
            return rates, index
        rack = index // int(generator.choice(fits))
        rates[rack[:, None] != rack[None, :]] *= generator.uniform(0.25, 0.7)
        return rates, rack
    if shape == "rails":
        if nodes < 8 or nodes % 4:
            return rates, index
        host, rail = index // 4, index % 4
        rates[rail[:, None] != rail[None, :]] *= generator.uniform(0.4, 0.7)
        rates[host[:, None] == host[None, :]] = base * generator.uniform(4, 10)
        return rates, host
    return rates, index


def simulate(
    sound: Fabric,
    faults: Sequence[Fault],
    generator: np.random.Generator,
    *,
    noise: float,
    missing: float = 0.0,
) -> PairMatrix:
    """Measure a fabric with faults.

    Parameters: ``noise`` is the standard deviation of one measurement as a share of its value;
    ``missing`` the share of measurements that were not made.
    """
    nodes = len(sound.rates)
    rates = measured(with_faults(sound, faults), noise, generator)
    rates[not_measured(nodes, faults, missing, generator)] = np.nan
    return PairMatrix(tuple(f"n{index + 1}" for index in range(nodes)), rates)


class Cluster:
    """A fabric with faults that can be visited again and again, each time at another moment."""

    def __init__(
        self, sound: Fabric, faults: Sequence[Fault], generator: np.random.Generator, conditions: Conditions
    ) -> None:
        self.nodes = tuple(f"n{index + 1}" for index in range(len(sound.rates)))
        self._generator = generator
        self._conditions = conditions
        changing = [fault for fault in faults if fault.period_s or fault.burst]
        self._one_way = with_faults(sound, [fault for fault in faults if fault not in changing])
        self._both = at_once(sound, self._one_way, generator)
        size = len(self.nodes)
        self._changing = [(fault, cells_of(fault, size), generator.random()) for fault in changing]
        self._shown: set[Fault] = set()
        self._jitter = np.zeros((size, size))
        for fault in faults:
            if fault.jitter:
                self._jitter[cells_of(fault, size)] += fault.jitter

    @property
    def has_shown_all(self) -> bool:
        """Whether each fault that changes was there at some visit, in one sample at least."""
        return len(self._shown) == len(self._changing)

    def visit(self, senders: Indices, receivers: Indices, start_s: Rates | float, *, both: bool) -> Rates:
        """Measure directions for a moment.

        Parameters: the cells; when each visit starts; whether both directions are measured at once.
        Returns: a row a cell with its samples, NaN beyond them.
        """
        cells = (senders, receivers)
        generator, conditions = self._generator, self._conditions
        shape = (len(senders), MOST_SAMPLES)
        visit_s = generator.uniform(*_VISIT_S, (len(senders), 1))
        count = generator.integers(_LEAST_SAMPLES, MOST_SAMPLES + 1, (len(senders), 1))
        steady = (self._both if both else self._one_way)[cells][:, None]
        rates = np.repeat(steady, MOST_SAMPLES, axis=1)
        number = np.arange(MOST_SAMPLES)[None, :]
        first_s = np.broadcast_to(np.asarray(start_s, dtype=np.float64), len(senders))[:, None]
        begin_s = first_s + visit_s * number / count
        for fault, where, phase in self._changing:
            part = where[cells][:, None]
            left = _left(fault, phase, begin_s, begin_s + visit_s / count, number)
            if (part & (number < count) & (left < _SHOWN)).any():
                self._shown.add(fault)
            rates = np.where(part, rates * left, rates)
        jitter = self._jitter[cells][:, None]
        rates = rates * np.exp(-np.abs(jitter * generator.standard_normal(shape)) + jitter * _MEAN_JITTER)
        noise = conditions.noise
        of_visit = generator.standard_normal(shape[:1])
        of_sample = generator.standard_normal(shape)
        if conditions.tail:
            of_visit = generator.laplace(0, 1 / math.sqrt(2), shape[:1])
            of_sample = generator.standard_t(3, shape) / math.sqrt(3)
        rates = rates * np.clip(1 + _OF_VISIT * noise * of_visit[:, None], 0.05, None)
        rates = rates * np.clip(1 + noise * of_sample, 0.05, None)
        if conditions.tail:
            stalls = generator.random(shape) < conditions.tail
            rates = np.where(stalls, rates * generator.uniform(0.2, 0.9, shape), rates)
        off = generator.random(shape) < conditions.outliers
        rates = np.where(off, rates * np.exp(generator.uniform(-1.6, 1.6, shape)), rates)
        high = generator.random(shape[:1]) < conditions.high
        rates = np.where(high[:, None], rates * generator.uniform(1.3, 8, shape[:1])[:, None], rates)
        return np.where(number < count, rates, np.nan)


def _left(fault: Fault, phase: float, begin_s: Rates, end_s: Rates, number: NDArray[np.int64]) -> Rates:
    """Give what a changing fault leaves of each sample's rate."""
    if fault.burst:
        return np.where(number < _BURST_SAMPLES, fault.burst, fault.severity)
    period_s = fault.period_s or 1.0

    def bad_s(until_s: Rates) -> Rates:
        turns = until_s / period_s + phase
        return (np.floor(turns) * fault.duty + np.minimum(turns % 1, fault.duty)) * period_s

    share = (bad_s(end_s) - bad_s(begin_s)) / (end_s - begin_s)
    return np.asarray(1 - share * (1 - fault.severity))


def figures(samples: Rates) -> tuple[NDArray[np.int64], Rates]:
    """Give how many samples each row has and how many are low, and their median, extremes and quartiles."""
    count = np.count_nonzero(~np.isnan(samples), axis=-1)
    ordered = np.sort(samples, axis=-1)  # NaN sorts last

    def at(share: float) -> Rates:
        place = share * np.maximum(count - 1, 0)
        low = np.floor(place).astype(np.intp)
        high = np.ceil(place).astype(np.intp)
        below, above = (
            np.take_along_axis(ordered, which[..., None], axis=-1)[..., 0] for which in (low, high)
        )
        return np.asarray(below + (above - below) * (place - low))

    rates = np.stack([at(share) for share in (0.5, 0.0, 1.0, 0.25, 0.75)])
    low = np.count_nonzero(samples < LOW_SHARE * rates[4][..., None], axis=-1)
    return np.stack([count, low]), rates


def at_once(sound: Fabric, rates: Rates, generator: np.random.Generator) -> Rates:
    """Give what a fabric with faults gives where each pair is measured in both directions at once.

    The directions share a little: 80% to 100% of a single direction's rate is left, the same for
    a whole tier. In every other fabric a direction that is slow holds up the acknowledgements of
    the other, which then loses too, by as much at most.
    """
    rates = rates.copy()
    left = rates / np.where(sound.rates > 0, sound.rates, 1.0)
    if generator.random() < 0.5:
        share = generator.random()
        held_up = left > left.T
        rates = np.where(held_up, rates * (left.T / np.where(left > 0, left, 1.0)) ** share, rates)
    for rate in np.unique(sound.rates):
        rates[sound.rates == rate] *= generator.uniform(0.8, 1.0)
    return rates


def with_faults(sound: Fabric, faults: Sequence[Fault]) -> Rates:
    """Give what each pair of a fabric with faults gives in one direction by itself, without noise."""
    rates = sound.rates.copy()
    nodes = len(rates)
    slowest = float(rates[~np.eye(nodes, dtype=bool)].min()) if nodes > 1 else 1.0
    for fault in faults:
        if fault.kind == "link" and fault.direction == "both" and not fault.cap:
            # Of these there may be many.
            for cell in (fault.members, fault.members[::-1]):
                rates[cell] *= fault.severity
            continue
        cells = cells_of(fault, nodes)
        rates[cells] = (
            np.minimum(rates[cells], slowest * fault.severity) if fault.cap else rates[cells] * fault.severity
        )
    return rates


def measured(rates: Rates, noise: float, generator: np.random.Generator) -> Rates:
    """Lay noise over rates; a node has no rate to itself."""
    rates = rates * np.clip(1 + noise * generator.standard_normal(rates.shape), 0.05, None)
    np.fill_diagonal(rates, np.nan)
    return rates


def not_measured(
    nodes: int, faults: Sequence[Fault], share: float, generator: np.random.Generator
) -> NDArray[np.bool_]:
    """Choose pairs that are left out; a bad link that nobody measured could not be found."""
    left_out = np.triu(generator.random((nodes, nodes)) < share, 1)
    left_out |= left_out.T
    for fault in faults:
        if fault.kind == "link":
            left_out[fault.members] = left_out[fault.members[::-1]] = False
    return left_out


def cells_of(fault: Fault, nodes: int) -> NDArray[np.bool_]:
    """Choose the cells that a fault slows."""
    part = np.zeros(nodes, dtype=bool)
    part[list(fault.members)] = True
    cells = np.zeros((nodes, nodes), dtype=bool)
    if fault.kind == "link":
        one, other = fault.members
        cells[one, other] = fault.direction in ("out", "both")
        cells[other, one] = fault.direction in ("in", "both")
        return cells
    if fault.where == "inside":
        return part[:, None] & part[None, :]
    if fault.direction in ("out", "both"):
        cells |= part[:, None]
    if fault.direction in ("in", "both"):
        cells |= part[None, :]
    return cells & ~(part[:, None] & part[None, :]) if fault.kind == "group" else cells


Named = frozenset[tuple[str, frozenset[str], str | None, str]]


def named(faults: Sequence[Fault], nodes: Sequence[str]) -> Named:
    """Give what an exact inference names: kind, hosts, where and direction of each fault."""
    told = set()
    for fault in faults:
        hosts = frozenset(nodes[member] for member in fault.members)
        direction: str = fault.direction
        if fault.kind == "link" and direction != "both":
            one, other = fault.members if direction == "out" else fault.members[::-1]
            direction = f"{nodes[one]}->{nodes[other]}"
        where = (fault.where or "across") if fault.kind == "group" else None
        told.add((fault.kind, hosts, where, direction))
    return frozenset(told)


def named_by(findings: Sequence[Finding]) -> Named:
    """Give what findings name, in the same form; "one of these" names nobody."""
    told = set()
    for finding in findings:
        direction: str = finding.direction
        if finding.kind == "link" and direction != "both":
            one, other = finding.hosts if direction == "out" else finding.hosts[::-1]
            direction = f"{one}->{other}"
        if not finding.next_pairs or (finding.kind == "node" and len(finding.hosts) == 1):
            told.add((finding.kind, frozenset(finding.hosts), finding.where, direction))
    return frozenset(told)
