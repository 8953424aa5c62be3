"""Figures of single pairs put together into matrices, one for each measurement."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from statistics import median, median_high

from clusterboot.errors import UsageError
from clusterboot.printable import one_line

from .cells import MOST_NODES, Rows, bad, matrix_of
from .pairnames import pair_in_name
from .stored import PairFigure, StoredMatrix

# More notes than this nobody reads, and a hostile folder could write millions.
_MOST_NOTES = 40
_MOST_MEASUREMENTS = 64
# A sweep that ends so many times below the others' was cut off.
_CUT = 4


def matrices_of_pairs(
    figures: Sequence[PairFigure], path: str, unread: Sequence[tuple[str, UsageError]] = ()
) -> list[StoredMatrix]:
    """Put figures together.

    Parameters: the figures; what to call the set of files that they are from; the set's other files, and
    what is wrong with each.
    Returns: a matrix for each measurement, with a note for each pair that was not plainly measured. A
    log that ended before its measurement began is a note of every matrix.
    Errors: :class:`UsageError` where of no figure the two hosts are known.
    """
    placed = [_Placed(figure, figure.ends or _named(figure)) for figure in figures]
    groups: dict[str, list[_Placed]] = {}
    for each in placed:
        if each.ends and each.figure.what:
            groups.setdefault(each.figure.what, []).append(each)
    if len(groups) > _MOST_MEASUREMENTS:
        raise bad(path, f"it has {len(groups)} different measurements, more than {_MOST_MEASUREMENTS}")
    if not groups:
        raise _nothing(placed, path)
    others = [each for each in placed if not (each.ends and each.figure.what)]
    for file, error in unread:
        why = error.cause.removeprefix(f"{file}: ")
        others.append(_Placed(PairFigure("", file, None, None, why=why), pair_in_name(file)))
    known = {name for members in groups.values() for each in members for name in each.ends or ()}
    # A log that ended before it began is of nodes that are there, also where nothing was measured with one.
    others = [each if known & set(each.ends or ()) else _Placed(each.figure, None) for each in others]
    return [
        _matrix(what, _without_cut(members), others, path)
        for group in groups.items()
        for what, members in _by_rail(*group)
    ]


@dataclass(frozen=True)
class _Placed:
    """A figure, and the two hosts that it is of, where they are known."""

    figure: PairFigure
    ends: tuple[str, str] | None

    def __str__(self) -> str:
        figure = self.figure
        where, why = one_line(figure.path, 200), one_line(figure.why or "", 200)
        if self.ends is None:
            told = "which two hosts it is of, neither it nor its name tells"
            return f"{where}: {why if figure.why and not figure.what else told}"
        state = {None: "not measured", 0.0: "dead"}.get(figure.rate_gb_s, "measured")
        return f"{self.ends[0]} and {self.ends[1]}: {state}; {why} ({where})"


def _named(figure: PairFigure) -> tuple[str, str] | None:
    pair = pair_in_name(figure.path)
    return pair[::-1] if pair and figure.pulls else pair


def _nothing(placed: Sequence[_Placed], path: str) -> Exception:
    unbegun = next((each.figure for each in placed if not each.figure.what), None)
    if unbegun is not None:
        return bad(path, f"no pair was measured: {one_line(unbegun.why or '', 200)}")
    return UsageError(
        f"{one_line(placed[0].figure.path, 200)}: which two hosts it is of, neither it nor its name tells",
        remedy="name such a file after them: nodeA_nodeB.log",
    )


def _by_rail(what: str, members: list[_Placed]) -> Iterator[tuple[str, list[_Placed]]]:
    """Keep what went over different devices apart where one pair has several."""
    rails: dict[tuple[str, str] | None, set[str | None]] = {}
    for each in members:
        rails.setdefault(each.ends, set()).add(each.figure.rail)
    if all(len(each) == 1 for each in rails.values()):
        yield what, members
        return
    for rail in dict.fromkeys(each.figure.rail for each in members):
        yield f"{what}, {rail or 'unknown device'}", [each for each in members if each.figure.rail == rail]


def _without_cut(members: list[_Placed]) -> list[_Placed]:
    """Take sweeps that ended long before the others' for not measured: small sizes are slow everywhere."""
    ends = [
        each.figure.largest_bytes for each in members if each.figure.largest_bytes and each.figure.rate_gb_s
    ]
    if not ends:
        return members
    usual = median_high(ends)
    kept = []
    for each in members:
        last = each.figure.largest_bytes
        if last and each.figure.rate_gb_s and last * _CUT < usual:
            why = f"its sizes end at {last} bytes, where the others' go to {usual}"
            kept.append(_Placed(replace(each.figure, rate_gb_s=None, why=why), each.ends))
        else:
            kept.append(each)
    return kept


def _matrix(what: str, members: Sequence[_Placed], others: Sequence[_Placed], path: str) -> StoredMatrix:
    nodes = sorted({name for each in (*members, *others) for name in each.ends or ()}, key=_natural)
    if len(nodes) > MOST_NODES:
        raise bad(path, f"it names {len(nodes)} nodes, where 2 to {MOST_NODES} are read")
    at = {name: index for index, name in enumerate(nodes)}
    rates: dict[tuple[int, int], list[float]] = {}
    orders = {each.ends for each in members if each.figure.one_way is None}
    for each in members:
        rate, one_way = each.figure.rate_gb_s, each.figure.one_way
        if rate is None or each.ends is None:
            continue
        here, there = at[each.ends[0]], at[each.ends[1]]
        if one_way is None:
            # Where both orders of a pair are there, each is a direction.
            one_way = each.ends[::-1] in orders
        for cell in ((here, there),) if one_way else ((here, there), (there, here)):
            rates.setdefault(cell, []).append(rate)
    cells: list[list[float | None]] = [[None] * len(nodes) for _ in nodes]
    for (one, other), values in rates.items():
        cells[one][other] = median(values)
    told = (str(each) for each in (*members, *others) if each.figure.why or each.ends is None)
    whys = list(dict.fromkeys(told))
    repeated = sum(len(values) > 1 for values in rates.values())
    if repeated:
        whys.append(f"{repeated} cells have several figures: their median counts")
    named = sum(not each.figure.ends for each in members)
    if named:
        whys.append(f"the two hosts of {named} of {len(members)} figures are those of their files' names")
    return StoredMatrix(path, matrix_of(path, Rows(nodes, cells)), one_line(what, 200), _few(whys))


def _few(notes: Sequence[str]) -> tuple[str, ...]:
    more = len(notes) - _MOST_NOTES
    return (*notes[:_MOST_NOTES], f"and {more} more such notes") if more > 0 else tuple(notes)


def _natural(name: str) -> list[tuple[int, str]]:
    """Order names as people count: n2 before n10; a longer number is a larger one."""
    parts = re.split(r"([0-9]+)", name)
    return [
        (len(digits), digits) if at % 2 and (digits := part.lstrip("0")) else (0, part)
        for at, part in enumerate(parts)
    ]
