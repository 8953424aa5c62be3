"""What the inference promises whatever the matrix: no false blame, and no side that it prefers."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from methods import METHODS, Probe
from repetition import share
from scenarios import CONDITIONS, SCENARIOS
from simulator import (
    SHAPES,
    Cluster,
    Conditions,
    Fabric,
    Fault,
    Shape,
    fabric,
    named,
    named_by,
    simulate,
)

from clusterboot.linkmap.inference.infer import infer
from clusterboot.linkmap.inference.schedule import rounds
from clusterboot.linkmap.pair_matrix import Finding, PairMatrix

FLIPPED = {"out": "in", "in": "out", "both": "both"}


def flat(nodes: int, *faults: Fault, noise: float = 0.02, seed: int = 1) -> PairMatrix:
    generator = np.random.default_rng(seed)
    return simulate(Fabric(np.full((nodes, nodes), 12.0), ()), faults, generator, noise=noise)


def only(matrix: PairMatrix, kept_rounds: int) -> PairMatrix:
    rates = np.full_like(matrix.bandwidth_gb_s, np.nan)
    for one, other in itertools.chain(*rounds(len(matrix.nodes))[:kept_rounds]):
        rates[one, other] = matrix.bandwidth_gb_s[one, other]
        rates[other, one] = matrix.bandwidth_gb_s[other, one]
    return replace(matrix, bandwidth_gb_s=rates)


def measured(findings: tuple[Finding, ...]) -> list[Finding]:
    """Leave out the node that had a bye."""
    return [finding for finding in findings if finding.fraction_of_expected is not None]


def core(findings: tuple[Finding, ...]) -> set[tuple[object, ...]]:
    return {
        (
            finding.kind,
            frozenset(finding.hosts),
            finding.where,
            finding.direction,
            finding.fraction_of_expected,
        )
        for finding in findings
    }


# A pair that comes and goes more slowly than it is visited may never be seen, one figure that lies high
# hides a slow direction, and a fabric with racks is not told from a quarter of bad cables.
UNSEEN = {"flapping pair, slow", "slow pair, some figures lie high", "25% bad cables"}
SEEN = [name for name in SCENARIOS if name not in UNSEEN]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", SEEN)
def test_each_fault_is_named_in_each_fabric(name: str, shape: str):
    for nodes in (16, 33):
        probe, faults = measurable(name, shape, nodes, seed=3)
        assert METHODS["clusterboot, full"](probe) == named(faults, probe.nodes)


def measurable(name: str, shape: Shape, nodes: int, seed: int) -> tuple[Probe, tuple[Fault, ...]]:
    generator = np.random.default_rng([nodes, seed])
    sound = fabric(shape, nodes, generator)
    faults = SCENARIOS[name][1](sound, generator)
    conditions = Conditions(0.02, **CONDITIONS.get(name, {}))
    return Probe(Cluster(sound, faults, generator, conditions), generator), faults


@pytest.mark.parametrize("shape", SHAPES)
def test_nobody_is_blamed_in_a_clean_fabric(shape: str):
    for seed in range(30):
        generator = np.random.default_rng(seed)
        sound = fabric(shape, int(generator.integers(2, 40)), generator)
        inference = infer(simulate(sound, (), generator, noise=generator.uniform(0.01, 0.08)))
        assert inference.findings == ()
        assert inference.verdict == "ok"


@pytest.mark.parametrize("seed", [5, 17, 21, 25, 29, 31, 36])
def test_disturbances_with_a_long_tail_are_blamed_on_nobody(seed: int):
    generator = np.random.default_rng(seed)
    disturbed = np.triu(0.05 * np.clip(generator.laplace(size=(24, 24)), -8, 6), 1)
    rates = 12 * np.exp(disturbed + disturbed.T + 0.01 * generator.standard_normal((24, 24)))
    np.fill_diagonal(rates, np.nan)
    assert infer(PairMatrix(tuple(f"n{node}" for node in range(24)), rates)).findings == ()


@pytest.mark.parametrize("directions", [1, 2])
def test_a_pair_of_two_racks_that_reads_as_fast_as_a_rack_blames_nobody(directions: int):
    # Racks of two and a node alone, which one reading, or two, would put into a rack.
    rates = np.full((17, 17), 6.0)
    for node in range(0, 16, 2):
        rates[node, node + 1] = rates[node + 1, node] = 12.0
    generator = np.random.default_rng(5)
    rates *= 1 + 0.02 * generator.standard_normal(rates.shape)
    for one, other in ((3, 4), (16, 1))[:directions]:
        rates[one, other] = 12.0
    rates[16, 5] = rates[5, 16] = 12.0
    np.fill_diagonal(rates, np.nan)
    found = infer(PairMatrix(tuple(f"n{node}" for node in range(17)), rates))
    assert (found.verdict, found.findings) == ("ok", ())


@pytest.mark.parametrize("shape", ["racks", "rails"])
def test_a_tenth_of_all_cables_hides_no_tier(shape: Shape):
    for seed in range(8):
        probe, faults = measurable("10% bad cables", shape, 16, seed)
        assert METHODS["clusterboot, full"](probe) == named(faults, probe.nodes)


def test_a_matrix_of_1024_nodes_is_judged():
    matrix = flat(1024, Fault("node", (1000,), 0.4), Fault("link", (3, 5), 0.3))
    assert {finding.hosts for finding in infer(matrix).findings} == {("n1001",), ("n4", "n6")}


@pytest.mark.parametrize("nodes", [3, 4, 5])
def test_a_bad_node_is_named_wherever_it_stands(nodes: int):
    for node, direction in itertools.product(range(nodes), ("out", "in", "both")):
        (finding,) = infer(flat(nodes, Fault("node", (node,), 0.3, direction))).findings
        assert (finding.kind, finding.hosts, finding.direction) == ("node", (f"n{node + 1}",), direction)


@pytest.mark.parametrize("nodes", [3, 4, 5])
def test_a_bad_link_is_named_wherever_it_stands(nodes: int):
    for one, other in itertools.permutations(range(nodes), 2):
        (finding,) = infer(flat(nodes, Fault("link", (one, other), 0.2, "out"))).findings
        assert (finding.kind, finding.direction) == ("link", "out")
        assert finding.hosts == (f"n{one + 1}", f"n{other + 1}")


@pytest.mark.parametrize("nodes", [4, 5, 6, 7, 8, 16, 17])
def test_one_round_leaves_two_candidates_and_what_it_asks_for_decides(nodes: int):
    whole = flat(nodes, Fault("node", (1,), 0.3))
    partial = only(whole, 1)
    (finding,) = measured(infer(partial).findings)
    assert len(finding.hosts) == 2
    assert "n2" in finding.hosts
    assert len(finding.next_pairs) == 2
    rates = partial.bandwidth_gb_s.copy()
    for one, other in finding.next_pairs:
        pair = whole.nodes.index(one), whole.nodes.index(other)
        assert np.isnan(rates[pair])
        rates[pair], rates[pair[::-1]] = whole.bandwidth_gb_s[pair], whole.bandwidth_gb_s[pair[::-1]]
    (certain,) = measured(infer(replace(partial, bandwidth_gb_s=rates)).findings)
    assert (certain.kind, certain.hosts, certain.next_pairs) == ("node", ("n2",), ())


def test_a_bad_link_of_one_round_is_a_link_once_both_ends_met_others():
    whole = flat(8, Fault("link", (1, 6), 0.3))
    (finding,) = infer(only(whole, 1)).findings
    assert set(finding.hosts) == {"n2", "n7"}
    (certain,) = infer(only(whole, 3)).findings
    assert (certain.kind, set(certain.hosts), certain.next_pairs) == ("link", {"n2", "n7"}, ())


def test_nothing_measured_is_inconclusive_for_every_node():
    matrix = PairMatrix(("a", "b", "c"), np.full((3, 3), np.nan))
    inference = infer(matrix)
    assert inference.verdict == "inconclusive"
    assert [finding.fraction_of_expected for finding in inference.findings] == [None] * 3


def test_everything_dead_is_slow_and_blames_no_link():
    inference = infer(flat(4, *(Fault("node", (node,), 0.0) for node in range(4))))
    assert inference.verdict == "slow"
    assert {finding.kind for finding in inference.findings} == {"node"}


def test_two_nodes_alone_say_that_they_have_no_reference():
    assert "no reference" in infer(flat(2)).notes[0]


def test_tiers_are_told_and_not_blamed():
    rates = np.full((16, 16), 24.0)
    rack = np.arange(16) // 4
    rates[rack[:, None] != rack[None, :]] = 12.0
    inference = infer(simulate(Fabric(rates, ()), (), np.random.default_rng(1), noise=0.01))
    assert "4 sets of 4" in inference.notes[0]


def test_what_was_not_measured_is_said():
    assert "24 of 120 pairs were measured" in infer(only(flat(16), 3)).notes[0]


FAULTY = st.sampled_from([name for name in SCENARIOS if name != "clean"])


@settings(max_examples=share(20), deadline=None)
@given(FAULTY, st.sampled_from([6, 13, 16, 20]), st.integers(0, 1000), st.randoms(use_true_random=False))
def test_other_names_and_another_order_change_only_the_names(name, nodes, seed, shuffler):
    if nodes < SCENARIOS[name][0]:
        nodes = 16
    generator = np.random.default_rng(seed)
    sound = fabric("flat", nodes, generator)
    matrix = simulate(sound, SCENARIOS[name][1](sound, generator), generator, noise=0.02)
    order = list(range(nodes))
    shuffler.shuffle(order)
    moved = PairMatrix(
        tuple(matrix.nodes[node] for node in order), matrix.bandwidth_gb_s[np.ix_(order, order)]
    )
    assert named_by(infer(moved).findings) == named_by(infer(matrix).findings)


@settings(max_examples=share(20), deadline=None)
@given(FAULTY, st.integers(0, 1000))
def test_the_transposed_matrix_has_out_and_in_exchanged(name, seed):
    generator = np.random.default_rng(seed)
    sound = fabric("flat", 16, generator)
    matrix = simulate(sound, SCENARIOS[name][1](sound, generator), generator, noise=0.02)
    flipped = infer(replace(matrix, bandwidth_gb_s=matrix.bandwidth_gb_s.T))
    there = {
        (kind, hosts, where, FLIPPED[direction] if kind != "link" else direction, fraction)
        for kind, hosts, where, direction, fraction in core(infer(matrix).findings)
    }
    assert core(flipped.findings) == there
    links = {finding.hosts for finding in infer(matrix).findings if finding.kind == "link"}
    assert {
        finding.hosts if finding.direction == "both" else finding.hosts[::-1]
        for finding in flipped.findings
        if finding.kind == "link"
    } == links


@settings(max_examples=share(15), deadline=None)
@given(FAULTY, st.integers(0, 1000), st.sampled_from([1e-6, 0.001, 0.125, 8.0, 1e9]))
def test_another_unit_changes_nothing(name, seed, factor):
    generator = np.random.default_rng(seed)
    sound = fabric("flat", 16, generator)
    matrix = simulate(sound, SCENARIOS[name][1](sound, generator), generator, noise=0.02)
    scaled = infer(replace(matrix, bandwidth_gb_s=matrix.bandwidth_gb_s * factor))
    was = infer(matrix)
    assert scaled.verdict == was.verdict
    assert [(f.kind, f.hosts, f.direction) for f in scaled.findings] == [
        (f.kind, f.hosts, f.direction) for f in was.findings
    ]


CELLS = st.one_of(
    st.just(0.0), st.just(float("nan")), st.floats(5e-324, 1e12), st.floats(9.0, 11.0), st.just(10.0)
)


@settings(max_examples=share(80), deadline=None)
@given(st.integers(2, 9).flatmap(lambda size: arrays(float, (size, size), elements=CELLS)))
def test_any_matrix_gets_a_verdict_that_its_findings_bear_out(rates):
    np.fill_diagonal(rates, np.nan)
    nodes = tuple(f"n{index}" for index in range(len(rates)))
    inference = infer(PairMatrix(nodes, rates))
    fractions = [finding.fraction_of_expected for finding in inference.findings]
    assert (inference.verdict == "slow") == any(fraction is not None for fraction in fractions)
    for finding in inference.findings:
        assert set(finding.hosts) <= set(nodes)
        assert finding.fraction_of_expected is None or 0 <= finding.fraction_of_expected < 1
        assert (finding.where is not None) == (finding.kind == "group")
        assert all(one in nodes and other in nodes and one != other for one, other in finding.next_pairs)
    alone = {
        node for at, node in enumerate(nodes) if np.isnan(rates[at]).all() and np.isnan(rates[:, at]).all()
    }
    assert alone == {
        finding.hosts[0] for finding in inference.findings if finding.fraction_of_expected is None
    }
