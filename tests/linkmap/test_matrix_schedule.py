"""Which pairs are measured: every one once, or as few as settle what is open."""

from __future__ import annotations

import itertools
import zlib
from dataclasses import replace

import numpy as np
import pytest
from methods import METHODS, Probe
from scenarios import SCENARIOS
from simulator import (
    MOST_SAMPLES,
    Cluster,
    Conditions,
    Fabric,
    Fault,
    at_once,
    fabric,
    measured,
    named,
    simulate,
    with_faults,
)

from clusterboot.linkmap.inference.schedule import adaptive_rounds, few_rounds, next_round, rounds
from clusterboot.linkmap.pair_matrix import PairMatrix, Rates


@pytest.mark.parametrize("nodes", [0, 1, 2, 3, 4, 5, 8, 15, 16, 65])
def test_in_a_tournament_every_pair_meets_once(nodes: int):
    plan = rounds(nodes)
    pairs = list(itertools.chain(*plan))
    assert sorted(pairs) == list(itertools.combinations(range(nodes), 2))
    assert len(plan) == (0 if nodes < 2 else nodes - 1 if nodes % 2 == 0 else nodes)


@pytest.mark.parametrize("nodes", [2, 3, 5, 16, 65, 1024])
def test_no_node_is_twice_in_a_round(nodes: int):
    for plan in (rounds(nodes), few_rounds(nodes)):
        for each in plan:
            ends = list(itertools.chain(*each))
            assert len(ends) == len(set(ends))
            assert len(each) == nodes // 2


@pytest.mark.parametrize("nodes", [2, 3, 5, 16, 65])
def test_the_adaptive_rounds_are_a_whole_tournament(nodes: int):
    quick, others = adaptive_rounds(nodes)
    assert sorted((*quick, *others)) == sorted(rounds(nodes))
    partners = np.bincount(list(itertools.chain(*itertools.chain(*quick))), minlength=nodes)
    assert partners.min() >= min(4, nodes - 1)


@pytest.mark.parametrize(("nodes", "least"), [(2, 1), (4, 3), (16, 6), (17, 6), (64, 8), (1024, 128)])
def test_few_rounds_give_each_node_several_partners(nodes: int, least: int):
    plan = few_rounds(nodes)
    partners = np.bincount(list(itertools.chain(*itertools.chain(*plan))), minlength=nodes)
    assert partners.min() >= least
    assert len(set(itertools.chain(*plan))) == sum(map(len, plan))
    if nodes >= 64:
        assert len(plan) < len(rounds(nodes)) / 4


def clean(nodes: int) -> PairMatrix:
    sound = Fabric(np.full((nodes, nodes), 12.0), ())
    return simulate(sound, (), np.random.default_rng(1), noise=0.02)


def test_nothing_more_is_measured_where_nothing_is_open():
    assert next_round(clean(16)) == ()


def test_a_node_that_nobody_measured_is_measured_next():
    matrix = clean(8)
    rates = matrix.bandwidth_gb_s.copy()
    rates[4, :] = rates[:, 4] = np.nan
    (pair,) = next_round(replace(matrix, bandwidth_gb_s=rates))
    assert 4 in pair


def test_where_nothing_can_be_trusted_the_next_round_is_of_new_pairs():
    matrix = PairMatrix(clean(8).nodes, np.full((8, 8), np.nan))
    assert len(next_round(matrix)) >= 1


@pytest.mark.parametrize(
    "faults",
    [
        (),
        (Fault("node", (9,), 0.4),),
        (Fault("node", (9,), 0.4, "out"),),
        (Fault("link", (9, 44), 0.4),),
        (Fault("link", (9, 44), 0.4, "out"),),
        (Fault("link", (9, 44), 0.0),),
        (Fault("node", (9,), 0.4), Fault("node", (40,), 0.4)),
        (Fault("group", (3, 9, 20, 33, 50), 0.3, where="across"),),
        (Fault("group", tuple(range(0, 24, 2)), 0.3, where="across"),),
    ],
)
def test_adaptive_names_the_fault_with_less_than_half_of_the_measurements(faults: tuple[Fault, ...]):
    generator = np.random.default_rng(0)
    sound = Fabric(np.full((64, 64), 12.0), ())
    probe = Probe(Cluster(sound, faults, generator, Conditions(0.03)), generator)
    assert METHODS["clusterboot, adaptive"](probe) == named(faults, probe.nodes)
    assert probe.measurements < 3 * 64 * 63 / 2 / 2


class Still(Cluster):
    """A cluster in which every visit to a pair gives the same figure."""

    def __init__(self, one_way: Rates, both: Rates) -> None:
        self.nodes = tuple(f"n{index + 1}" for index in range(len(one_way)))
        self._rates = {False: one_way, True: both}

    def visit(self, senders, receivers, start_s, *, both):
        return np.repeat(self._rates[both][senders, receivers][:, None], MOST_SAMPLES, axis=1)


@pytest.mark.parametrize("trial", [1, 12, 14])
def test_adaptive_keeps_a_slow_group_whole_where_single_directions_gain_over_both_at_once(trial: int):
    # Pairs of one rail across the group's edge are of another tier than the map takes them for, and
    # what they gain in one direction by itself is that tier's, not a direction that was held up.
    generator = np.random.default_rng([64, trial, 30, zlib.crc32(b"slow grouprails")])
    sound = fabric("rails", 64, generator)
    faults = SCENARIOS["slow group"][1](sound, generator)
    matrix = simulate(sound, faults, generator, noise=0.03)
    both = measured(at_once(sound, with_faults(sound, faults), generator), 0.03, generator)
    probe = Probe(Still(matrix.bandwidth_gb_s, both), generator)
    assert METHODS["clusterboot, adaptive"](probe) == named(faults, matrix.nodes)
