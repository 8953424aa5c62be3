"""Nodes and links whose single measurements swing: far more than those of the fleet do.

Two things tell a swing. Samples of one visit differ, where a link comes and goes within it; and a
node's pairs disagree with one another, or with what they gave before, where it comes and goes
more slowly: some visits find it sound and some a tenth of that. Both are looked at for each direction.
What all pairs alike do is the fabric's noise, and no one's fault.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from ..pair_matrix import LOW_SHARE, Cells, Direction, Flags, Pair, Rates, Samples, row_middles
from .levels import scale
from .links import SlowPair, slow_cells
from .noise import loss
from .picture import DEAD, Picture
from .suspects import direction_of, find_suspects

Counts: TypeAlias = NDArray[np.int64]

# Of two samples little can be said.
_LEAST_SAMPLES = 3
# More than so many say no more, whatever a file claims.
_ENOUGH_SAMPLES = 1000
# A direction is held up that lacks as much as a single slow measurement must lose.
_LOW = 0.35
# One that lacks as much as this was held up by more than processors that are busy for a moment.
_LACKS_MOST = 0.5
# A node whose cells all swing: by this much on the middle, and so many times the fleet's usual.
_NODE_SWING = 0.1
_NODE_RATIO = math.log(2.5)
_NODE_SPREADS = 6.0 * 1.25
# A node that comes and goes is found bad by a part of its visits: at least this share of its partners,
_ODD_SHARE = 0.25
# and two of them, or three where each of its pairs is as it is without a change within its visits.
_LEAST_ODD, _LEAST_STEADY = 2, 3
# Chance must have it less often than this in a whole matrix, so that nobody is blamed in a thousand clean
# ones. Where no other pair is odd, this share is supposed to be.
_BY_CHANCE = 0.0001
_SUPPOSED_ODD = 0.002
# The same for pairs that were held up for most of their time.
_SUPPOSED_HELD_UP = 0.005
# What stands still for no longer in all may have been the processors.
_MOMENT_S = 1.0
# A median is slow by chance where so many low samples are expected in some cell of a matrix.
_BY_CHANCE_SLOW = 0.01
# One low sample in a pair's visits is nothing yet.
_LEAST_LOW = 2
_NEGLIGIBLE = 1e-9
# So many single directions of a node that comes and goes tell something, where all of them are sound and
# are that by chance less often than this.
_ENOUGH_ONE_WAY = 7
_ALL_SOUND_BY_CHANCE = 0.01
# A direction that gives as much of the expected now and then comes and goes, and is not slow for good.
_SOUND = 0.85
_MOST_NODES_SHARE = 1 / 3
_USUAL = 0.95
# Of the visits to an end that comes and goes, this share finds it sound; by chance all do, up to here.
_SOUND_BY_CHANCE = 0.4
_MOST_CHANCE = 0.1
# A link map's visit gives 3 to 9 samples.
_SAMPLES_A_VISIT = 6
# The mean range of so many samples, in standard deviations, from two on (statistical tables' d2).
_RANGES = (1.128, 1.693, 2.059, 2.326, 2.534, 2.704, 2.847, 2.970, 3.078)


@dataclass(frozen=True, eq=False)
class Swings:
    """What swings in a matrix.

    ``nodes`` has each node that swings, with its direction, and ``now_and_then`` those of them that some
    visits found sound and others not. ``low`` is how many of a cell's samples are far below its best,
    at least, and ``low_by_itself`` how many of those were taken while the other direction was idle; ``links``
    are the cells that are beyond chance among those that no node answers for, and ``stalls`` those that
    are not, for such samples are about in the whole fleet;
    ``range_`` is how far each cell's worst sample is below its best or the expected, whichever is less
    (logarithm), and ``usual`` what most of the fleet's are below; of the ``known`` cells ``odd`` have
    low samples.
    """

    nodes: Mapping[int, Direction]
    now_and_then: frozenset[int]
    low: Counts
    low_by_itself: Counts
    links: Flags
    stalls: Flags
    range_: Rates
    usual: float
    odd: int = 0
    known: int = 0

    def are_in(self, cells: Cells) -> bool:
        """Tell whether cells swing more often than the others of the fleet."""
        low = self.low[cells]
        odd, known = int(np.count_nonzero(low)), int(np.count_nonzero(~np.isnan(self.range_[cells])))
        return odd > 0 and _tail(odd, known, _share(self.odd - odd, self.known - known)) < _BY_CHANCE


def find_swings(picture: Picture, explained: Flags, in_group: Flags) -> Swings:
    """Find the nodes and the single directions that swing.

    Parameters: ``explained`` are the cells that slow nodes and groups answer for; ``in_group`` the
    nodes of groups, which swing together if they do.
    Returns: nothing for a matrix without samples.
    """
    size = len(picture.matrix.nodes)
    samples = picture.matrix.samples
    nothing = np.zeros((size, size), dtype=bool)
    if samples is None:
        none = nothing.astype(np.int64)
        unknown = np.full((size, size), np.nan)
        return Swings({}, frozenset(), none, none, nothing, nothing, unknown, 0.0)
    samples = replace(samples, count=np.minimum(samples.count, _ENOUGH_SAMPLES))
    noise = picture.noise.fitted(loss(np.where(explained, np.nan, picture.residuals)))
    series = [_below_best(each, noise.cell_loss) for each in _series(picture)]
    range_ = series[0].range_
    spread = range_ / np.array([1.0, 1.0, *_RANGES])[np.minimum(series[0].count, len(_RANGES) + 1)]
    for each in series[1:]:
        range_ = np.fmax(range_, each.range_)
    count, low = (np.sum([getattr(each, name) for each in series], axis=0) for name in ("count", "low"))
    steady = range_[~np.isnan(range_) & (low == 0)]
    usual = float(np.quantile(steady, _USUAL)) if steady.size else 0.0
    now_and_then = _now_and_then(picture, samples, series[0].low, explained, in_group)
    nodes = {**_all_over(spread, range_, in_group), **now_and_then}
    covered = explained.copy()
    covered[list(nodes), :] = covered[:, list(nodes)] = True
    links, stalls = _beyond_chance(low, count, covered | np.isnan(range_))
    odd, known = int(np.count_nonzero(low)), int(np.count_nonzero(~np.isnan(range_)))
    return Swings(
        nodes, frozenset(now_and_then), low, series[-1].low, links, stalls, range_, usual, odd, known
    )


@dataclass(frozen=True, eq=False)
class _Series:
    """The samples of one way of measuring, the rates that they gave, and what they should (logarithm)."""

    samples: Samples
    rates: Rates
    usual: Rates


def _series(picture: Picture) -> tuple[_Series, ...]:
    """Give the samples of what the matrix is made of, and of single directions where these are others."""
    matrix, found = picture.matrix, []
    if matrix.samples is not None:
        found.append(_Series(matrix.samples, matrix.bandwidth_gb_s, picture.usual))
    if matrix.one_way_samples is not None and matrix.one_way_gb_s is not None:
        usual = picture.usual
        if (known := picture.one_way_usual) is not None:
            usual = np.where(np.isnan(known), usual, known)
        found.append(_Series(matrix.one_way_samples, matrix.one_way_gb_s, usual))
    return tuple(found)


@dataclass(frozen=True, eq=False)
class _Below:
    """How far each cell's worst sample is below its best, how many are far below, at least, of how many."""

    range_: Rates
    low: Counts
    count: Counts


def _below_best(series: _Series, low_loss: float) -> _Below:
    """Hold each cell's samples against its best one.

    What is above the expected counts as that: samples that are too fast are no fault, and no sign of one.
    A sample is low that loses ``low_loss``, as much as a slow median must: the samples of one visit are not
    independent of each other, so that all of them may be as low as a median is by chance.
    """
    samples, usual = series.samples, series.usual
    count = np.minimum(samples.count, _ENOUGH_SAMPLES)
    with np.errstate(invalid="ignore", divide="ignore"):
        best = np.minimum(np.log(samples.max_gb_s), usual)
        worst = np.minimum(np.maximum(np.log(samples.min_gb_s), DEAD / 2), usual)
        below = np.maximum(best - worst, 0.0)
        floor = (1 - low_loss) * np.exp(best)
        quartiles = (samples.min_gb_s, samples.q1_gb_s, samples.median_gb_s, samples.q3_gb_s)
        # Quartile k lies between two samples, of which the lower one and all before it are low.
        each = [
            np.where(figure < floor, (k * np.maximum(count - 1, 0)) // 4 + 1, 0)
            for k, figure in enumerate(quartiles)
        ]
        counted = np.minimum(samples.low, count)
        each.append(np.where(LOW_SHARE * samples.q3_gb_s <= floor, counted, 0))
        enough = (count >= _LEAST_SAMPLES) & (series.rates > 0)
    range_ = np.where(enough, below, np.nan)
    unknown = np.isnan(range_)
    return _Below(
        range_,
        np.where(unknown, 0, np.max(each, axis=0)).astype(np.int64),
        np.where(unknown, 0, count),
    )


def _beyond_chance(low: Counts, count: Counts, covered: Flags) -> tuple[Flags, Flags]:
    """Find the cells that have more low samples than chance gives any cell, by the rate of all others.

    A pair that is low in both directions at once is less likely by chance than either alone.

    Returns: those, and the cells with low samples that are so by chance.
    """
    known = ~covered & (count > 0)
    cells = np.count_nonzero(known)
    lows, counts = np.where(known, low, 0), np.where(known, count, 0)
    ones, others = np.nonzero(np.triu((lows > 0) | (lows > 0).T, 1))
    ends = np.stack([ones, others]), np.stack([others, ones])
    odd, of = lows[ends], counts[ends]
    # What is usual is what all other pairs give.
    left = int(lows.sum()) - odd.sum(axis=0), int(counts.sum()) - of.sum(axis=0)
    share = _shares(_at_most(left[0]), left[1])
    chances = np.where(odd > 0, tails(odd, of, np.broadcast_to(share, odd.shape)), 1.0)
    found, stalls = np.zeros_like(covered), np.zeros_like(covered)
    beyond = _of_both(chances[0] * chances[1]) * cells < _BY_CHANCE
    found[ends] = beyond & (chances < math.sqrt(_BY_CHANCE))
    stalls[ends] = (odd > 0) & (chances * cells >= _BY_CHANCE_SLOW)
    return found, stalls


def _of_both(product: Rates) -> Rates:
    """Give how often two chances have such a product, or a smaller one, which is more than it itself.

    Source: Fisher's method of combining tests, for two of them.
    """
    least = np.maximum(product, np.finfo(np.float64).tiny)
    return np.asarray(least * (1 - np.log(least)))


def _shares(odd: Counts | Rates, of: Counts) -> Rates:
    """Estimate how often a sample is low by chance, from how many of the others are."""
    return np.minimum((odd + 0.5) / (of + 1), 0.5)


def _at_most(low: Counts) -> Rates:
    """Give how many low samples would be expected of the others where they have so few by chance.

    What is suspected was chosen since it has more than they, and was looked at until it had. So the most is
    taken that leaves as few as they have in one of a hundred fabrics (Poisson); where they have none, the
    fabric is quiet.
    """
    return np.asarray(np.where(low > 0, low + 2.3 * np.sqrt(low) + 2.0, 0.0))


def _share(odd: int, of: int) -> float:
    """Estimate how often a pair or a direction is odd by chance; of few, that have none, it is supposed."""
    share = float(_shares(np.array(odd), np.array(of)))
    return share if odd else min(_SUPPOSED_ODD, share)


def _tail(count: int, of: int, share: float) -> float:
    return float(tails(np.array([count]), np.array([of]), np.array([share]))[0])


def tails(count: Counts, of: Counts, share: Rates) -> Rates:
    """Give how often at least so many of them are odd by chance (binomial); 1 where it is no surprise."""
    if not count.size:
        return np.zeros(count.shape)
    factorials = np.concatenate([[0.0], np.cumsum(np.log(np.arange(1, int(of.max()) + 1)))])
    share = np.minimum(share, 1 - _NEGLIGIBLE)
    ways = factorials[of] - factorials[count] - factorials[of - count]
    term = np.exp(ways + count * np.log(share) + (of - count) * np.log1p(-share))
    odds, total, times = share / (1 - share), np.zeros(count.shape), count.copy()
    while np.any(term > total * _NEGLIGIBLE):
        total += term
        term = term * odds * np.maximum(of - times, 0) / (times + 1)
        times += 1
    return np.where(count <= of * share, 1.0, total)


def _all_over(spread: Rates, range_: Rates, in_group: Flags) -> dict[int, Direction]:
    """Find the nodes of which most cells swing more than the fleet's."""
    with np.errstate(divide="ignore"):
        logs = np.log(np.maximum(spread, 1e-4))
    known = logs[~np.isnan(logs)]
    if not known.size:
        return {}
    steadiness, width = float(np.median(known)) - logs, _NODE_SPREADS * scale(known)
    suspects = find_suspects(
        steadiness, lambda partners: -max(_NODE_RATIO, width / math.sqrt(max(1, partners)))
    )
    far = (steadiness < -_NODE_RATIO) & (range_ > _NODE_SWING)
    sends = suspects.out & (row_middles(range_) > _NODE_SWING) & _more_than_others(far, logs)
    receives = suspects.in_ & (row_middles(range_.T) > _NODE_SWING) & _more_than_others(far.T, logs.T)
    found = (sends | receives) & ~in_group
    if np.count_nonzero(found) > _MOST_NODES_SHARE * found.size:
        return {}
    return {
        int(node): direction_of(bool(sends[node]), bool(receives[node])) for node in np.flatnonzero(found)
    }


def _more_than_others(far: Flags, logs: Rates) -> Flags:
    """Find the rows of which more cells are far off than chance gives, by how many of all others are.

    Where single measurements stall everywhere, most cells of one node do now and then.
    """
    count, known = (np.count_nonzero(cells, axis=1) for cells in (far, ~np.isnan(logs)))
    shares = _shares(count.sum() - count, known.sum() - known)
    return np.asarray(tails(count, known, shares) * 2 * len(far) < _BY_CHANCE)


def _now_and_then(
    picture: Picture, samples: Samples, low: Counts, explained: Flags, in_group: Flags
) -> dict[int, Direction]:
    """Find the nodes of which some visits went well and others did not, far more than chance has it.

    A pair is odd where it is slow, or swings. A node is named before its links where it has so many
    odd pairs as chance would not give it, when each pair is odd as often as those of the other
    nodes; the worst node first, whose pairs then say nothing of its partners. Where single samples stall
    everywhere, for the nodes' processors are busy, too many pairs are odd to tell; pairs whose visits
    were held up for most of their time, which a moment's stall does not do, are counted by themselves.
    """
    slow = slow_cells(picture.residuals, explained, picture.noise)
    swinging = (low > 0) & (low + low.T >= _LEAST_LOW)
    odd = slow | (swinging & ~explained)
    # What is never sound does not come and go: a lossy direction is slow, however far its samples differ.
    with np.errstate(invalid="ignore"):
        comes_and_goes = swinging & (samples.max_gb_s >= _SOUND * np.exp(picture.usual))
    moving = comes_and_goes | comes_and_goes.T
    held = held_up(picture, explained, steady=explained & ~moving)
    left = picture.seen & ~in_group[:, None] & ~in_group[None, :]
    one_way = picture.matrix.one_way_gb_s
    one_way_odd = odd if one_way is None else slow | _lacks(one_way, picture)
    found: dict[int, Direction] = {}
    for cells, of_samples in ((odd, True), (held, False)):
        while True:
            here = (cells | cells.T) & left
            counts = here.sum(axis=1)
            node = int(np.argmax(counts))
            partners = int(np.count_nonzero(left[node]))
            count = int(counts[node])
            least = _LEAST_ODD if (moving & left)[node].any() else _LEAST_STEADY
            is_enough = count >= max(least, _ODD_SHARE * partners)
            others = left.copy()
            others[node, :] = others[:, node] = False
            beside = int(np.count_nonzero(here & others)) // 2, int(np.count_nonzero(others)) // 2
            if of_samples:
                own = left[node] & ~np.isnan(picture.residuals[node])
                usual = (
                    float((samples.count[node] + samples.count[:, node])[own].mean()) if own.any() else 0.0
                )
                share = max(_share(*beside), _of_samples(low, samples, others & ~explained, usual))
            else:
                share = float(_shares(*map(np.array, beside)))
                share = share if beside[0] else min(_SUPPOSED_HELD_UP, share)
            by_chance = _tail(count, partners, share) * len(counts)
            if not is_enough or by_chance > _BY_CHANCE:
                break
            found[node] = _odd_direction(node, one_way_odd, held, picture)
            left[node, :] = left[:, node] = False
    return found


def held_up(picture: Picture, explained: Flags | None = None, steady: Flags | None = None) -> Flags:
    """Find the directions that lack much of what they should give in any of the ways they were measured.

    Parameters: ``explained`` are the directions that are known to be slow, which are left out; of these,
    ``steady`` are always slow. Where one is, the opposite one may lack something beside it, and counts by
    what it gives by itself alone. What comes and goes may have been away while the other went by itself.
    """
    nothing = np.zeros_like(picture.seen)
    known = nothing if explained is None else explained
    beside = nothing if steady is None else steady.T
    one_way = picture.matrix.one_way_gb_s
    lacking = _lacks(picture.matrix.bandwidth_gb_s, picture)
    if one_way is None:
        return lacking & ~known
    return ((lacking & ~beside) | _lacks(one_way, picture)) & ~known


def held_up_for_a_moment(picture: Picture) -> Flags:
    """Find the directions of which a single measurement lacks most, whatever their medians are.

    What busy processors hold up for a moment lacks less.
    """
    found = np.zeros_like(picture.seen)
    for series in _series(picture):
        with np.errstate(invalid="ignore"):
            lacks = series.samples.min_gb_s < (1 - _LACKS_MOST) * np.exp(series.usual)
        found |= lacks & (_below_best(series, picture.noise.cell_loss).low > 0)
    return found


def held_up_more_than_once(picture: Picture) -> Flags:
    """Find the pairs of which several measurements are far below the best, as one direction or both tell."""
    low = np.zeros(picture.seen.shape, dtype=np.int64)
    for series in _series(picture):
        low += _below_best(series, picture.noise.cell_loss).low
    return np.asarray(low + low.T >= _LEAST_LOW)


def _lacks(rates: Rates, picture: Picture) -> Flags:
    with np.errstate(invalid="ignore"):
        return np.asarray(rates < (1 - _LOW) * np.exp(picture.usual))


def _of_samples(low: Counts, samples: Samples, cells: Flags, own: float) -> float:
    """Estimate how many pairs would have as many low samples as count, from all single samples of cells.

    Parameters: how many samples each pair of the node has that is suspected, on the mean. Pairs that were
    looked at again have more than others, and so more low ones by chance.
    """
    count = samples.count[cells]
    usual = max(int(2 * np.median(count)) if count.size else 0, round(own))
    if usual < _LEAST_LOW:
        return _SUPPOSED_ODD
    low_total, total = int(low[cells].sum()), int(count.sum())
    return _tail(_LEAST_LOW, usual, float(_shares(_at_most(np.array(low_total)), np.array(total))))


def _odd_direction(node: int, odd: Flags, held: Flags, picture: Picture) -> Direction:
    """Say in which direction a node comes and goes: in one alone only where the other is sound throughout.

    It must be so in more visits than chance would have it, if it came and went as often as the first. And
    since directions by themselves are visited one after the other, and a visit that finds a link gone takes
    longer, they may keep time with what comes and goes: it must have been sound beside the first one, too.
    """
    one_way = picture.matrix.one_way_gb_s
    is_known = picture.seen if one_way is None else ~np.isnan(one_way)
    sent, received = (
        (int(np.count_nonzero(cells & known)), int(np.count_nonzero(known)))
        for cells, known in ((odd[node], is_known[node]), (odd[:, node], is_known[:, node]))
    )
    sends = _may_be(sent, received) or bool(held[node].any())
    receives = _may_be(received, sent) or bool(held[:, node].any())
    return direction_of(sends, receives)


def _may_be(counted: tuple[int, int], other: tuple[int, int]) -> bool:
    """Tell whether a direction may come and go: it was odd, or so rarely seen that chance may have hid it."""
    odd, known = counted
    often = other[0] / max(1, other[1])
    return bool(odd or known < _ENOUGH_ONE_WAY or (1 - often) ** known > _ALL_SOUND_BY_CHANCE)


def swinging_links(
    swings: Swings, picture: Picture, known: frozenset[Pair]
) -> tuple[tuple[Pair, Direction], ...]:
    """Give the pairs that swing, and that no node and no slow pair answers for."""
    found: list[tuple[Pair, Direction]] = []
    for one, other in np.argwhere(np.triu(swings.links | swings.links.T, 1)).tolist():
        if (one, other) not in known and (other, one) not in known:
            ends = (one, other) if swings.links[one, other] else (other, one)
            found.append((ends, "both" if _comes_and_goes(ends, swings, picture) else "out"))
    return tuple(found)


def is_chance(link: SlowPair, swings: Swings, picture: Picture) -> bool:
    """Tell whether a slow pair was sound at times, and is slow as often as others are for a moment."""
    one, other = link.ends
    ends = ((one, other), (other, one)) if link.direction == "both" else (link.ends,)
    return all(
        swings.stalls[at] and _is_sound_at_times(at, picture) and _lost_s(at, picture) < _MOMENT_S
        for at in ends
    )


def _lost_s(at: Pair, picture: Picture) -> float:
    """Give how much longer a direction's samples took than they should have, in seconds."""
    samples, rate = picture.matrix.samples, float(picture.matrix.bandwidth_gb_s[at])
    if samples is None or not rate > 0:
        return 0.0
    return float(samples.bytes[at]) / 1e9 * (1 / rate - math.exp(-picture.usual[at]))


def both_ways(link: SlowPair, swings: Swings, picture: Picture, one_way_losses: Collection[Pair]) -> SlowPair:
    """Widen a pair that is slow in one direction to both, where that is only what its visits hit.

    Parameters: ``one_way_losses`` are the directions that lose packets while their opposite ones lose none:
    these wait for words that are lost, and are slow at times for that.
    """
    if link.direction == "both":
        return link
    comes_and_goes = swings.low[link.ends] > 0 and _comes_and_goes(link.ends, swings, picture)
    swings_back = link.ends not in one_way_losses and _swings_back(link, swings, picture)
    return replace(link, direction="both") if comes_and_goes or swings_back else link


def _swings_back(link: SlowPair, swings: Swings, picture: Picture) -> bool:
    """Tell whether the direction opposite to a slow one was slow by itself at times, more than by chance."""
    back = link.ends[::-1]
    return bool(swings.low_by_itself[back] and not swings.stalls[back] and _is_sound_at_times(back, picture))


def _comes_and_goes(ends: Pair, swings: Swings, picture: Picture) -> bool:
    """Tell whether a direction that swings is sound at times, and its opposite may be as it is.

    Where directions were visited one after the other, and one of them was sound then, that says nothing
    of it: what comes and goes was gone. What was visited at the same time tells.
    """
    if not _is_sound_at_times(ends, picture):
        return False
    return picture.matrix.one_way_gb_s is None or swings.low[ends[::-1]] > 0


def _is_sound_at_times(at: Pair, picture: Picture) -> bool:
    return any(
        bool(each.samples.max_gb_s[at] >= _SOUND * math.exp(each.usual[at])) for each in _series(picture)
    )


def further_visits(picture: Picture, pair: Pair) -> tuple[Pair, ...]:
    """Give the pairs to visit again before a swinging pair is told from an end that swings.

    An end that comes and goes is sound at about two visits of five, so that so many visits to
    its other pairs may all go well by chance.
    """
    samples = picture.matrix.samples
    if samples is None:
        return ()
    count = np.maximum(samples.count, samples.count.T)
    wanted: list[Pair] = []
    for end, other in (pair, pair[::-1]):
        visits = count[end] / _SAMPLES_A_VISIT
        visits[other] = 0
        if _SOUND_BY_CHANCE ** visits.sum() > _MOST_CHANCE:
            fewest = np.flatnonzero(visits == visits[visits > 0].min(initial=np.inf))
            wanted += [(min(end, int(each)), max(end, int(each))) for each in fewest[:1]]
    return tuple(dict.fromkeys(wanted))
