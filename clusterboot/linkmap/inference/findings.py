"""Faults put into records that the machine formats and people read, with the figures that they rest on."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from clusterboot.units import percent

from ..pair_matrix import Cells, Direction, Finding, Flags, Kind, Pair, PairMatrix, Rates
from .groups import Unit
from .links import SlowPair
from .losses import Losses, share_of
from .picture import DEAD, Picture
from .sets import SlowSet
from .swings import Swings

_LISTED = 4
_FASTEST = math.log(1000)
_ACROSS = {"out": "to", "in": "from", "both": "to and from"}
_VERBS = {"out": "sends", "in": "receives", "both": "sends and receives"}
_SIGNS = {"out": "->", "in": "<-", "both": "<->"}
_TOLD_LOST = {"out": "what it sent", "in": "what it was sent", "both": "what it sent and was sent"}


def _finding(
    picture: Picture,
    kind: Kind,
    members: Iterable[int],
    direction: Direction,
    share: float | None,
    *,
    told: str,
    next_pairs: Iterable[Pair] = (),
    **more: Any,
) -> Finding:
    hosts = tuple(picture.matrix.nodes[node] for node in members)
    return Finding(kind, hosts, direction, share, told, next_pairs=_named(picture, next_pairs), **more)


def node_finding(picture: Picture, unit: Unit, missing: Sequence[Pair]) -> Finding:
    """Tell of a node that is slow with most partners.

    Parameters: ``missing`` are the pairs without which it is not certain that it is the node.
    """
    (node,) = unit.members
    partners = int(np.count_nonzero(picture.seen[node]))
    told = _slow(picture, unit, cells_of(picture, [node], unit.direction))
    evidence = f"{told}, median over {partners} partner{'s' if partners > 1 else ''}"
    if missing:
        evidence += "; whether it is the node or its partners, another one would tell"
    elif unit.unmet:
        evidence += "; whether it is alone or in a group with others that are as slow, their pair would tell"
    share = fraction(unit.drop)
    return _finding(
        picture, "node", [node], unit.direction, share, told=evidence, next_pairs=missing or unit.unmet
    )


def hidden_finding(picture: Picture, hidden: Unit, group: Unit) -> Finding:
    """Tell of a node that is slow inside a group that is slow across."""
    cells = cells_of(picture, hidden.members, hidden.direction) & _within(picture, group.members)
    evidence = f"{_slow(picture, hidden, cells)}, with the others of its group too"
    return _finding(picture, "node", hidden.members, hidden.direction, fraction(hidden.drop), told=evidence)


def _slow(picture: Picture, unit: Unit, cells: Cells) -> str:
    who = names(picture.matrix, unit.members)
    return f"{who} {_VERBS[unit.direction]} {measured(picture, cells)}"


def group_finding(picture: Picture, unit: Unit) -> Finding:
    """Tell of nodes that are fine with each other and slow with the rest."""
    members = sorted(unit.members)
    inside = _within(picture, members)
    across = cells_of(picture, members, unit.direction) & ~inside
    rest = len(picture.matrix.nodes) - len(members)
    evidence = (
        f"{names(picture.matrix, members)}: {_ACROSS[unit.direction]} the other {rest} nodes "
        f"{measured(picture, across)}; among themselves {measured(picture, inside)}"
    )
    share = fraction(unit.drop)
    return _finding(
        picture, "group", members, unit.direction, share, told=evidence, next_pairs=unit.unmet, where="across"
    )


def set_finding(picture: Picture, found: SlowSet) -> Finding:
    """Tell of many slow pairs that are one: inside a set, or between two sets."""
    members = list(found.members)
    if found.where == "inside":
        told = f"among themselves {measured(picture, _within(picture, members))}"
    else:
        cells = cells_of(picture, members, found.direction) & _between(picture, members, found.others)
        others = names(picture.matrix, found.others)
        told = f"{_ACROSS[found.direction]} {others} {measured(picture, cells)}"
    evidence = f"{names(picture.matrix, members)}: {told}"
    if len(members) + len(found.others) < len(picture.matrix.nodes):
        evidence += "; with the other nodes they are fine"
    share = fraction(found.drop)
    return _finding(picture, "group", members, found.direction, share, told=evidence, where=found.where)


def link_finding(
    picture: Picture, pair: SlowPair, open_: Sequence[int], next_pairs: Sequence[Pair]
) -> Finding:
    """Tell of a slow pair: a bad link, or one of its ends where the good ends are not known."""
    figures = measured(picture, link_cells(pair.ends, pair.direction))
    told = f"{arrow(picture.matrix, pair.ends, pair.direction)} gives {figures}"
    if next_pairs:
        clear = " or ".join(picture.matrix.nodes[end] for end in open_)
        evidence = f"{told}; whether it is {clear} or the link between them, other partners would tell"
    elif len(picture.matrix.nodes) == 2:
        evidence = f"{told}; there is no third node to compare with"
    else:
        evidence = f"{told}; both ends are fine with others"
    # A pair that is slow both ways, of which neither end is proven fine, is first of all two nodes.
    as_nodes = len(open_) == 2 and pair.direction == "both" and bool(next_pairs)
    kind: Kind = "node" if as_nodes else "link"
    return _finding(
        picture, kind, pair.ends, pair.direction, fraction(pair.drop), told=evidence, next_pairs=next_pairs
    )


def swinging_node(picture: Picture, swings: Swings, node: int, direction: Direction) -> Finding:
    """Tell of a node whose measurements swing, whatever their medians are."""
    cells = cells_of(picture, [node], direction)
    told = f"{names(picture.matrix, [node])}: its measurements {swing_of(picture, swings, cells)}"
    share = _mean_share(picture, cells)
    return _finding(picture, "node", [node], direction, share, told=told, stability="swinging")


def swinging_link(
    picture: Picture, swings: Swings, pair: Pair, direction: Direction, next_pairs: Sequence[Pair]
) -> Finding:
    """Tell of a pair whose measurements swing.

    Parameters: ``next_pairs`` are pairs of its ends whose further visits would tell whether it is an end.
    """
    cells = link_cells(pair, direction)
    swing = swing_of(picture, swings, cells)
    told = f"{arrow(picture.matrix, pair, direction)}: its measurements {swing}{_open(next_pairs)}"
    share = _mean_share(picture, cells)
    return _finding(
        picture, "link", pair, direction, share, told=told, next_pairs=next_pairs, stability="swinging"
    )


def as_swinging(
    picture: Picture, swings: Swings, finding: Finding, cells: Cells, visits: Sequence[Pair] = ()
) -> Finding:
    """Add to a finding that the measurements swing, too, and which ``visits`` would tell more."""
    told = f"{finding.evidence}; its measurements {swing_of(picture, swings, cells)}{_open(visits)}"
    next_pairs = finding.next_pairs or _named(picture, visits)
    return replace(finding, stability="swinging", evidence=told, next_pairs=next_pairs)


def lossy_node(picture: Picture, losses: Losses, node: int) -> Finding:
    """Tell of a node that loses packets, whatever its rates are."""
    direction = losses.nodes[node]
    cells = cells_of(picture, [node], direction)
    told = f"{names(picture.matrix, [node])}: {loss_of(picture, losses, cells, direction)}"
    return _finding(picture, "node", [node], direction, _mean_share(picture, cells), told=told)


def lossy_link(picture: Picture, losses: Losses, pair: Pair, direction: Direction) -> Finding:
    """Tell of a pair that loses packets, of which neither end does with others."""
    cells = link_cells(pair, direction)
    lost = f"{percent(share_of(losses, cells))} of what was sent had to be sent again"
    told = f"{arrow(picture.matrix, pair, direction)}: {lost}; {_others_lose(picture, losses)}"
    return _finding(picture, "link", pair, direction, _mean_share(picture, cells), told=told)


def loss_of(picture: Picture, losses: Losses, cells: Flags, direction: Direction) -> str:
    """Say how much of what a node sends, or is sent, had to be sent again, beside the others'."""
    lost = f"{percent(share_of(losses, cells))} of {_TOLD_LOST[direction]} had to be sent again"
    return f"{lost}; {_others_lose(picture, losses)}"


def _others_lose(picture: Picture, losses: Losses) -> str:
    others = np.ones_like(picture.seen)
    for node in losses.nodes:
        others[node, :] = others[:, node] = False
    for pair, direction in losses.links:
        others[link_cells(pair, direction)] = False
    return f"of the others', {percent(share_of(losses, others))}"


def _open(visits: Sequence[Pair]) -> str:
    told = "; whether it is the link or one of its ends, further visits to other pairs would tell"
    return told if visits else ""


def swing_of(picture: Picture, swings: Swings, cells: Cells) -> str:
    """Say between which rates samples swing, and how far the others' do."""
    samples = picture.matrix.samples
    known = ~np.isnan(swings.range_[cells])
    if samples is None or not known.any():
        return "swing"
    usual = picture.usual[cells][known]
    levels, times = np.unique(usual, return_counts=True)
    level = float(levels[np.argmax(times)])
    low = float(np.min(samples.min_gb_s[cells][known][usual == level]))
    high = float(np.max(samples.max_gb_s[cells][known][usual == level]))
    others = 1 - math.exp(-swings.usual)
    return (
        f"swing between {rate(low)} and {rate(max(low, min(high, math.exp(level))))}; "
        f"those of the others stay within {others:.0%}"
    )


def _mean_share(picture: Picture, cells: Cells) -> float:
    """Give the mean rate of cells over what is expected, 1 at most: a median does not tell of swings."""
    samples = picture.matrix.samples
    figures = [picture.matrix.bandwidth_gb_s]
    if samples is not None:
        figures = [samples.min_gb_s, samples.q1_gb_s, samples.median_gb_s, samples.q3_gb_s, samples.max_gb_s]
    with np.errstate(divide="ignore", invalid="ignore"):
        lacking = [np.minimum(np.log(figure[cells]) - picture.usual[cells], 0.0) for figure in figures]
    shares = np.exp(np.concatenate(lacking))
    shares = shares[~np.isnan(shares)]
    return round(float(shares.mean()), 4) if shares.size else 1.0


def unmeasured_finding(picture: Picture, node: int, next_pairs: Sequence[Pair]) -> Finding:
    """Tell of a node that nothing is known of."""
    evidence = f"{picture.matrix.nodes[node]} has no measurement with any other node"
    return _finding(picture, "node", [node], "both", None, told=evidence, next_pairs=next_pairs)


def fraction(drop: float) -> float:
    """Give measured over expected for a logarithm, 0 for dead."""
    return 0.0 if drop <= DEAD / 2 else round(math.exp(drop), 4)


def _named(picture: Picture, pairs: Iterable[Pair]) -> tuple[tuple[str, str], ...]:
    return tuple((picture.matrix.nodes[one], picture.matrix.nodes[other]) for one, other in pairs)


def link_cells(ends: Pair, direction: Direction) -> tuple[list[int], list[int]]:
    """Choose the cells of a link: of many links, masks of a large matrix would take long."""
    one, other = ends
    senders = {"out": [one], "in": [other], "both": [one, other]}[direction]
    return senders, [other if sender == one else one for sender in senders]


def cells_of(picture: Picture, members: Sequence[int], direction: Direction) -> Flags:
    """Choose what members send, receive, or both."""
    cells = np.zeros(picture.seen.shape, dtype=bool)
    if direction in ("out", "both"):
        cells[list(members), :] = True
    if direction in ("in", "both"):
        cells[:, list(members)] = True
    return cells


def _within(picture: Picture, members: Sequence[int]) -> Flags:
    return _between(picture, members, members)


def _between(picture: Picture, some: Sequence[int], others: Sequence[int]) -> Flags:
    cells = np.zeros(picture.seen.shape, dtype=bool)
    cells[np.ix_(list(some), list(others))] = True
    return np.asarray(cells | cells.T)


def names(matrix: PairMatrix, members: Sequence[int]) -> str:
    """List nodes by name, the first few where they are many."""
    listed = [matrix.nodes[node] for node in members[:_LISTED]]
    more = len(members) - len(listed)
    return ", ".join(listed) + (f" and {more} more" if more else "")


def rate(gb_s: float) -> str:
    """Write a bandwidth with three digits."""
    return f"{gb_s:.3g} GB/s"


def measured(picture: Picture, cells: Cells) -> str:
    """Say what cells give and what they should: ``1.2 GB/s, 10% of the expected 12 GB/s``."""
    residuals = picture.residuals[cells]
    known = ~np.isnan(residuals)
    if not known.any():
        return "not measured"
    expected = picture.expected[cells][known]
    residual = min(_middle(residuals[known]), _FASTEST)
    if residual <= DEAD / 2:
        alive = np.isfinite(expected).any()
        return f"nothing, where {rate(math.exp(_middle(expected)))} is expected" if alive else "nothing"
    value = _middle(picture.rates[cells][known])
    return f"{rate(value)}, {math.exp(residual):.0%} of the expected {rate(math.exp(_middle(expected)))}"


def _middle(values: Rates) -> float:
    """Give the median; of a link's two cells, of which there may be many, without a sort."""
    return float(np.median(values)) if values.size > 2 else float(values.sum()) / values.size


def arrow(matrix: PairMatrix, ends: Pair, direction: Direction) -> str:
    """Write a link with its direction."""
    return f"{matrix.nodes[ends[0]]} {_SIGNS[direction]} {matrix.nodes[ends[1]]}"
