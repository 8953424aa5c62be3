"""Who keeps a run from moving, by what its nodes say at two moments."""

from __future__ import annotations

from clusterboot.run.standstill import RankProcess, Snapshot, Standstill, standstill

SLOTS = {"n1": 1, "n2": 1, "n3": 1}


def node(rank: int, ticks: int, state: str = "R") -> tuple[RankProcess, ...]:
    return (RankProcess(rank, 100 + rank, state, ticks),)


def at_work(ticks: int) -> dict[str, tuple[RankProcess, ...] | None]:
    return {"n1": node(0, ticks), "n2": node(1, ticks), "n3": node(2, ticks)}


def found(before: Snapshot, after: Snapshot) -> Standstill:
    return standstill(before, after, SLOTS)


def told(found: Standstill) -> list[tuple[str, str | None, int | None]]:
    return [(each.kind, each.host, each.rank) for each in found.problems]


def test_nothing_stands_out_where_all_work() -> None:
    assert told(found(at_work(5), at_work(9))) == []


def test_a_rank_that_is_stopped_both_times_is_named() -> None:
    before, after = {**at_work(5), "n2": node(1, 5, "T")}, {**at_work(9), "n2": node(1, 5, "T")}
    assert told(found(before, after)) == [("timeout", "n2", 1)]
    assert found(before, after).is_certain
    # One that goes on by itself was stopped for a moment only.
    assert not found(before, {**at_work(9), "n2": node(1, 6)}).is_certain


def test_a_host_without_an_answer_both_times_is_lost_and_one_that_was_late_is_not() -> None:
    assert told(found({**at_work(5), "n3": None}, {**at_work(9), "n3": None})) == [("killed", "n3", None)]
    assert not found({**at_work(5), "n3": None}, at_work(9)).is_certain
    # One that could not be asked properly is not in it, and is not blamed.
    partly = {name: said for name, said in at_work(9).items() if name != "n3"}
    assert not found(partly, partly).is_certain


def test_where_nobody_answers_it_is_the_way_to_them() -> None:
    nobody: Snapshot = dict.fromkeys(SLOTS)
    assert told(found(nobody, nobody)) == []


def test_the_one_that_does_nothing_is_told_from_those_that_wait_for_it() -> None:
    before, after = {**at_work(5), "n2": node(1, 5, "S")}, {**at_work(9), "n2": node(1, 5, "S")}
    assert told(found(before, after)) == [("timeout", "n2", 1)]
    assert not found(before, after).is_certain
    assert told(found(at_work(5), at_work(5))) == []


def test_those_that_do_nothing_are_not_named_on_the_word_of_one_that_says_it_works() -> None:
    assert told(found(at_work(5), {**at_work(5), "n3": node(2, 9)})) == []


def test_a_rank_that_is_not_there_any_more_is_missed() -> None:
    after = {**at_work(9), "n1": ()}
    assert told(found(at_work(5), after)) == [("killed", "n1", None)]
    assert told(found(at_work(5), dict.fromkeys(SLOTS, ()))) == []
