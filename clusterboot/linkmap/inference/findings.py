"""Faults put into records that the machine formats and people read."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np

from clusterboot.units import percent

from ..pair_matrix import Cells, Direction, Finding, Flags, Pair
from .groups import Unit
from .links import SlowPair
from .losses import Losses, share_of
from .picture import DEAD, Picture
from .sentences import arrow, measured, names, rate, verbs
from .sets import SlowSet
from .swings import Swings


def node_finding(picture: Picture, unit: Unit, missing: Sequence[Pair]) -> Finding:
    """Tell of a node that is slow with most partners.

    Parameters: ``missing`` are the pairs without which it is not certain that it is the node.
    """
    (node,) = unit.members
    cells = cells_of(picture, [node], unit.direction)
    partners = int(np.count_nonzero(picture.seen[node]))
    told = f"{names(picture.matrix, [node])} {verbs(unit.direction)} {measured(picture, cells)}"
    evidence = f"{told}, median over {partners} partner{'s' if partners > 1 else ''}"
    if missing:
        evidence += "; whether it is the node or its partners, another one would tell"
    elif unit.unmet:
        evidence += "; whether it is alone or in a group with others that are as slow, their pair would tell"
    return Finding(
        "node",
        _hosts(picture, [node]),
        unit.direction,
        fraction(unit.drop),
        evidence,
        next_pairs=_named(picture, missing or unit.unmet),
    )


def hidden_finding(picture: Picture, hidden: Unit, group: Unit) -> Finding:
    """Tell of a node that is slow inside a group that is slow across."""
    cells = cells_of(picture, hidden.members, hidden.direction) & _within(picture, group.members)
    told = f"{names(picture.matrix, hidden.members)} {verbs(hidden.direction)} {measured(picture, cells)}"
    evidence = f"{told}, with the others of its group too"
    return Finding("node", _hosts(picture, hidden.members), hidden.direction, fraction(hidden.drop), evidence)


def group_finding(picture: Picture, unit: Unit) -> Finding:
    """Tell of nodes that are fine with each other and slow with the rest."""
    members = sorted(unit.members)
    inside = _within(picture, members)
    across = cells_of(picture, members, unit.direction) & ~inside
    rest = len(picture.matrix.nodes) - len(members)
    evidence = (
        f"{names(picture.matrix, members)}: {_across(unit.direction)} the other {rest} nodes "
        f"{measured(picture, across)}; among themselves {measured(picture, inside)}"
    )
    return Finding(
        "group",
        _hosts(picture, members),
        unit.direction,
        fraction(unit.drop),
        evidence,
        "across",
        _named(picture, unit.unmet),
    )


def set_finding(picture: Picture, found: SlowSet) -> Finding:
    """Tell of many slow pairs that are one: inside a set, or between two sets."""
    members = list(found.members)
    if found.where == "inside":
        told = f"among themselves {measured(picture, _within(picture, members))}"
    else:
        cells = cells_of(picture, members, found.direction) & _between(picture, members, found.others)
        others = names(picture.matrix, found.others)
        told = f"{_across(found.direction)} {others} {measured(picture, cells)}"
    evidence = f"{names(picture.matrix, members)}: {told}"
    if len(members) + len(found.others) < len(picture.matrix.nodes):
        evidence += "; with the other nodes they are fine"
    return Finding(
        "group",
        _hosts(picture, members),
        found.direction,
        fraction(found.drop),
        evidence,
        found.where,
    )


def link_finding(
    picture: Picture, pair: SlowPair, open_: Sequence[int], next_pairs: Sequence[Pair]
) -> Finding:
    """Tell of a slow pair: a bad link, or one of its ends where the good ends are not known."""
    one, other = pair.ends
    cells = link_cells(pair.ends, pair.direction)
    told = f"{arrow(picture.matrix, one, other, pair.direction)} gives {measured(picture, cells)}"
    if not next_pairs:
        evidence = f"{told}; {_both_fine(picture)}"
    else:
        clear = " or ".join(picture.matrix.nodes[end] for end in open_)
        evidence = f"{told}; whether it is {clear} or the link between them, other partners would tell"
    # A pair that is slow both ways, of which neither end is proven fine, is first of all two nodes.
    as_nodes = len(open_) == 2 and pair.direction == "both" and bool(next_pairs)
    return Finding(
        "node" if as_nodes else "link",
        _hosts(picture, pair.ends),
        pair.direction,
        fraction(pair.drop),
        evidence,
        next_pairs=_named(picture, next_pairs),
    )


def swinging_node(picture: Picture, swings: Swings, node: int, direction: Direction) -> Finding:
    """Tell of a node whose measurements swing, whatever their medians are."""
    cells = cells_of(picture, [node], direction)
    told = f"{names(picture.matrix, [node])}: its measurements {swing_of(picture, swings, cells)}"
    return Finding(
        "node", _hosts(picture, [node]), direction, _mean_share(picture, cells), told, stability="swinging"
    )


def swinging_link(
    picture: Picture, swings: Swings, pair: Pair, direction: Direction, next_pairs: Sequence[Pair]
) -> Finding:
    """Tell of a pair whose measurements swing.

    Parameters: ``next_pairs`` are pairs of its ends whose further visits would tell whether it is an end.
    """
    cells = link_cells(pair, direction)
    swing = swing_of(picture, swings, cells)
    told = f"{arrow(picture.matrix, *pair, direction)}: its measurements {swing}{_open(next_pairs)}"
    return Finding(
        "link",
        _hosts(picture, pair),
        direction,
        _mean_share(picture, cells),
        told,
        next_pairs=_named(picture, next_pairs),
        stability="swinging",
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
    return Finding("node", _hosts(picture, [node]), direction, _mean_share(picture, cells), told)


def lossy_link(picture: Picture, losses: Losses, pair: Pair, direction: Direction) -> Finding:
    """Tell of a pair that loses packets, of which neither end does with others."""
    cells = link_cells(pair, direction)
    lost = f"{percent(share_of(losses, cells))} of what was sent had to be sent again"
    told = f"{arrow(picture.matrix, *pair, direction)}: {lost}; {_others_lose(picture, losses)}"
    return Finding("link", _hosts(picture, pair), direction, _mean_share(picture, cells), told)


def loss_of(picture: Picture, losses: Losses, cells: Flags, direction: Direction) -> str:
    """Say how much of what a node sends, or is sent, had to be sent again, beside the others'."""
    told = {"out": "what it sent", "in": "what it was sent", "both": "what it sent and was sent"}[direction]
    lost = f"{percent(share_of(losses, cells))} of {told} had to be sent again"
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
    name = picture.matrix.nodes[node]
    evidence = f"{name} has no measurement with any other node"
    return Finding("node", (name,), "both", None, evidence, next_pairs=_named(picture, next_pairs))


def fraction(drop: float) -> float:
    """Give measured over expected for a logarithm, 0 for dead."""
    return 0.0 if drop <= DEAD / 2 else round(math.exp(drop), 4)


def _both_fine(picture: Picture) -> str:
    return (
        "there is no third node to compare with"
        if len(picture.matrix.nodes) == 2
        else ("both ends are fine with others")
    )


def _across(direction: Direction) -> str:
    return {"out": "to", "in": "from", "both": "to and from"}[direction]


def _hosts(picture: Picture, members: Iterable[int]) -> tuple[str, ...]:
    return tuple(picture.matrix.nodes[node] for node in members)


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
