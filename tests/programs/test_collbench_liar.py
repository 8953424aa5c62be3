"""An all-pairs run with a rank that speaks for others: it is believed about its own pairs alone."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from collbench_runs import MPIRUN, SANITIZED, build
from patience import HANGS_S

from clusterboot.programs.collbench.build import BUILD_ARGS
from clusterboot.programs.collbench.pairs_output import PairRow, PairsNode, read_pairs_line

LIAR = Path(__file__).parent / "liar" / "liar.c"
KEY = "0123456789abcdef"
pytestmark = pytest.mark.long


def test_what_a_rank_says_of_others_is_not_taken(tmp_path: Path) -> None:
    honest = build(tmp_path, *SANITIZED)
    liar = tmp_path / "liar"
    subprocess.run(["mpicc", str(LIAR), f"-I{tmp_path}", *BUILD_ARGS, "-o", str(liar)], check=True)
    rounds = tmp_path / "rounds"
    rounds.write_text(f"key {KEY}\n0-1 2-3\n0-2 1-3\n1-2 0-3\n")

    done = subprocess.run(
        [
            *MPIRUN,
            *("-x", "ASAN_OPTIONS=detect_leaks=0", "-n", "3"),
            *(str(honest), "pairs", "-T", "0.1", "-e", "64K", "-L", "8", "-s", str(rounds)),
            *(":", "-n", "1", str(liar)),
        ],
        capture_output=True,
        text=True,
        timeout=HANGS_S,
        check=False,
    )

    assert "Sanitizer" not in done.stderr, done.stderr
    own = [line.removeprefix(f"{KEY} ") for line in done.stdout.splitlines() if line.startswith(f"{KEY} ")]
    said = [read_pairs_line(line) for line in own]
    rows = {(row.sender, row.receiver): row for row in said if isinstance(row, PairRow)}
    assert len(rows) == 12, done.stdout + done.stderr
    dead = {pair for pair, row in rows.items() if row.both_gb_s == 0}
    assert dead == {pair for pair in rows if 3 in pair}
    nodes = [each for each in said if isinstance(each, PairsNode)]
    assert [(each.node, each.rank) for each in nodes][:3] == [(0, 0), (1, 1), (2, 2)]
    assert nodes[3].host is not None
    assert nodes[3].host.startswith("x?pair?0?0?1")
    # What it printed as if it were rank 0 is there, and is not rank 0's.
    assert "pair    0     0     1           0" in done.stdout
