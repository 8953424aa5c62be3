"""What changed from one run to another, in a sentence."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from clusterboot.folding import fold
from clusterboot.linkmap.pair_matrix import PairMatrix

from ..saved import SavedRun

# A share of the first run's within these is the same for a sentence; the tables have the figures.
_FELL, _ROSE = 0.8, 1.25
_MOST_LINKS = 3


def what_changed(first: SavedRun, other: SavedRun) -> str:
    """Say what a run has otherwise than the first: nodes, links, peaks of collectives, the verdict."""
    told: list[str] = []
    if first.matrix is not None and other.matrix is not None:
        told += _matrices(first.matrix, other.matrix)
    told += _peaks(first, other)
    if first.verdict != other.verdict:
        told.append(f"{other.verdict or 'no verdict'} instead of {first.verdict or 'none'}")
    alike = (
        "as the first run, within a fifth" if first.command == other.command else "another command's result"
    )
    return ", ".join(told) or alike


def common_share(first: PairMatrix, other: PairMatrix) -> tuple[list[str], np.ndarray]:
    """Give the nodes that two maps have in common, and their bandwidth as a share of the first's.

    Returns: the nodes; one row a sender, NaN where one of them has no figure.
    """
    common = [node for node in first.nodes if node in set(other.nodes)]
    parts = []
    for matrix in (first, other):
        at = {node: index for index, node in enumerate(matrix.nodes)}
        index = [at[node] for node in common]
        parts.append(matrix.bandwidth_gb_s[np.ix_(index, index)])
    before, after = parts
    with np.errstate(divide="ignore", invalid="ignore"):
        return common, np.where(before > 0, after / before, np.nan)


def _matrices(first: PairMatrix, other: PairMatrix) -> list[str]:
    nodes, share = common_share(first, other)
    if len(nodes) < 2:
        return []
    told: list[str] = []
    moved: set[int] = set()
    for word, is_moved in (("fell", share <= _FELL), ("rose", share >= _ROSE)):
        by_share: dict[int, list[str]] = {}
        for at, node in enumerate(nodes):
            both = np.concatenate((share[at], share[:, at]))
            known = np.isfinite(both)
            # A node that moved did so with all of its partners; that one of them did is theirs.
            if known.any() and np.concatenate((is_moved[at], is_moved[:, at]))[known].all():
                by_share.setdefault(round(float(np.median(both[known])) * 100), []).append(node)
                moved.add(at)
        told += [f"{fold(names)} {word} to {percent}%" for percent, names in by_share.items()]
        links = [
            (float(share[a, b]), f"{nodes[a]} to {nodes[b]} {word} to {share[a, b]:.0%}")
            for a, b in np.argwhere(is_moved).tolist()
            if not {a, b} & moved
        ]
        links.sort(reverse=word == "rose")
        told += [line for _, line in links[:_MOST_LINKS]]
        if len(links) > _MOST_LINKS:
            told.append(f"{len(links) - _MOST_LINKS} more pairs {word}")
    return told


def _peaks(first: SavedRun, other: SavedRun) -> list[str]:
    before, after = _by_collective(first), _by_collective(other)
    told: list[str] = []
    for name in (each for each in before if each in after and before[each] > 0):
        share = after[name] / before[name]
        if not _FELL < share < _ROSE:
            told.append(f"{name} {'fell' if share <= _FELL else 'rose'} to {share:.0%}")
    return told


def _by_collective(run: SavedRun) -> dict[str, float]:
    """Give the highest bus bandwidth of each collective, in GB/s."""
    found: dict[str, float] = {}
    for test in run.tests:
        rates: Sequence[float] = [
            place.busbw_gb_s
            for row in test.rows
            for place in (row.out_of_place, row.in_place)
            if place is not None and place.busbw_gb_s is not None
        ]
        name = test.collective or "unknown"
        found[name] = max([found.get(name, 0.0), *rates])
    return found
