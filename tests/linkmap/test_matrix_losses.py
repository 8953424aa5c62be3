"""What TCP had to send again, pair by pair: who loses packets, and which way, whatever the rates are."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from simulator import measured

from clusterboot.linkmap.formats.json import matrix_to_json
from clusterboot.linkmap.formats.reading import read_matrix
from clusterboot.linkmap.inference.infer import infer
from clusterboot.linkmap.inference.losses import find_losses
from clusterboot.linkmap.inference.picture import draw
from clusterboot.linkmap.pair_matrix import PairMatrix, Rates, Segments

SENT = 6000
NOBODY = np.zeros((8, 8))


def lossy(shares: Rates, *, sent: int = SENT, rates: Rates | None = None, seed: int = 1) -> PairMatrix:
    """Measure a fabric, of good rates unless others are given, whose directions lose these shares."""
    generator = np.random.default_rng(seed)
    size = len(shares)
    told = measured(np.full((size, size), 0.036) if rates is None else rates, 0.01, generator)
    np.fill_diagonal(told, np.nan)
    resent = generator.poisson(sent * shares)
    segments = Segments(np.full((size, size), sent), resent)
    for figures in (segments.sent, segments.resent):
        np.fill_diagonal(figures, 0)
    return PairMatrix(tuple(f"n{node}" for node in range(1, size + 1)), told, segments=segments)


def losing(node: int, direction: str, share: float, size: int = 8) -> Rates:
    shares = np.zeros((size, size))
    if direction != "in":
        shares[node, :] = share
    if direction != "out":
        shares[:, node] = share
    return shares


def told(matrix: PairMatrix) -> list[tuple[str, tuple[str, ...], str]]:
    return [(each.kind, each.hosts, each.direction) for each in infer(matrix).findings]


@pytest.mark.parametrize("direction", ["out", "in", "both"])
@pytest.mark.parametrize("share", [0.02, 0.04, 0.25])
def test_a_node_that_loses_packets_is_named_whatever_its_rates_are(direction: str, share: float) -> None:
    matrix = lossy(losing(4, direction, share))
    assert told(matrix) == [("node", ("n5",), direction)]
    (finding,) = infer(matrix).findings
    what = {"out": "what it sent", "in": "what it was sent", "both": "what it sent and was sent"}[direction]
    assert f"% of {what} had to be sent again; of the others', 0%" in finding.evidence


@pytest.mark.parametrize("size", [4, 5, 16])
def test_a_fleet_may_be_small(size: int) -> None:
    assert told(lossy(losing(2, "both", 0.04, size))) == [("node", ("n3",), "both")]


def test_two_nodes_that_lose_packets_are_both_named() -> None:
    shares = np.maximum(losing(1, "in", 0.04), losing(6, "out", 0.1))
    assert sorted(told(lossy(shares))) == [("node", ("n2",), "in"), ("node", ("n7",), "out")]


@pytest.mark.parametrize("direction", ["out", "both"])
def test_a_pair_that_loses_packets_is_named_and_not_its_ends(direction: str) -> None:
    shares = NOBODY.copy()
    shares[1, 5] = 0.05
    shares[5, 1] = 0.05 if direction == "both" else 0
    (finding,) = infer(lossy(shares)).findings
    assert (finding.kind, finding.hosts, finding.direction) == ("link", ("n2", "n6"), direction)
    assert "had to be sent again" in finding.evidence


def test_queues_that_overflow_everywhere_are_nobodys_fault() -> None:
    """Losses of one visit come together, so that equal directions differ by more than single losses would."""
    generator = np.random.default_rng(3)
    blamed = 0
    for usual in (0.0005, 0.003, 0.01) * 100:
        shares = generator.exponential(usual, (8, 8))
        blamed += bool(find_losses(draw(lossy(shares))).nodes or find_losses(draw(lossy(shares))).links)
    assert blamed <= 1


def test_a_thousandth_lost_is_nobodys_fault() -> None:
    assert told(lossy(losing(4, "both", 0.001))) == []


def test_what_is_lost_where_a_smaller_rack_joins_the_others_is_no_nodes_fault() -> None:
    across = np.zeros((16, 16), dtype=bool)
    across[:5, 5:] = across[5:, :5] = True
    rates = np.where(across, 0.02, 0.036)
    assert [
        each for each in told(lossy(np.where(across, 0.03, 0.0), rates=rates)) if each[0] != "group"
    ] == []


def test_few_segments_tell_nothing() -> None:
    assert told(lossy(losing(4, "both", 0.1), sent=200)) == []


def test_loss_tells_the_direction_of_a_node_that_is_slow_in_another_one() -> None:
    rates = np.full((8, 8), 0.036)
    rates[:, 4] = 0.004
    (finding,) = infer(lossy(losing(4, "out", 0.1), rates=rates)).findings
    assert (finding.hosts, finding.direction) == (("n5",), "both")
    assert "receives" in finding.evidence
    assert "of what it sent had to be sent again" in finding.evidence


def test_counts_are_read_from_a_result_as_they_were_written() -> None:
    matrix = lossy(losing(4, "in", 0.04))
    document: dict[str, Any] = matrix_to_json(matrix, infer(matrix))
    again = read_matrix(json.dumps(document).encode(), "result.json")
    assert again.segments is not None
    assert matrix.segments is not None
    assert (again.segments.sent == matrix.segments.sent).all()
    assert (again.segments.resent == matrix.segments.resent).all()
    assert told(again) == told(matrix)


def test_a_matrix_without_counts_says_nothing_of_loss() -> None:
    assert told(replace(lossy(losing(4, "both", 0.2)), segments=None)) == []
