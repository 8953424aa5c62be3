"""What a link map measures within which time, and what becomes of the rows."""

from __future__ import annotations

import json
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest

from clusterboot.bench.pairs import PairRow
from clusterboot.bench.pairs_options import PairsOptions, cost
from clusterboot.diagnose.matrix.records import PairMatrix
from clusterboot.errors import UsageError
from clusterboot.flows.link_plan import LinkPlan, MapMode, first_plan, remaining
from clusterboot.flows.link_state import LinkState, resume


def nothing(nodes: int) -> PairMatrix:
    return LinkState.empty([f"n{at}" for at in range(nodes)]).matrix


def main_pairs(plan: LinkPlan) -> list[tuple[int, int]]:
    return [pair for each in plan.rounds[: len(plan.rounds) - plan.solo_rounds] for pair in each]


def row(sender: int, receiver: int, gbps: float) -> PairRow:
    return PairRow(0, sender, receiver, 4096, gbps, 2.0 if gbps else None, gbps)


@pytest.mark.parametrize("nodes", [2, 3, 8, 15, 64])
def test_a_full_map_meets_every_pair_once(nodes: int) -> None:
    plan = first_plan(nodes, "full", PairsOptions(), None, nothing(nodes))
    assert sorted(main_pairs(plan)) == list(combinations(range(nodes), 2))


def test_large_maps_end_with_pairs_alone_that_were_measured_among_others() -> None:
    plan = first_plan(16, "full", PairsOptions(), None, nothing(16))
    alone = plan.rounds[-plan.solo_rounds :]
    assert plan.solo_rounds == 2
    assert all(len(each) == 1 and each[0] in plan.rounds[0] for each in alone)
    assert first_plan(4, "full", PairsOptions(), None, nothing(4)).solo_rounds == 0


@pytest.mark.parametrize("mode", ["quick", "adaptive"])
def test_a_quick_map_of_many_nodes_gives_each_several_partners_in_few_rounds(mode: MapMode) -> None:
    plan = first_plan(64, mode, PairsOptions(), None, nothing(64))
    partners = np.bincount(np.array(main_pairs(plan)).ravel(), minlength=64)
    assert partners.min() >= 3
    assert len(plan.rounds) < 20


@pytest.mark.parametrize("budget_s", [8.0, 12.0, 30.0, 100.0])
@pytest.mark.parametrize("mode", ["quick", "adaptive"])
def test_a_budget_is_kept_by_shorter_pairs_and_then_by_fewer_rounds(mode: MapMode, budget_s: float) -> None:
    plan = first_plan(64, mode, PairsOptions(), budget_s, nothing(64))
    assert cost(plan.rounds, plan.options).time_s <= budget_s
    assert 0.1 <= plan.options.pair_s <= 1
    assert plan.rounds


def test_a_budget_for_nothing_is_refused_with_one_that_would_do() -> None:
    with pytest.raises(UsageError, match="63 rounds do not fit") as refused:
        first_plan(64, "full", PairsOptions(), 6.0, nothing(64))
    enough_s = float(str(refused.value.remedy).split()[1])
    assert first_plan(64, "full", PairsOptions(), enough_s + 1, nothing(64)).rounds


def test_what_both_directions_are_known_of_is_not_measured_again() -> None:
    matrix = nothing(4)
    matrix.bandwidth_gbps[0, 1] = matrix.bandwidth_gbps[1, 0] = 0  # dead is known
    matrix.bandwidth_gbps[2, 3] = 1
    assert remaining((((0, 1),), ((0, 1), (2, 3))), matrix) == (((2, 3),),)
    assert (0, 1) not in main_pairs(first_plan(4, "full", PairsOptions(), None, matrix))


def test_rows_enter_under_the_maps_own_order_and_strangers_do_not() -> None:
    state = LinkState.empty(["a", "b", "c"])
    state.take(row(0, 1, 5.0), [2, 0])
    state.take(row(0, 7, 9.0), [2, 0])
    assert state.bandwidth_gbps[2, 0] == 5
    assert state.latency_us[2, 0] == 2
    assert np.count_nonzero(~np.isnan(state.bandwidth_gbps)) == 1


def test_of_two_looks_the_better_counts() -> None:
    state = LinkState.empty(["a", "b"])
    for gbps in (5.0, 9.0, 1.0):
        state.take(row(0, 1, gbps), [0, 1], "again")
    assert state.bandwidth_gbps[0, 1] == 9


@pytest.mark.parametrize(("alone", "told"), [(1.1, False), (2.0, True)])
def test_pairs_that_are_much_faster_alone_tell_of_a_shared_fabric(alone: float, told: bool) -> None:
    state = LinkState.empty(["a", "b", "c", "d"])
    for one, other in combinations(range(4), 2):
        state.take(row(one, other, 1.0), range(4))
        state.take(row(other, one, 1.0), range(4))
    state.take(row(0, 1, alone), range(4), "solo")
    assert any("fabric between them is shared" in note for note in state.inference().notes) is told
    assert state.bandwidth_gbps[0, 1] == 1


def test_a_node_that_was_set_aside_is_named_with_the_reason() -> None:
    state = LinkState.empty(["a", "b", "c", "d"])
    for one, other in combinations(range(3), 2):
        state.take(row(one, other, 1.0), range(4))
        state.take(row(other, one, 1.0), range(4))
    state.set_aside["d"] = "connect: no answer"
    found = state.inference()
    (finding,) = found.findings
    assert (finding.hosts, finding.severity, found.verdict) == (("d",), None, "inconclusive")
    assert "connect: no answer" in finding.evidence


def test_a_result_is_resumed_by_name(tmp_path: Path) -> None:
    earlier = LinkState.empty(["a", "b", "gone"])
    earlier.take(row(0, 1, 3.0), range(3))
    earlier.rounds, earlier.launches = 4, 1
    text = json.dumps(earlier.to_json(earlier.inference()))
    (tmp_path / "result.json").write_text(text)
    state = resume(tmp_path, ["new", "b", "a"])
    assert state.bandwidth_gbps[2, 1] == state.both_gbps[2, 1] == 3
    assert state.latency_us[2, 1] == 2
    assert np.count_nonzero(~np.isnan(state.bandwidth_gbps)) == 1
    assert (state.rounds, state.launches) == (4, 1)


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"nodes": ["x", "y"], "bandwidth_gbps": [[null, 1], [1, null]]}']
)
def test_what_cannot_be_resumed_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "result.json"
    path.write_text(text)
    with pytest.raises(UsageError):
        resume(path, ["a", "b"])
    with pytest.raises(UsageError):
        resume(tmp_path / "nowhere.json", ["a", "b"])
