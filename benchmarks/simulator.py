"""Simulated fabrics with known faults, to measure how right an inference is.

A fabric is the matrix of what its pairs give when all is well: flat, in racks (two tiers), or
in rails (GPUs of one node fastest, GPUs of one rail next). Faults are laid over it, noise over
both, and some measurements may be missing. Everything comes from one seeded generator.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from clusterboot.diagnose.matrix.records import Direction, Finding, Kind, PairMatrix, Where

Rates = NDArray[np.float64]
Shape = Literal["flat", "racks", "rails"]
SHAPES: tuple[Shape, ...] = ("flat", "racks", "rails")


@dataclass(frozen=True)
class Fault:
    """One injected fault.

    ``members`` is the node, the two ends of a link, or the group; ``severity`` what is left of
    the bandwidth, 0 for dead. A ``cap`` limits (a slow port), else it multiplies (loss).
    """

    kind: Kind
    members: tuple[int, ...]
    severity: float
    direction: Direction = "both"
    where: Where | None = None
    cap: bool = False


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
    rates = _measured(_with_faults(sound, faults), noise, generator)
    rates[_not_measured(nodes, faults, missing, generator)] = np.nan
    return PairMatrix(tuple(f"n{index + 1}" for index in range(nodes)), rates)


def at_once(sound: Fabric, faults: Sequence[Fault], generator: np.random.Generator, *, noise: float) -> Rates:
    """Measure a fabric with faults, each pair in both directions at once.

    The directions share a little: 80% to 100% of a single direction's rate is left, the same for
    a whole tier. In every other fabric a direction that is slow holds up the acknowledgements of
    the other, which then loses too, by as much at most.
    """
    rates = _with_faults(sound, faults)
    left = rates / np.where(sound.rates > 0, sound.rates, 1.0)
    if generator.random() < 0.5:
        share = generator.random()
        held_up = left > left.T
        rates = np.where(held_up, rates * (left.T / np.where(left > 0, left, 1.0)) ** share, rates)
    for rate in np.unique(sound.rates):
        rates[sound.rates == rate] *= generator.uniform(0.8, 1.0)
    return _measured(rates, noise, generator)


def _with_faults(sound: Fabric, faults: Sequence[Fault]) -> Rates:
    rates = sound.rates.copy()
    nodes = len(rates)
    slowest = float(rates[~np.eye(nodes, dtype=bool)].min()) if nodes > 1 else 1.0
    for fault in faults:
        cells = cells_of(fault, nodes)
        rates[cells] = (
            np.minimum(rates[cells], slowest * fault.severity) if fault.cap else rates[cells] * fault.severity
        )
    return rates


def _measured(rates: Rates, noise: float, generator: np.random.Generator) -> Rates:
    rates = rates * np.clip(1 + noise * generator.standard_normal(rates.shape), 0.05, None)
    np.fill_diagonal(rates, np.nan)
    return rates


def _not_measured(
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
