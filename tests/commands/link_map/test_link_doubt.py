"""Rates that cannot be are measured again, and are never ``ok``."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest

from clusterboot.facts.node import Interface, NodeFacts, RdmaPort
from clusterboot.linkmap.doubt import line_gb_s
from clusterboot.linkmap.measure import _open
from clusterboot.linkmap.pair_matrix import Pair, Rates
from clusterboot.linkmap.progress import LinkState
from clusterboot.programs.collbench.pairs_output import PairRow, PairSamples


def visit(state: LinkState, at: Pair, rates: list[float]) -> None:
    size = len(state.nodes)
    row = PairRow(0, at[0], at[1], 1000, float(np.median(rates)), 2.0, float(np.median(rates)))
    samples = [PairSamples(0, at[0], at[1], both, True, 1000, tuple(rates)) for both in (False, True)]
    state.take(row, range(size), "first", samples)


def mapped(size: int, odd: dict[Pair, float], line_gb_s: Rates | None = None) -> LinkState:
    state = LinkState.empty([f"n{at}" for at in range(size)])
    state.line_gb_s = line_gb_s
    rng = np.random.default_rng(size)
    for at in permutations(range(size), 2):
        visit(state, at, (odd.get(at, 1.0) * rng.normal(10, 0.1, 4)).tolist())
    return state


@pytest.mark.parametrize("times", [1.7, 3, 30])
def test_a_pair_far_above_the_fleet_is_measured_again_and_then_not_believed(times: float) -> None:
    state = mapped(8, {(2, 5): times})
    (again,) = _open(state, "full")
    assert (again.pairs, again.taking) == (((2, 5),), "again")
    for _ in range(4):
        visit(state, (2, 5), [10 * times] * 4)
    assert _open(state, "full") == ()
    said = state.inference()
    (finding,) = said.findings
    assert (said.verdict, finding.kind, finding.hosts, finding.fraction_of_expected) == (
        "inconclusive",
        "link",
        ("n2", "n5"),
        None,
    )
    assert "what pairs like it give" in finding.evidence


def test_a_rate_that_does_not_come_again_is_outvoted() -> None:
    state = mapped(8, {(2, 5): 30.0})
    for _ in range(2):
        visit(state, (2, 5), [10.0] * 4)
    assert state.inference().verdict == "ok"
    assert state.matrix.bandwidth_gb_s[2, 5] == pytest.approx(10, rel=0.05)


def test_a_pair_above_its_line_is_not_believed_however_few_the_nodes() -> None:
    line = np.full((3, 3), 10.5)
    assert mapped(3, {}, line).inference().verdict == "ok"
    said = mapped(3, {(0, 1): 1.2, (1, 0): 1.2}, line).inference()
    assert said.verdict == "inconclusive"
    assert {finding.hosts for finding in said.findings} == {("n0", "n1"), ("n1", "n0")}
    assert all("what its interfaces can carry" in finding.evidence for finding in said.findings)


def test_what_is_in_doubt_hides_no_fault() -> None:
    slow = {at: 0.1 for at in permutations(range(8), 2) if 3 in at}
    said = mapped(8, {**slow, (2, 5): 30.0}).inference()
    assert said.verdict == "slow"
    assert ("node", ("n3",)) in {(finding.kind, finding.hosts) for finding in said.findings}


def test_where_all_are_above_the_claimed_speed_the_claim_is_in_doubt_too() -> None:
    said = mapped(8, {}, np.full((8, 8), 1.25)).inference()
    assert (said.verdict, said.findings) == ("inconclusive", ())
    assert any("8 times what their interfaces can carry" in note for note in said.notes)


def test_a_line_that_nothing_is_known_of_limits_nothing() -> None:
    assert mapped(3, {(0, 1): 1.2, (1, 0): 1.2}, np.full((3, 3), np.nan)).doubts() == ()


def node(kind: str, speed_mbit_s: int | None, *rdma: RdmaPort) -> NodeFacts:
    eth = Interface("eth0", "up", 1500, kind=kind, speed_mbit_s=speed_mbit_s)
    other = Interface("eth1", "up", 1500, kind="physical", speed_mbit_s=400_000)
    return NodeFacts("n", None, "", "", "", "u", 2, None, None, 1, 1, (other, eth), rdma)


def test_only_the_claims_of_hardware_that_carries_the_data_limit_a_pair() -> None:
    facts = {
        "a": node("physical", 100_000),
        "b": node("physical", 25_000),
        "c": node("veth", 10_000),
        "d": node("physical", None),
    }
    places = ["a:gpu0", "a:gpu1", "b", "c", "d"]
    line = line_gb_s(places, facts, dict.fromkeys(facts, "eth0"))
    assert line is not None
    known = {(places[i], places[j]): line[i, j] for i, j in np.argwhere(~np.isnan(line)).tolist()}
    assert known == {pair: 3.125 for one in places[:2] for pair in ((one, "b"), ("b", one))}
    facts["d"] = node("physical", 1000, RdmaPort("mlx5_0", 1, "InfiniBand", "ACTIVE", 400.0))
    assert line_gb_s(places, facts, dict.fromkeys(facts, "eth0")) is None
