"""Which pairs to measure, and in which order: whole tournaments, few rounds of them, and what is left open.

A round is a set of pairs without a node in common, so that all of it runs at once.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import combinations

import numpy as np

from ..pair_matrix import Finding, Flags, Inference, Pair, PairMatrix, Rates, row_middles
from .infer import infer
from .losses import find_losses
from .picture import ENOUGH_RATIOS, Picture, draw, lacks_reference, with_one_way
from .swings import held_up, held_up_for_a_moment, held_up_more_than_once

Round = tuple[Pair, ...]

# So many partners, or such a share of all, clear a good node although some of them are bad.
_FEW_PARTNERS = 6
_FEW_SHARE = 8
# Where the others are met too, fewer tell a node's direction.
_ADAPTIVE_PARTNERS = 4
_ADAPTIVE_SHARE = 16
# A pair is looked at again once or twice by what is suspected, and so often at most where it was held up
# more than once: one that comes and goes is bad in half of its visits then, whichever they are.
_LOOKS_A_SUSPECT = 2
MOST_LOOKS = 4
_LOOKS_A_GROUP = 3
# A slow node is held against the pairs of all others. So few of them may have read too high together.
_FEW_REFERENCES = 3
_LOOKS_A_SWING = 6
# Pairs of a node that were held up, until its others are looked at.
_LEAST_HELD = 2
# A pair that keeps more than this may be what one visit of many samples found by chance.
_MILD = 0.6
# A pair to compare with is as fast as its tier, within this (logarithm).
_NEAR = 0.1
_LONELY = 0.7


def rounds(nodes: int) -> tuple[Round, ...]:
    """Plan a tournament in which every pair meets once.

    Returns: n-1 rounds of n/2 pairs for an even number of nodes; n rounds for an odd one, in
    each of which another node has a bye. A pair names the lower index first.
    Source: the circle method of round-robin tournaments.
    """
    return tuple(_round(nodes, index) for index in range(_count(nodes)))


def few_rounds(nodes: int, partners: int | None = None) -> tuple[Round, ...]:
    """Choose few rounds of the tournament, far apart, so that each node meets several partners.

    Neighbouring rounds pair a node with neighbours, which often share a switch.
    """
    count = _count(nodes)
    wanted = max(_FEW_PARTNERS, nodes // _FEW_SHARE) if partners is None else partners
    chosen = min(count, wanted + nodes % 2)
    return tuple(_round(nodes, index * count // chosen) for index in range(chosen))


def adaptive_rounds(nodes: int) -> tuple[tuple[Round, ...], tuple[Round, ...]]:
    """Split a tournament into the few rounds to be measured in full, and all the others.

    The others are measured with both directions at once only, a third of the measurements,
    which shows every slow pair; the first tell of every node in which direction it is slow.
    """
    few = few_rounds(nodes, max(_ADAPTIVE_PARTNERS, nodes // _ADAPTIVE_SHARE))
    return few, tuple(each for each in rounds(nodes) if each not in set(few))


def second_looks(matrix: PairMatrix, inference: Inference, looked: Mapping[Pair, int]) -> Round:
    """Choose the pairs to measure once more, each direction by itself, before somebody is blamed.

    Parameters: how often each pair was looked at once more, as far as it was.
    Returns: slow links, with a few pairs beside them of the same tier, where little is known of what
    single directions give there; a few pairs of each group of which they are not known; of a link that
    swings, other pairs of its ends, one of which may come and go; of a node that does, pairs
    whose single directions are not known; nothing for what is dead, which no noise looks like. The same for
    nodes and pairs that were held up, also for a moment, and that nobody is blamed for, yet. Of a node that
    loses packets more is known than further visits would tell. A pair that was held up, or is slow in one
    direction alone or by little, is looked at twice: it may come and go, and be sound half of the time. So
    are the few pairs that a node of three or four is held against.
    """
    at = {name: index for index, name in enumerate(matrix.nodes)}
    one_way = matrix.bandwidth_gb_s if matrix.one_way_gb_s is None else matrix.one_way_gb_s
    both = draw(replace(matrix, one_way_gb_s=None))
    lossy = find_losses(both).nodes
    looks: list[Pair] = []
    twice: set[Pair] = set()
    bad = {at[host] for finding in inference.findings if finding.kind != "link" for host in finding.hosts}
    for finding in inference.findings:
        hosts = [at[host] for host in finding.hosts]
        if finding.kind == "node" and hosts[0] in lossy:
            continue
        if finding.stability == "swinging":
            looks += _of_swinging(hosts, matrix, one_way)
        if not finding.fraction_of_expected or finding.next_pairs:
            continue
        if finding.kind == "link":
            pair = (min(hosts), max(hosts))
            looks += [pair, *_of_tier((hosts[0], hosts[1]), both, matrix.one_way_gb_s)]
            twice |= {pair} if finding.direction != "both" or finding.fraction_of_expected > _MILD else set()
        elif finding.kind == "node" and len(finding.hosts) == 1:
            references = _few_references(len(matrix.nodes), bad)
            looks += references
            twice |= set(references)
        elif finding.kind == "group":
            looks += _of_group(hosts, finding.where == "inside", one_way)
    picture = both
    if matrix.one_way_gb_s is not None:
        picture = replace(with_one_way(both, matrix.one_way_gb_s), matrix=matrix)
    held, beside = _of_held_up(picture, bad, one_way, looked)
    held += [(0, 1)] if lacks_reference(matrix) else []
    looks += [*beside, *held]
    twice |= set(held)
    looks = looks or list(_lonely(matrix, bad) if inference.verdict != "ok" else ())
    steady = {
        tuple(sorted(at[host] for host in each.hosts))
        for each in inference.findings
        if each.kind == "link" and each.stability == "steady" and _is_plain(each, at, both)
    }
    longest = _to_look_at_longest(picture, set(held) - steady)
    return tuple(
        pair
        for pair in dict.fromkeys(looks)
        if looked.get(pair, 0) < (MOST_LOOKS if pair in longest else _LOOKS_A_SUSPECT if pair in twice else 1)
    )


def _is_plain(link: Finding, at: Mapping[str, int], both: Picture) -> bool:
    """Tell whether the other direction of a slow link is sound beside it, or as slow by itself.

    One that lacks much beside it only, may be held up by it, or may have come back when it went by itself.
    """
    sender, receiver = (at[host] for host in link.hosts[:2])
    return link.direction == "both" or not held_up(both)[receiver, sender]


def _to_look_at_longest(picture: Picture, held: set[Pair]) -> set[Pair]:
    """Choose the pairs that were held up more than once, and the one that two nodes have."""
    if len(picture.matrix.nodes) == 2:
        return {(0, 1)}
    again = held_up(picture) | held_up_more_than_once(picture)
    return {pair for pair in held if again[pair] or again[pair[::-1]]}


def _lonely(matrix: PairMatrix, bad: set[int]) -> Round:
    """Choose the few pairs that are far slower than what either end usually gives.

    A handful of disturbed measurements can look like a tier, so that nothing is concluded. Of the pairs
    of nodes that are bad that is no surprise.
    """
    rates = np.fmax(matrix.bandwidth_gb_s, matrix.bandwidth_gb_s.T)
    usual = row_middles(rates)
    with np.errstate(invalid="ignore"):
        slow = np.triu((rates > 0) & (rates < _LONELY * np.minimum(usual[:, None], usual[None, :])), 1)
    slow[list(bad), :] = slow[:, list(bad)] = False
    pairs = [(one, other) for one, other in np.argwhere(slow).tolist()]
    return tuple(pairs) if len(pairs) <= len(matrix.nodes) // 2 else ()


def _of_tier(pair: Pair, both: Picture, one_way: Rates | None) -> list[Pair]:
    """Choose pairs to compare a slow one with, unless there are enough in its tier."""
    if one_way is None:
        return []
    tier = both.expected == both.expected[pair]
    if int(np.count_nonzero(tier & ~np.isnan(one_way))) >= ENOUGH_RATIOS:
        return []
    fine = np.triu(tier & (np.abs(both.residuals) < _NEAR) & np.isnan(one_way), 1)
    return list(_disjoint([(one, other) for one, other in np.argwhere(fine).tolist()]))[:ENOUGH_RATIOS]


def _of_swinging(hosts: Sequence[int], matrix: PairMatrix, one_way: Rates) -> list[Pair]:
    """Choose the pairs whose further visits tell who comes and goes, and in which direction.

    Returns: a link first, then other pairs of its ends; a node's pairs with unknown directions.
    """
    looks: list[Pair] = [] if len(hosts) == 1 else [(min(hosts), max(hosts))]
    for node in hosts:
        seen = ~np.isnan(matrix.bandwidth_gb_s[node]) & ~np.isnan(matrix.bandwidth_gb_s[:, node])
        unknown = seen & np.isnan(one_way[node])
        others = np.flatnonzero(unknown if len(hosts) == 1 else seen)
        others = others[~np.isin(others, hosts)]
        chosen = others[:: max(1, len(others) // _LOOKS_A_SWING)][:_LOOKS_A_SWING]
        looks += [(min(node, int(other)), max(node, int(other))) for other in chosen]
    return looks


def _of_held_up(
    picture: Picture, bad: set[int], one_way: Rates, looked: Mapping[Pair, int]
) -> tuple[list[Pair], list[Pair]]:
    """Choose the pairs that were held up, and if an end has several of them, its other pairs.

    Pairs that were held up for a moment are chosen where they are few: many are the fabric's noise. Where
    most of a pair's time is still lost after another look, either end may be what comes and goes.
    """

    def pairs_of(cells: Flags) -> Flags:
        pairs = np.triu(cells | cells.T, 1)
        pairs[list(bad), :] = pairs[:, list(bad)] = False
        return pairs

    held, moments = pairs_of(held_up(picture)), pairs_of(held_up_for_a_moment(picture))
    lost = [(one, other) for one, other in np.argwhere(held).tolist() if looked.get((one, other))]
    if np.count_nonzero(held | moments) <= len(picture.matrix.nodes) // 2:
        held |= moments
    counts = (held | held.T).sum(axis=1)
    beside = [each for pair in lost for each in _of_swinging(pair, picture.matrix, one_way)]
    for node in np.argsort(counts, kind="stable")[np.count_nonzero(counts < _LEAST_HELD) :]:
        beside += _of_swinging([int(node)], picture.matrix, one_way)
    return [(one, other) for one, other in np.argwhere(held).tolist()], beside


def _few_references(nodes: int, bad: set[int]) -> list[Pair]:
    """Give the pairs of the nodes that are not bad, where they are so few that they may all be wrong."""
    pairs = list(combinations([node for node in range(nodes) if node not in bad], 2))
    return pairs if len(pairs) <= _FEW_REFERENCES else []


def _of_group(members: Sequence[int], inside: bool, one_way: Rates) -> list[Pair]:
    """Choose pairs of a group so that single directions of a few are known."""
    others = members if inside else [node for node in range(len(one_way)) if node not in members]
    pairs = [(min(one, other), max(one, other)) for one in members for other in others if one != other]
    known = [pair for pair in pairs if not np.isnan(one_way[pair])]
    wanted = max(0, _LOOKS_A_GROUP - len(known))
    return list(_disjoint([pair for pair in pairs if np.isnan(one_way[pair])]))[:wanted]


def next_round(matrix: PairMatrix, inference: Inference | None = None) -> Round:
    """Choose the pairs whose results would settle what a matrix leaves open.

    Parameters: what was measured so far, and what follows from it where that is known.
    Returns: unmeasured pairs without a node in common: those that findings ask for, then those
    inside a group; empty where nothing is open that a pair could settle. Calling it again after
    each round comes to an end.
    """
    found = infer(matrix) if inference is None else inference
    at = {name: index for index, name in enumerate(matrix.nodes)}
    wanted = [(at[one], at[other]) for finding in found.findings for one, other in finding.next_pairs]
    if not wanted and found.verdict == "inconclusive":
        return _widest_gap(matrix)
    return _disjoint(_unmeasured(matrix, wanted or _inside_groups(found, at)))


def _inside_groups(found: Inference, at: dict[str, int]) -> list[Pair]:
    """Give all pairs among the nodes that are bad, where one finding is a group.

    Who belongs to a group, and which of its nodes is slow by itself, shows inside it alone.
    """
    if not any(finding.kind == "group" for finding in found.findings):
        return []
    bad = {at[host] for finding in found.findings if finding.kind != "link" for host in finding.hosts}
    return list(combinations(sorted(bad), 2)) if len(bad) * 2 < len(at) else []


def _count(nodes: int) -> int:
    return 0 if nodes < 2 else nodes - 1 + nodes % 2


def _round(nodes: int, index: int) -> Round:
    """Pair the nodes of one round: one stays, the others turn around a circle."""
    seats = nodes + nodes % 2
    turning = seats - 1
    pairs = [(index, turning)]
    pairs += [((index + step) % turning, (index - step) % turning) for step in range(1, seats // 2)]
    # With an odd number the last seat is empty: who sits opposite has a bye.
    return tuple(sorted((min(pair), max(pair)) for pair in pairs if max(pair) < nodes))


def _unmeasured(matrix: PairMatrix, pairs: Iterable[Pair]) -> list[Pair]:
    rates = matrix.bandwidth_gb_s
    return [pair for pair in dict.fromkeys(pairs) if np.isnan(rates[pair]) or np.isnan(rates[pair[::-1]])]


def _disjoint(pairs: Sequence[Pair]) -> Round:
    busy: set[int] = set()
    chosen = []
    for pair in pairs:
        if not busy & set(pair):
            busy |= set(pair)
            chosen.append(pair)
    return tuple(sorted(chosen))


def _widest_gap(matrix: PairMatrix) -> Round:
    """Give the tournament's round of which most is not measured yet."""
    left = [_disjoint(_unmeasured(matrix, each)) for each in rounds(len(matrix.nodes))]
    return max(left, key=len, default=())
