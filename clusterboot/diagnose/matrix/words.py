"""Findings told in sentences, with the figures that they rest on."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from clusterboot.diagnose.matrix.picture import DEAD, Picture
from clusterboot.diagnose.matrix.records import Direction, Flags, PairMatrix

_LISTED = 4
_FASTEST = math.log(1000)


def names(matrix: PairMatrix, members: Sequence[int]) -> str:
    """List nodes by name, the first few where they are many."""
    listed = [matrix.nodes[node] for node in members[:_LISTED]]
    more = len(members) - len(listed)
    return ", ".join(listed) + (f" and {more} more" if more else "")


def rate(gbps: float) -> str:
    """Write a bandwidth with three digits."""
    return f"{gbps:.3g} GB/s"


def measured(picture: Picture, cells: Flags) -> str:
    """Say what cells give and what they should: ``1.2 GB/s, 10% of the expected 12 GB/s``."""
    known = cells & ~np.isnan(picture.residuals)
    if not known.any():
        return "not measured"
    residual = min(float(np.median(picture.residuals[known])), _FASTEST)
    alive = np.isfinite(picture.expected[known]).any()
    if residual <= DEAD / 2:
        return f"nothing, where {rate(_expected(picture, known))} is expected" if alive else "nothing"
    value = float(np.median(picture.rates[known]))
    return f"{rate(value)}, {np.exp(residual):.0%} of the expected {rate(_expected(picture, known))}"


def verbs(direction: Direction) -> str:
    """Say what a node does in a direction."""
    return {"out": "sends", "in": "receives", "both": "sends and receives"}[direction]


def arrow(matrix: PairMatrix, one: int, other: int, direction: Direction) -> str:
    """Write a link with its direction."""
    sign = {"out": "->", "in": "<-", "both": "<->"}[direction]
    return f"{matrix.nodes[one]} {sign} {matrix.nodes[other]}"


def _expected(picture: Picture, known: Flags) -> float:
    return float(np.exp(np.median(picture.expected[known])))
