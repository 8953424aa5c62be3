"""Rates of a link map that cannot be: above what the line carries, or far above what the fleet agrees on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from clusterboot.facts.node import NodeFacts

from .endpoints import host_of
from .inference.picture import draw
from .pair_matrix import Finding, Inference, Pair, PairMatrix, Rates

# Rates are of what messages carry: what more there is than the line has is no noise.
_OVER_LINE = 1.05
# Equal pairs differ by less, however noisy; of few nodes a faster pair may be a tier of its own.
_OVER_FLEET = 1.5
_ENOUGH_NODES = 8
# Where more than this share of the pairs is too fast, it is no pair that is in doubt.
_MANY = 0.5


@dataclass(frozen=True)
class Doubt:
    """A rate that cannot be, from one node to another, and the most that can (10^9 bytes a second)."""

    ends: Pair
    rate_gb_s: float
    most_gb_s: float
    reason: str


def line_gb_s(
    places: Sequence[str], facts: Mapping[str, NodeFacts], interface_of: Mapping[str, str]
) -> Rates | None:
    """Give what the line between two places can carry, in 10^9 bytes a second, NaN where that is not known.

    Parameters: the interface that each host's data take over TCP. Only hardware knows its speed; places of
    one host are joined by no line, and with RDMA nothing says that TCP's interface is taken.
    """
    hosts = [host_of(place) for place in places]
    known = {name: facts[name] for name in hosts if name in facts}
    if any(port.state.upper() == "ACTIVE" for node in known.values() for port in node.rdma_ports):
        return None
    speeds = {
        name: each.speed_mbit_s / 8000
        for name, node in known.items()
        for each in node.interfaces
        if each.name == interface_of.get(name) and each.kind == "physical" and each.speed_mbit_s
    }
    own = np.array([speeds.get(host, np.nan) for host in hosts])
    line: Rates = np.minimum(own[:, None], own[None, :])
    line[np.array([[one == other for other in hosts] for one in hosts])] = np.nan
    return line


def fastest_gb_s(
    places: Sequence[str], facts: Mapping[str, NodeFacts], interface_of: Mapping[str, str]
) -> float | None:
    """Give the fastest rate that an interface which is used claims, in 10^9 bytes a second.

    Parameters: as for :func:`line_gb_s`.
    """
    speeds = [
        each.speed_mbit_s
        for name in {host_of(place) for place in places}
        for each in facts[name].interfaces
        if each.name == interface_of[name] and each.speed_mbit_s
    ]
    return max(speeds) / 8000 if speeds else None


def find_doubts(matrix: PairMatrix, line_gb_s: Rates | None = None) -> tuple[Doubt, ...]:
    """Find the directions whose rate cannot be.

    Parameters: the matrix; what the line of each cell carries, NaN where that is not known.
    """
    found: dict[Pair, Doubt] = {}
    if len(matrix.nodes) >= _ENOUGH_NODES:
        most = _OVER_FLEET * np.exp(draw(replace(matrix, one_way_gb_s=None)).usual)
        _collect(found, matrix.bandwidth_gb_s, most, "what pairs like it give")
    if line_gb_s is not None:
        for rates in (matrix.bandwidth_gb_s, matrix.one_way_gb_s):
            if rates is not None:
                _collect(found, rates, _OVER_LINE * line_gb_s, "what its interfaces can carry")
    return tuple(found[at] for at in sorted(found))


def _collect(found: dict[Pair, Doubt], rates: Rates, most: Rates, reason: str) -> None:
    with np.errstate(invalid="ignore"):
        for one, other in np.argwhere(rates > most).tolist():
            found[one, other] = Doubt((one, other), float(rates[one, other]), float(most[one, other]), reason)


def without(matrix: PairMatrix, doubts: Sequence[Doubt]) -> PairMatrix:
    """Take out the pairs that are in doubt: nothing is compared with them, nor said of a direction."""
    ones, others = np.array([each.ends for each in doubts], dtype=np.intp).reshape(-1, 2).T
    cells = np.concatenate([ones, others]), np.concatenate([others, ones])

    def left(rates: Rates) -> Rates:
        kept = rates.copy()
        kept[cells] = np.nan
        return kept

    one_way = None if matrix.one_way_gb_s is None else left(matrix.one_way_gb_s)
    return replace(matrix, bandwidth_gb_s=left(matrix.bandwidth_gb_s), one_way_gb_s=one_way)


def are_many(matrix: PairMatrix, doubts: Sequence[Doubt]) -> bool:
    """Tell whether so many are in doubt that what they are held against is."""
    return len(doubts) > _MANY * int(np.count_nonzero(~np.isnan(matrix.bandwidth_gb_s)))


def with_doubts(inference: Inference, nodes: Sequence[str], doubts: Sequence[Doubt]) -> Inference:
    """Add what is in doubt to what was inferred without it: it is never ``ok``."""
    if not doubts:
        return inference
    findings = tuple(
        Finding(
            "link",
            (nodes[each.ends[0]], nodes[each.ends[1]]),
            "out",
            None,
            f"{each.rate_gb_s:.3g} GB/s is not believed: {each.reason} is at most {each.most_gb_s:.3g} GB/s",
        )
        for each in doubts
    )
    verdict = "inconclusive" if inference.verdict == "ok" else inference.verdict
    return replace(inference, verdict=verdict, findings=(*inference.findings, *findings))


def all_in_doubt(inference: Inference, doubts: Sequence[Doubt]) -> Inference:
    """Say that the pairs are faster than their lines, and keep what was inferred of them."""
    times = float(np.median([each.rate_gb_s / each.most_gb_s for each in doubts])) * _OVER_LINE
    told = (
        f"most pairs give {times:.2g} times what their interfaces can carry by their own word: "
        "the data goes another way, or the word is wrong"
    )
    verdict = "inconclusive" if inference.verdict == "ok" else inference.verdict
    return replace(inference, verdict=verdict, notes=(*inference.notes, told))
