"""What single measurements say: who swings, what all do alike, and how many bad links can be told."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from methods import METHODS, Probe
from repetition import share
from scenarios import HEAVY, OUTLIERS
from simulator import Cluster, Conditions, Fabric, Fault, fabric, figures, measured, named

from clusterboot.linkmap.inference.infer import infer
from clusterboot.linkmap.inference.noise import edge
from clusterboot.linkmap.inference.schedule import MOST_LOOKS, adaptive_rounds, second_looks
from clusterboot.linkmap.pair_matrix import SAMPLE_RATES, PairMatrix, Samples

RATE_GB_S = 0.0357


def probe_of(nodes: int, *faults: Fault, seed: int = 1, noise: float = 0.01, **disturbed: float) -> Probe:
    generator = np.random.default_rng(seed)
    sound = Fabric(np.full((nodes, nodes), RATE_GB_S), ())
    return Probe(Cluster(sound, faults, generator, Conditions(noise, **disturbed)), generator)


def mapped(probe: Probe) -> PairMatrix:
    """Measure as an adaptive map does, before it looks at anything twice."""
    quick, others = adaptive_rounds(len(probe.nodes))
    for each in quick:
        probe.round(each)
    for each in others:
        probe.sweep(each)
    return probe.swept()


@pytest.mark.parametrize("period_s", [0.3, 0.5, 0.6, 1.0, 2.0, 4.0])
def test_a_node_that_comes_and_goes_is_named_alone(period_s: float):
    for seed in range(4):
        fault = Fault("node", (4,), 0.07, period_s=period_s)
        probe = probe_of(8, fault, seed=seed)
        assert METHODS["clusterboot, adaptive"](probe) == named([fault], probe.nodes)
        (finding,) = infer(probe.swept()).findings
        assert 0 < (finding.fraction_of_expected or 0) < 0.95
        # By chance all visits of a few seconds may find it bad.
        assert period_s > 1 or "swing between" in finding.evidence
        assert period_s > 1 or finding.stability == "swinging"


def test_a_link_that_comes_and_goes_is_named_although_its_median_is_good():
    fault = Fault("link", (1, 5), 0.07, period_s=0.3, duty=0.3)
    matrix = mapped(probe_of(8, fault, seed=2))
    assert matrix.bandwidth_gb_s[1, 5] > 0.9 * RATE_GB_S
    (finding,) = infer(matrix).findings
    assert (finding.kind, set(finding.hosts), finding.stability) == ("link", {"n2", "n6"}, "swinging")
    assert finding.next_pairs == ()


def test_of_few_nodes_more_visits_are_asked_for():
    fault = Fault("link", (1, 3), 0.07, period_s=0.3)
    probe = probe_of(4, fault, seed=2)
    matrix = mapped(probe)
    (finding,) = infer(matrix).findings
    assert set(finding.hosts) == {"n2", "n4"}
    assert finding.next_pairs
    looks = second_looks(matrix, infer(matrix), {})
    asked = {tuple(sorted(probe.nodes.index(host) for host in pair)) for pair in finding.next_pairs}
    assert asked <= set(looks)
    for pair in looks:
        probe.round((pair,))
    (certain,) = infer(probe.swept()).findings
    assert (certain.kind, set(certain.hosts), certain.next_pairs) == ("link", {"n2", "n4"}, ())


def of_visits(rates: dict[tuple[int, int], tuple[list[float], list[float]]], nodes: int = 8) -> PairMatrix:
    """Give the matrix of an adaptive map in which all pairs are sound but for some directions.

    Parameters: the samples of these, as shares of the usual rate: by themselves, and both ways at once.
    """
    matrix = mapped(probe_of(nodes))
    ways = (
        (matrix.one_way_gb_s, matrix.one_way_samples),
        (matrix.bandwidth_gb_s, matrix.samples),
    )
    for at, shares in rates.items():
        for (medians, samples), each in zip(ways, shares, strict=True):
            assert medians is not None
            assert samples is not None
            usual = float(np.nanmedian(medians))
            (count, low), figured = figures(np.array([each]) * usual)
            samples.count[at], samples.low[at], medians[at] = count[0], low[0], figured[0, 0]
            for name, value in zip(SAMPLE_RATES, figured[:, 0], strict=True):
                getattr(samples, name)[at] = value
    return matrix


SOUND = [1.0, 0.99, 1.01, 1.0, 1.0, 0.98]
BAD = [0.1, 0.11, 0.1, 0.1, 0.12, 0.1]


def test_a_link_that_was_bad_at_few_of_many_visits_is_named():
    # Fewer than a quarter of the samples: the quartiles alone tell of a single one.
    mostly = [*SOUND, *SOUND, *SOUND, *BAD[:4]]
    matrix = of_visits({(1, 5): (mostly, mostly), (5, 1): (mostly, mostly)})
    (finding,) = infer(matrix).findings
    assert (finding.kind, set(finding.hosts), finding.direction) == ("link", {"n2", "n6"}, "both")
    assert finding.stability == "swinging"
    unknown = {"low": np.zeros((8, 8), dtype=np.int64)}
    for samples in (matrix.samples, matrix.one_way_samples):
        assert samples is not None
        samples.low[:] = unknown["low"]
    assert infer(matrix).findings == ()


def test_a_link_that_was_bad_while_its_directions_went_by_themselves_is_named():
    half = [*SOUND, *BAD]
    matrix = of_visits({(1, 5): (half, SOUND), (5, 1): (half, SOUND)})
    (finding,) = infer(matrix).findings
    assert (finding.kind, set(finding.hosts), finding.direction) == ("link", {"n2", "n6"}, "both")
    assert infer(replace(matrix, one_way_samples=None)).findings == ()


def test_a_link_that_was_bad_by_itself_at_times_is_no_link_that_is_slow_one_way():
    matrix = of_visits({(1, 5): (BAD, BAD), (5, 1): ([*SOUND, *SOUND, *BAD], BAD)})
    (finding,) = infer(matrix).findings
    assert (set(finding.hosts), finding.direction) == ({"n2", "n6"}, "both")


def test_a_link_that_is_slow_one_way_and_holds_the_other_up_is_slow_one_way():
    matrix = of_visits({(1, 5): (BAD, BAD), (5, 1): (SOUND, BAD)})
    (finding,) = infer(matrix).findings
    assert (finding.hosts, finding.direction) == (("n2", "n6"), "out")
    # The other way may have gone by itself while the link was back.
    asked = [(1, 5) in second_looks(matrix, infer(matrix), {(1, 5): times}) for times in (2, MOST_LOOKS)]
    assert asked == [True, False]


def test_a_pair_with_one_low_sample_is_blamed_for_nothing_and_looked_at_twice():
    probe = probe_of(8)
    probe.tournament()
    matrix = probe.matrix()
    assert matrix.samples is not None
    lowest = matrix.samples.min_gb_s.copy()
    lowest[2, 6] = 0.1 * RATE_GB_S
    stalled = replace(matrix, samples=replace(matrix.samples, min_gb_s=lowest))
    inference = infer(stalled)
    assert (inference.verdict, inference.findings) == ("ok", ())
    assert [second_looks(stalled, inference, {(2, 6): times}) for times in (0, 1, 2)] == [
        ((2, 6),),
        ((2, 6),),
        (),
    ]


def test_a_pair_that_is_slow_in_one_direction_is_looked_at_twice():
    probe = probe_of(8, Fault("link", (2, 6), 0.3, "out"))
    probe.tournament()
    matrix = probe.matrix()
    for times, asked in ((0, True), (1, True), (2, False)):
        assert ((2, 6) in second_looks(matrix, infer(matrix), {(2, 6): times})) is asked


def test_a_pair_that_was_held_up_by_itself_is_looked_at_although_both_directions_at_once_were_well():
    probe = probe_of(8)
    matrix = mapped(probe)
    assert matrix.one_way_gb_s is not None
    one, other = np.argwhere(~np.isnan(matrix.one_way_gb_s))[0]
    one_way = matrix.one_way_gb_s.copy()
    one_way[one, other] = 0.2 * RATE_GB_S
    held = replace(matrix, one_way_gb_s=one_way)
    pair = (int(min(one, other)), int(max(one, other)))
    assert infer(held).findings == ()
    assert pair in second_looks(held, infer(held), {})
    assert pair not in second_looks(held, infer(held), {pair: MOST_LOOKS})


def of_two(there: list[float], back: list[float]) -> PairMatrix:
    """Give the matrix of two nodes, from the samples of each direction in all visits."""
    count, rates = figures(np.array([there, back]))
    cells = [np.full((2, 2), np.nan) for _ in rates]
    counts, lows = np.zeros((2, 2, 2), dtype=np.int64)
    for at, cell in enumerate(((0, 1), (1, 0))):
        counts[cell], lows[cell] = count[:, at]
        for each, values in zip(cells, rates[:, at], strict=True):
            each[cell] = values
    samples = Samples(counts, *cells, bytes=counts * (1 << 20), low=lows)
    return PairMatrix(("n1", "n2"), cells[0], samples=samples)


def test_one_of_two_directions_is_not_blamed_by_visits_that_read_too_high():
    matrix = of_two([2.6, 2.5, 2.6, 2.7, 1.0, 1.02], [1.0, 0.98, 1.0, 1.0, 1.03, 0.99])
    inference = infer(matrix)
    assert (inference.verdict, inference.findings) == ("inconclusive", ())
    assert any("at times" in note for note in inference.notes)
    looks = [second_looks(matrix, inference, {(0, 1): times}) for times in range(MOST_LOOKS + 1)]
    assert looks == [*([((0, 1),)] * MOST_LOOKS), ()]


def test_one_of_two_directions_is_blamed_where_the_other_is_fast_throughout():
    matrix = of_two([2.6, 2.5, 2.6, 2.7, 2.5, 2.52], [1.0, 0.98, 1.0, 1.0, 1.03, 0.99])
    (finding,) = infer(matrix).findings
    assert (finding.kind, finding.hosts, finding.direction) == ("link", ("n2", "n1"), "out")


def test_the_few_pairs_that_a_node_is_held_against_are_looked_at_twice():
    probe = probe_of(3, Fault("node", (2,), 0.3))
    probe.tournament()
    matrix = probe.matrix()
    looks = [second_looks(matrix, infer(matrix), {(0, 1): times}) for times in (0, 1, 2)]
    assert looks == [((0, 1),), ((0, 1),), ()]


@pytest.mark.parametrize("disturbed", [HEAVY, OUTLIERS], ids=["heavy tails", "outliers"])
def test_what_all_pairs_do_alike_is_said_and_blamed_on_no_one(disturbed: dict[str, float]):
    for seed in range(8):
        inference = infer(mapped(probe_of(16, seed=seed, noise=0.04, **disturbed)))
        assert (inference.findings, inference.verdict) == ((), "ok")
        assert any("noise of the fabric" in note for note in inference.notes)


def test_a_calm_fabric_has_no_such_note():
    inference = infer(mapped(probe_of(16, Fault("node", (3,), 0.1, period_s=0.3))))
    assert not any("noise" in note for note in inference.notes)


def test_samples_that_are_too_fast_are_no_swing():
    matrix = mapped(probe_of(8))
    assert matrix.samples is not None
    matrix.samples.max_gb_s[2, 3] = matrix.samples.q3_gb_s[2, 3] = 30 * RATE_GB_S
    assert infer(matrix).findings == ()


def test_a_lossy_node_swings_and_is_named_in_its_direction():
    probe = probe_of(8, Fault("node", (4,), 0.6, "in", jitter=0.3), seed=4)
    (finding,) = infer(mapped(probe)).findings
    assert (finding.kind, finding.hosts, finding.direction) == ("node", ("n5",), "in")
    assert finding.stability == "swinging"


def test_a_node_that_is_slow_at_all_times_is_steady():
    (finding,) = infer(mapped(probe_of(8, Fault("node", (4,), 0.3)))).findings
    assert finding.stability == "steady"


@pytest.mark.parametrize("part", [0.1, 0.2, 0.3, 0.45])
def test_bad_links_are_named_up_to_half_of_all(part: float):
    """They are spread evenly, so that no node has more than half of its links bad."""
    nodes = 21
    generator = np.random.default_rng(3)
    rates = np.full((nodes, nodes), 13.5)
    steps = range(1, 1 + round(part * (nodes - 1) / 2))
    bad = {frozenset((node, (node + step) % nodes)) for node in range(nodes) for step in steps}
    for pair in bad:
        one, other = sorted(pair)
        rates[one, other] = rates[other, one] = generator.uniform(0.5, 10)
    matrix = PairMatrix(tuple(f"n{node}" for node in range(nodes)), measured(rates, 0.01, generator))
    inference = infer(matrix)
    assert {finding.kind for finding in inference.findings} == {"link"}
    told = {frozenset(matrix.nodes.index(host) for host in each.hosts) for each in inference.findings}
    assert told == bad


def test_a_gap_ends_the_noise_and_a_heavy_tail_does_not():
    generator = np.random.default_rng(1)
    sound = np.abs(generator.normal(0, 0.02, 1000))
    heavy = np.abs(generator.laplace(0, 0.05, 1000))
    assert edge(heavy, 0.004) > heavy.max()
    for count in (1, 100, 900):
        bad = generator.uniform(0.4, 0.9, count)
        assert sound.max() < edge(np.concatenate([sound, bad]), 0.004) < bad.min()


FIGURES = st.one_of(st.just(float("nan")), st.just(0.0), st.floats(5e-324, 1e12), st.floats(9.0, 11.0))
COUNTS = st.one_of(st.integers(0, 9), st.just(10**12))


@settings(max_examples=share(60), deadline=None)
@given(st.integers(2, 7), st.data())
def test_any_samples_get_a_verdict_that_the_findings_bear_out(nodes: int, data: st.DataObject):
    shape = (nodes, nodes)
    rates = [data.draw(arrays(float, shape, elements=FIGURES)) for _ in range(6)]
    counts = [data.draw(arrays(np.int64, shape, elements=COUNTS)) for _ in range(3)]
    np.fill_diagonal(rates[5], np.nan)
    names = tuple(f"n{index}" for index in range(nodes))
    samples = Samples(counts[0], *rates[:5], bytes=counts[1], low=counts[2])
    one_way = {"one_way_gb_s": rates[4], "one_way_samples": samples} if data.draw(st.booleans()) else {}
    inference = infer(PairMatrix(names, rates[5], samples=samples, **one_way))
    fractions = [finding.fraction_of_expected for finding in inference.findings]
    assert (inference.verdict == "slow") == any(fraction is not None for fraction in fractions)
    assert all(fraction is None or 0 <= fraction <= 1 for fraction in fractions)


def test_a_node_that_sends_slowly_and_whose_receiving_is_held_up_by_that_sends_slowly():
    # Every other cluster holds up the opposite direction where both go at once.
    for seed in range(8):
        fault = Fault("node", (10,), 0.2, "out")
        probe = probe_of(16, fault, seed=seed, noise=0.03)
        assert METHODS["clusterboot, adaptive"](probe) == named([fault], probe.nodes)


def test_a_visit_that_is_low_as_a_whole_by_chance_is_no_swing():
    # Racks of two in a loud fabric, whose visits are off by up to half of their rate now and then.
    generator = np.random.default_rng([2718, 8, 184])
    nodes, noise = round(2 ** generator.uniform(1, 7)), generator.uniform(0.01, 0.08)
    sound = fabric("racks", nodes, generator)
    probe = Probe(Cluster(sound, (), generator, Conditions(noise, **HEAVY)), generator)
    assert METHODS["clusterboot, full"](probe) == frozenset()
