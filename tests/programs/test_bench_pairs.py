"""The all-pairs output, whole and cut off, and what an all-pairs run is told."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pairs_log import PairsLog, parse_pairs

from clusterboot.errors import UsageError
from clusterboot.programs.collbench.pairs_options import (
    PairsOptions,
    PairsRound,
    cost,
    fitting_pair_s,
    pairs_argv,
    schedule_text,
)
from clusterboot.programs.collbench.pairs_output import PairRow

FIXTURES = sorted((Path(__file__).parent / "fixtures_pairs").glob("*.txt"))
WHOLE = (Path(__file__).parent / "fixtures_pairs" / "four_nodes.txt").read_bytes()


@pytest.mark.parametrize("path", FIXTURES, ids=lambda path: path.stem)
def test_output_is_read_as_the_file_beside_it_says(path: Path) -> None:
    expected = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
    assert json.loads(json.dumps(asdict(parse_pairs(path.read_bytes())))) == expected


@given(st.integers(0, len(WHOLE)))
def test_output_cut_off_anywhere_keeps_every_whole_row_and_makes_none_up(end: int) -> None:
    whole, cut = parse_pairs(WHOLE), parse_pairs(WHOLE[:end])
    lines = WHOLE[:end].count(b"\npair ", 0, WHOLE[:end].rfind(b"\n") + 1)
    assert cut.rows == whole.rows[: len(cut.rows)]
    assert len(cut.rows) in (lines, lines - 1)
    assert cut.ended_rounds == whole.ended_rounds[: len(cut.ended_rounds)]
    assert cut.concluded == (end == len(WHOLE))


@given(st.binary(max_size=300), st.lists(st.sampled_from(WHOLE.splitlines(keepends=True)), max_size=6))
def test_nothing_that_stands_between_the_lines_stops_the_reading(noise: bytes, lines: list[bytes]) -> None:
    said = parse_pairs(b"".join(line + noise + b"\n" for line in lines))
    assert isinstance(said, PairsLog)
    assert all(row in parse_pairs(WHOLE).rows or row.sender != row.receiver for row in said.rows)


@pytest.mark.parametrize(
    "line",
    [
        "samples 0 1 1 alone settled 4096 1",
        "samples 0 1 2 alone settled 4096",
        "samples 0 1 2 each settled 4096 1",
        "samples 0 1 2 alone spent 4096 1",
        "samples 0 1 2 alone settled -4096 1",
        "samples 0 1 2 alone settled 4096 1 x",
        "samples 0 1 2 alone settled 4096 1 inf",
        "[n1:1] samples 0 1 2 alone settled 4096 1",
        "pair 0 1 1 4096 1 1 1",
        "pair 0 1 2 4096 1 1",
        "pair 0 1 2 4096 - 1 1",
        "pair 0 1 2 4096 - - -",
        "pair 0 1 2 4096 1 1 1 1",
        "pair 0 1 2 4096 nan 1 1",
        "pair 0 1 2 4096 -1 1 1",
        "pair 0 1 2 4096 inf 1 1",
        "pair 0 1 -2 4096 1 1 1",
        "pair 0 1 2 " + "9" * 5000 + " 1 1 1",
        "pair 0 1 999999999 4096 1 1 1",
        "[n1:1] pair 0 1 2 4096 1 1 1",
    ],
)
def test_a_line_that_is_no_row_is_none(line: str) -> None:
    said = parse_pairs(f"{line}\n".encode())
    assert (said.rows, said.samples) == ((), ())


def test_a_dead_pair_has_no_latency() -> None:
    (row,) = parse_pairs(b"pair 0 1 2 0 0 0 0\n").rows
    assert row == PairRow(0, 1, 2, 0, 0.0, None, 0.0)


def test_of_both_directions_at_once_nothing_is_said_of_either_alone() -> None:
    (row,) = parse_pairs(b"pair 0 1 2 4096 - - 0.5\n").rows
    assert row == PairRow(0, 1, 2, 4096, None, None, 0.5)


def test_the_program_is_told_everything() -> None:
    options = PairsOptions(0.25, 4, 1024)
    assert pairs_argv(options, "runs/1/rounds", ["10.0.0.1", "fd00::2"], 23000) == [
        *("pairs", "-s", "runs/1/rounds", "-a", "10.0.0.1,fd00::2", "-p", "23000"),
        *("-e", "1024", "-T", "0.25", "-M", "2.5", "-L", "4"),
    ]
    rounds = (PairsRound(((0, 1), (2, 3))), PairsRound(((0, 2),), both_only=True))
    assert schedule_text(rounds) == "0-1 2-3\nboth 0-2\n"


def test_time_and_bytes_follow_from_rounds_and_pairs() -> None:
    rounds = (PairsRound(((0, 1), (2, 3))), PairsRound(((0, 2),), both_only=True))
    price = cost(rounds, PairsOptions(pair_s=1, most_s=4), rate_gb_s=1)
    assert (price.rounds, price.pairs, price.measurements) == (2, 3, 3 + 3 + 1)
    assert price.bytes_most is not None
    assert (4 + 4 + 2) * 4 * 0.3 < price.bytes_most / 1e9 < (4 + 4 + 2) * 5 * 0.3
    assert cost(rounds, PairsOptions()).bytes_most is None
    again = cost([*rounds, PairsRound(((1, 0),))], PairsOptions())
    assert (again.pairs, again.measurements) == (3, 3 + 3 + 1 + 3)
    many = [*rounds, *[PairsRound(((0, 1),))] * 10]
    assert cost(many, PairsOptions(pair_s=fitting_pair_s(many, 60))).time_s == pytest.approx(60)


@pytest.mark.parametrize(
    "wrong", [{"max_bytes": 0}, {"max_bytes": 2**31}, {"pair_s": 0.0}, {"stuck_s": -1.0}]
)
def test_what_cannot_be_measured_with_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(UsageError):
        PairsOptions(**wrong)  # type: ignore[arg-type]
