from __future__ import annotations

import io
import re

import numpy as np
import pytest
from rich.cells import cell_len
from rich.console import Console

from clusterboot.headline import headline
from clusterboot.linkmap.inference.infer import infer
from clusterboot.linkmap.map_ending import map_ending
from clusterboot.linkmap.pair_matrix import PairMatrix
from clusterboot.report.matrix import heat_map, show_matrix


def matrix(names: list[str], slow: tuple[int, ...] = ()) -> PairMatrix:
    rng = np.random.default_rng(len(names))
    cells = 12 * rng.normal(1, 0.01, (len(names), len(names)))
    cells[list(slow)] *= 0.3
    np.fill_diagonal(cells, np.nan)
    return PairMatrix(tuple(names), cells)


@pytest.mark.parametrize(
    ("pattern", "count", "rows"),
    [
        ("n{}", 3, ["n1", "n2", "n3"]),
        ("compute-{}.dc1.example.org", 3, ["compute-1", "compute-2", "compute-3"]),
        ("rack17-node-{:03}", 3, ["rac…de-001", "rac…de-002", "rac…de-003"]),
        ("rack17-node-{:03}", 64, ["rac…-001+1", "rac…-003+1"]),
        ("節点番号装置{:03}", 3, ["節点…置001", "節点…置002", "節点…置003"]),
    ],
)
def test_rows_keep_what_tells_hosts_apart(pattern: str, count: int, rows: list[str]) -> None:
    lines = [line.plain for line in heat_map(matrix([pattern.format(at) for at in range(1, count + 1)]))]
    named = [line[5:].split("  ")[0].split(" 9")[0].strip() for line in lines if line[:4].strip().isdigit()]
    assert [name for name in named if name != ""][: len(rows)] == rows
    assert max(map(cell_len, lines)) <= 80


def test_a_pair_that_is_far_too_fast_moves_no_colour_and_tiers_have_their_own() -> None:
    usual = [line.plain for line in heat_map(matrix([f"n{at}" for at in range(1, 9)]))]
    odd = matrix([f"n{at}" for at in range(1, 9)])
    odd.bandwidth_gb_s[1, 2] *= 30
    assert [line.plain for line in heat_map(odd)] == usual
    racks = matrix([f"n{at}" for at in range(1, 17)])
    racks.bandwidth_gb_s[:8, 8:] /= 3
    racks.bandwidth_gb_s[8:, :8] /= 3
    drawn = [line.plain for line in heat_map(racks)]
    assert {digit for line in drawn[2:18] for digit in line[15:].split()} <= {"9", "8"}
    assert re.fullmatch(r"0-9 are tenths of what is expected, [34][.0-9]* to 1[12][.0-9]* GB/s", drawn[-1])


def test_the_headline_and_findings_come_before_the_map() -> None:
    pairs = matrix([f"gpu{at:02}" for at in range(1, 13)], slow=(3, 4))
    to = Console(file=io.StringIO(), width=80)
    found = infer(pairs)
    show_matrix(to, "Link map", pairs, found, headline((), 6, map_ending(pairs, found)))
    assert isinstance(to.file, io.StringIO)
    text = to.file.getvalue()
    assert text.index("slow: node gpu04 at 30%") < text.index("  node gpu04") < text.index("   1 gpu01")
