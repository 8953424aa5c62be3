"""Findings told in sentences, with the figures that they rest on."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from ..pair_matrix import Cells, Direction, PairMatrix, Rates
from .picture import DEAD, Picture

_LISTED = 4
_FASTEST = math.log(1000)


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


def verbs(direction: Direction) -> str:
    """Say what a node does in a direction."""
    return {"out": "sends", "in": "receives", "both": "sends and receives"}[direction]


def arrow(matrix: PairMatrix, one: int, other: int, direction: Direction) -> str:
    """Write a link with its direction."""
    sign = {"out": "->", "in": "<-", "both": "<->"}[direction]
    return f"{matrix.nodes[one]} {sign} {matrix.nodes[other]}"
