"""What a link map measures within which time, and what becomes of the rows."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from itertools import combinations, permutations
from pathlib import Path

import numpy as np
import pytest

from clusterboot.errors import UsageError
from clusterboot.linkmap.measurement_plan import (
    Known,
    LinkPlan,
    MapMode,
    PlannedRound,
    apart_plan,
    first_plan,
    options_at_length,
    remaining,
)
from clusterboot.linkmap.pair_matrix import Finding, Inference
from clusterboot.linkmap.progress import Crowd, LinkState
from clusterboot.linkmap.resume import read_earlier, resume
from clusterboot.programs.collbench.pairs_options import PairsOptions, cost
from clusterboot.programs.collbench.pairs_output import PairRow, PairSamples


def main_pairs(plan: LinkPlan) -> list[tuple[int, int]]:
    return [pair for each in plan.rounds if each.taking == "first" for pair in each.pairs]


def alone(plan: LinkPlan) -> list[PlannedRound]:
    return [each for each in plan.rounds if each.taking == "solo"]


def row(sender: int, receiver: int, gb_s: float) -> PairRow:
    return PairRow(0, sender, receiver, 4096, gb_s, 2.0 if gb_s else None, gb_s)


@pytest.mark.parametrize("mode", ["full", "adaptive"])
@pytest.mark.parametrize("nodes", [2, 3, 8, 15, 64])
def test_a_full_and_an_adaptive_map_meet_every_pair_once(nodes: int, mode: MapMode) -> None:
    plan = first_plan(nodes, mode, PairsOptions(), None, Known.nothing(nodes))
    assert sorted(main_pairs(plan)) == list(combinations(range(nodes), 2))


def test_large_maps_end_with_pairs_alone_that_were_measured_among_others() -> None:
    plan = first_plan(16, "full", PairsOptions(), None, Known.nothing(16))
    assert list(plan.rounds[-4:]) == alone(plan)
    assert all(len(each.pairs) == 1 and each.pairs[0] in plan.rounds[0].pairs for each in alone(plan))
    assert alone(first_plan(4, "full", PairsOptions(), None, Known.nothing(4))) == []


@pytest.mark.parametrize("nodes", [64, 65, 300])
def test_an_adaptive_map_plans_for_less_than_half_of_a_tournaments_measurements(nodes: int) -> None:
    adaptive, full = (
        cost(first_plan(nodes, mode, PairsOptions(), None, Known.nothing(nodes)).rounds, PairsOptions())
        for mode in ("adaptive", "full")
    )
    assert adaptive.measurements < 0.4 * full.measurements
    assert adaptive.time_s < 0.5 * full.time_s


@pytest.mark.parametrize("budget_s", [8.0, 12.0, 30.0, 100.0])
def test_a_budget_is_kept_by_shorter_pairs_and_then_by_fewer_rounds(budget_s: float) -> None:
    plan = first_plan(64, "adaptive", PairsOptions(), budget_s, Known.nothing(64))
    assert np.bincount(np.array(main_pairs(plan)).ravel(), minlength=64).min() >= 3
    assert cost(plan.rounds, plan.options).time_s <= budget_s
    assert plan.options.limit_s <= 3 * plan.options.pair_s
    assert 0.1 <= plan.options.pair_s <= 1
    assert plan.rounds


def test_a_budget_for_nothing_is_refused_with_one_that_would_do() -> None:
    with pytest.raises(UsageError, match="67 rounds do not fit") as refused:
        first_plan(64, "full", PairsOptions(), 6.0, Known.nothing(64))
    enough_s = float(str(refused.value.remedy).split()[1])
    assert first_plan(64, "full", PairsOptions(), enough_s + 1, Known.nothing(64)).rounds


def test_what_both_directions_are_known_of_is_not_measured_again() -> None:
    state = LinkState.empty(["a", "b", "c", "d"])
    state.one_way_gb_s[0, 1] = state.one_way_gb_s[1, 0] = 0  # dead is known
    state.one_way_gb_s[2, 3] = 1
    state.both_gb_s[0, 2] = state.both_gb_s[2, 0] = 1
    known = state.known(range(4))
    full = PlannedRound(((0, 1), (2, 3)))
    assert remaining((PlannedRound(((0, 1),)), full), known) == (PlannedRound(((2, 3),)),)
    assert remaining((PlannedRound(((0, 2),), both_only=True),), known) == ()
    assert remaining((PlannedRound(((0, 2),)),), known) != ()
    assert (0, 1) not in main_pairs(first_plan(4, "full", PairsOptions(), None, known))


def test_what_comes_and_goes_is_measured_for_a_time_that_its_samples_do_not_decide_on() -> None:
    usual = PairsOptions(pair_s=0.5)
    assert usual.least_s == 0
    sick = options_at_length(usual)
    assert sick.least_s == sick.limit_s == 28
    steady = options_at_length(usual, may_end_early=True)
    assert usual.limit_s < steady.least_s < steady.limit_s


def test_a_shared_fabric_is_measured_a_few_pairs_at_once_and_no_longer_than_allowed() -> None:
    whole = apart_plan("adaptive", PairsOptions(), None, Known.nothing(16), 2)
    assert whole is not None
    assert max(len(each.pairs) for each in whole.rounds) == 2
    assert sorted(main_pairs(whole)) == list(combinations(range(16), 2))
    short = apart_plan("adaptive", PairsOptions(), 30.0, Known.nothing(16), 2)
    assert short is not None
    assert cost(short.rounds, short.options).time_s <= 30
    assert np.bincount(np.array(main_pairs(short)).ravel()).min() >= 2
    assert apart_plan("adaptive", PairsOptions(), 5.0, Known.nothing(16), 2) is None


def test_rows_enter_under_the_maps_own_order_and_strangers_do_not() -> None:
    state = LinkState.empty(["a", "b", "c"])
    state.take(row(0, 1, 5.0), [2, 0])
    state.take(row(0, 7, 9.0), [2, 0])
    assert state.one_way_gb_s[2, 0] == state.both_gb_s[2, 0] == 5
    assert state.latency_us[2, 0] == 2
    assert np.count_nonzero(~np.isnan(state.matrix.bandwidth_gb_s)) == 1


def test_the_samples_of_all_visits_count_alike() -> None:
    state = LinkState.empty(["a", "b"])
    for visit in ((5.0, 5.1, 4.9), (5.2, 5.0, 9.0), (4.8, 5.0, 5.1)):
        samples = [PairSamples(0, 0, 1, both, True, 1000, visit) for both in (False, True)]
        state.take(row(0, 1, sorted(visit)[1]), [0, 1], "again", samples)
    assert state.one_way_gb_s[0, 1] == 5.0
    assert state.looked == {(0, 1): 3}
    told = state.matrix.samples
    assert told is not None
    assert (told.count[0, 1], told.bytes[0, 1]) == (9, 9000)
    assert (told.min_gb_s[0, 1], told.max_gb_s[0, 1]) == (4.8, 9.0)
    assert told.low[0, 1] == 0
    samples = [PairSamples(3, 0, 1, both, True, 1000, (0.5, 0.6, 2.4)) for both in (False, True)]
    state.take(row(0, 1, 0.6), [0, 1], "again", samples)
    assert told.low[0, 1] == 0
    told = state.matrix.samples
    assert told is not None
    assert told.low[0, 1] == 3


def test_a_pair_is_dead_only_where_every_visit_found_it_dead() -> None:
    state = LinkState.empty(["a", "b"])
    state.take(row(0, 1, 0.0), [0, 1])
    assert state.both_gb_s[0, 1] == 0
    samples = [PairSamples(1, 0, 1, both, True, 1000, (5.0, 5.1, 4.9)) for both in (False, True)]
    state.take(row(0, 1, 5.0), [0, 1], "again", samples)
    assert state.both_gb_s[0, 1] == 5.0
    told = state.matrix.samples
    assert told is not None
    assert (told.count[0, 1], told.min_gb_s[0, 1]) == (4, 0)


def test_directions_whose_time_was_spent_are_told() -> None:
    state = LinkState.empty(["a", "b"])
    for sender, settled in ((0, True), (1, False)):
        samples = [PairSamples(0, sender, 1 - sender, True, settled, 1000, (5.0, 4.0, 3.0))]
        state.take(row(sender, 1 - sender, 4.0), [0, 1], "first", samples)
    assert state.to_json(Inference("ok"))["unsettled"] == [["b", "a"]]


def crowded(nodes: int, ratio: float) -> LinkState:
    state = LinkState.empty([f"n{at}" for at in range(nodes)])
    for one, other in permutations(range(nodes), 2):
        state.take(row(one, other, 1.0), range(nodes))
    for one, other in ((0, 1), (1, 0), (2, 3), (3, 2)):
        state.take(row(one, other, ratio), range(nodes), "solo")
    return state


def test_pairs_that_are_much_faster_alone_tell_of_a_shared_fabric() -> None:
    assert crowded(8, 1.1).see_crowd(Inference("ok")) is None
    state = crowded(8, 2.0)
    crowd = state.see_crowd(Inference("ok"))
    assert crowd == Crowd(alone_gb_s=2.0, together_gb_s=1.0, pairs_together=4, pairs_at_once=1)
    assert state.one_way_gb_s[0, 1] == 1
    state.one_way_gb_s[6, 7] = 0
    state.forget_crowded(crowd)
    assert np.count_nonzero(~np.isnan(state.one_way_gb_s)) == 1
    assert state.one_way_gb_s[6, 7] == 0
    assert any("the fabric between the nodes is shared" in note for note in state.inference().notes)


def test_pairs_across_a_groups_edge_tell_of_its_uplink_and_not_of_the_fabric() -> None:
    group = Finding("group", ("n0", "n2"), "both", 0.1, "", "across")
    assert crowded(8, 2.0).see_crowd(Inference("slow", (group,))) is None
    state = LinkState.empty([f"n{at}" for at in range(16)])
    for one, other in permutations(range(16), 2):
        across = (one < 4) != (other < 4)
        state.take(row(one, other, 0.1 if across else 1.0), range(16))
    state.take(row(0, 9, 0.4), range(16), "solo")
    (finding,) = state.inference().findings
    assert (finding.kind, finding.hosts) == ("group", ("n0", "n1", "n2", "n3"))
    assert "a pair across alone gives 4.0 times as much: they share an uplink" in finding.evidence


def test_pairs_known_with_both_directions_at_once_only_make_that_the_matrix() -> None:
    state = LinkState.empty(["a", "b", "c"])
    state.take(row(0, 1, 5.0), range(3))
    assert state.matrix.one_way_gb_s is None
    state.take(replace(row(0, 2, 4.0), busbw_gb_s=None), range(3))
    assert state.matrix.bandwidth_gb_s[0, 2] == 4
    assert state.matrix.one_way_gb_s is not None
    assert np.isnan(state.matrix.one_way_gb_s[0, 2])


def test_a_node_that_was_set_aside_is_named_with_the_reason() -> None:
    state = LinkState.empty(["a", "b", "c", "d"])
    for one, other in combinations(range(3), 2):
        state.take(row(one, other, 1.0), range(4))
        state.take(row(other, one, 1.0), range(4))
    state.set_aside["d"] = "connect: no answer"
    found = state.inference()
    (finding,) = found.findings
    assert (finding.hosts, finding.fraction_of_expected, found.verdict) == (("d",), None, "inconclusive")
    assert "connect: no answer" in finding.evidence


def test_a_result_is_resumed_by_name(tmp_path: Path) -> None:
    earlier = LinkState.empty(["a", "b", "c", "gone"])
    earlier.take(row(0, 1, 3.0), range(4))
    earlier.take(replace(row(0, 2, 4.0), busbw_gb_s=None), range(4))
    earlier.rounds, earlier.launches, earlier.crowd = 4, 1, Crowd(2.0, 1.0, 4, 2)
    text = json.dumps(earlier.to_json(earlier.inference()), default=asdict)
    (tmp_path / "result.json").write_text(text)
    state = resume(read_earlier(tmp_path), ["new", "c", "b", "a"])
    assert state.one_way_gb_s[3, 2] == state.both_gb_s[3, 2] == 3
    assert state.latency_us[3, 2] == 2
    assert state.both_gb_s[3, 1] == 4
    assert np.count_nonzero(~np.isnan(state.one_way_gb_s)) == 1
    assert np.count_nonzero(~np.isnan(state.both_gb_s)) == 2
    assert (state.rounds, state.launches, state.crowd) == (4, 1, earlier.crowd)
    for mine, was in (
        (state.one_way_samples, earlier.one_way_samples),
        (state.both_samples, earlier.both_samples),
    ):
        assert mine.summary.count[3, 2] == was.summary.count[0, 1] == 1
        assert np.count_nonzero(mine.summary.count) == np.count_nonzero(was.summary.count)


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", ",a,b\na,,1\nb,1,\n", '{"nodes": ["x", "y"], "bandwidth_gb_s": [[null, 1], [1, null]]}'],
)
def test_what_cannot_be_resumed_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "result.json"
    path.write_text(text)
    with pytest.raises(UsageError):
        resume(read_earlier(path), ["a", "b"])
    with pytest.raises(UsageError):
        resume(read_earlier(tmp_path / "nowhere.json"), ["a", "b"])


def test_a_matrix_stays_as_it_is_while_its_state_goes_on() -> None:
    state = LinkState.empty(["a", "b"])
    before = state.matrix
    state.take(row(0, 1, 2.0), range(2))
    assert state.matrix.bandwidth_gb_s[0, 1] == 2
    assert np.isnan(before.bandwidth_gb_s[0, 1])
