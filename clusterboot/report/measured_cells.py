"""The measured cells of a matrix, for the formats that write them one by one."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from clusterboot.linkmap.pair_matrix import PairMatrix, Rates


def measured(matrix: PairMatrix) -> Iterator[tuple[int, int]]:
    """Give the indices of each direction that was measured, sender first."""
    return ((int(at), int(to)) for at, to in np.argwhere(~np.isnan(matrix.bandwidth_gb_s)))


def figure(rates: Rates | None, at: int, to: int) -> float:
    """Give a cell, NaN where there is no such matrix."""
    return float("nan") if rates is None else float(rates[at, to])
