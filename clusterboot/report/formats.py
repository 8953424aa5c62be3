"""The formats in which results are written for other programs, by their names; all pure.

Each takes what is known of the run, and the result where the run came to one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from clusterboot.linkmap.pair_matrix import Inference, PairMatrix
from clusterboot.programs.records import LogReport

from .about import About
from .to_csv import matrix_to_csv, to_csv
from .to_junit import matrix_to_junit, to_junit
from .to_prometheus import matrix_to_prometheus, to_prometheus

FORMATS: Mapping[str, Callable[[About, LogReport | None], str]] = {
    "csv": to_csv,
    "junit": to_junit,
    "prometheus": to_prometheus,
}
MATRIX_FORMATS: Mapping[str, Callable[[About, tuple[PairMatrix, Inference] | None], str]] = {
    "csv": matrix_to_csv,
    "junit": matrix_to_junit,
    "prometheus": matrix_to_prometheus,
}
