"""The nodes that are slow with most of their partners, by direction."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from ..pair_matrix import Direction, Flags, Indices, Rates, row_middles

_ROUNDS = 8


# How far (logarithm, below 0) a median over so many partners must be to be no chance.
NodeDrop: TypeAlias = Callable[[int], float]


@dataclass(frozen=True, eq=False)
class Suspects:
    """Which nodes send (``out``) or receive (``in_``) slowly with most partners, and how slowly.

    The drops are logarithms, below 0 for a suspect; NaN where nothing is left to judge by.
    """

    out: Flags
    in_: Flags
    out_drop: Rates
    in_drop: Rates

    @property
    def any(self) -> Flags:
        """The nodes that are suspect in either direction."""
        return self.out | self.in_

    def direction(self, node: int) -> Direction:
        """Say in which direction a suspect is slow."""
        return direction_of(bool(self.out[node]), bool(self.in_[node]))


def direction_of(sends: bool, receives: bool) -> Direction:
    """Name the direction of a node of which one is at fault, or both are."""
    return "both" if sends == receives else "out" if sends else "in"


def find_suspects(residuals: Rates, node_drop: NodeDrop) -> Suspects:
    """Find the nodes that are slow with most of those partners that are no suspects themselves.

    Leaving other suspects out of a node's record is what clears a good node that met
    several bad ones. A node with one partner is no suspect: a slow pair says nothing about
    which of its ends is slow.
    """
    out_drop, out = _slow_rows(residuals, node_drop)
    in_drop, in_ = _slow_rows(residuals.T, node_drop)
    for _ in range(_ROUNDS):
        before = (out.copy(), in_.copy())
        out |= _hidden(residuals, out, in_, node_drop)
        in_ |= _hidden(residuals.T, in_, out, node_drop)
        ahead = (out.copy(), in_.copy())
        out, out_drop = _again(residuals, ahead[0], ahead[1], out_drop, node_drop)
        in_, in_drop = _again(residuals.T, ahead[1], ahead[0], in_drop, node_drop)
        if np.array_equal(out, before[0]) and np.array_equal(in_, before[1]):
            break
    return Suspects(out, in_, out_drop, in_drop)


def dead_nodes(residuals: Rates, dead: float) -> Suspects:
    """Find the nodes that reach no partner, or that no partner reaches, of at least two."""
    known = ~np.isnan(residuals)
    silent = known & (residuals == dead)
    out, in_ = (
        (np.count_nonzero(known, axis=axis) >= 2) & np.all(silent | ~known, axis=axis) for axis in (1, 0)
    )
    drops = np.full(out.size, dead)
    return Suspects(out, in_, drops, drops)


def middle(values: Rates) -> float:
    """Give the middle value, the better of two: more than half must be bad for it to be."""
    known = values[~np.isnan(values)]
    return float(np.sort(known)[known.size // 2]) if known.size else float("nan")


def _slow_rows(residuals: Rates, node_drop: NodeDrop) -> tuple[Rates, Flags]:
    counts = np.count_nonzero(~np.isnan(residuals), axis=1)
    limits = np.array([node_drop(int(count)) for count in counts])
    middles = row_middles(residuals)
    return middles, (counts >= 2) & (middles < limits)


def _again(
    rows: Rates, suspects: Flags, others: Flags, drops: Rates, node_drop: NodeDrop
) -> tuple[Flags, Rates]:
    """Judge the suspect rows by the columns that are not suspect; none left keeps the suspicion."""
    still, drops = suspects.copy(), drops.copy()
    for node in np.flatnonzero(suspects):
        cells = rows[node][~others]
        known = cells[~np.isnan(cells)]
        if known.size:
            drops[node] = middle(known)
            still[node] = drops[node] < node_drop(known.size)
    return still, drops


def _hidden(rows: Rates, suspects: Flags, others: Flags, node_drop: NodeDrop) -> Flags:
    """Find the rows that only look good because they met other suspects, with which they are fast.

    That is how the members of a group that is slow across look before all have met.
    """
    limit = node_drop(1)
    found = np.zeros_like(suspects)
    if not others.any():
        return found
    good = (rows[:, others] > limit).any(axis=1) & (rows < limit).any(axis=1) & ~suspects
    for node in np.flatnonzero(good):
        known = rows[node][~others]
        known = known[~np.isnan(known)]
        found[node] = known.size > 1 and middle(known) < node_drop(known.size)
    return found


def explained(suspects: Suspects, members: Indices) -> Flags:
    """Give the cells that a set of suspects answers for: those to and from the others."""
    nodes = suspects.out.size
    part = np.zeros(nodes, dtype=bool)
    part[members] = True
    cells = (suspects.out & part)[:, None] | (suspects.in_ & part)[None, :]
    return np.asarray(cells & ~(part[:, None] & part[None, :]))
