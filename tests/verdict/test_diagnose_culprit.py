"""Who spoils data, by groups that show it."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clusterboot.programs.records import Judgement, Problem
from clusterboot.verdict.locating import narrow, with_culprits

WRONG = Judgement("wrong-data", "3 wrong values", (Problem("wrong-data", "3 wrong values", "look", None, 9),))


@given(st.integers(1, 70), st.data())
def test_one_bad_host_is_found_in_twice_as_many_runs_as_halvings(count: int, data: st.DataObject) -> None:
    hosts = [f"n{number}" for number in range(count)]
    bad = data.draw(st.sampled_from(hosts))
    asked: list[Sequence[str]] = []

    def is_wrong(part: Sequence[str]) -> bool:
        asked.append(part)
        return bad in part

    assert narrow(hosts, is_wrong) == (bad,)
    assert len(asked) <= 2 * (count - 1).bit_length()


@given(st.lists(st.sampled_from([f"n{number}" for number in range(9)]), min_size=2, max_size=2, unique=True))
def test_a_fault_that_takes_two_stays_with_both(pair: list[str]) -> None:
    found = narrow([f"n{number}" for number in range(9)], lambda part: set(pair) <= set(part))
    assert set(pair) <= set(found)


@pytest.mark.parametrize(("suspects", "hosts"), [(("n2",), ["n2"]), (("n2", "n3"), ["n2", "n3"])])
def test_few_suspects_are_named_each(suspects: tuple[str, ...], hosts: list[str]) -> None:
    told = with_culprits(WRONG, suspects, 8)
    assert [(each.kind, each.host, each.line) for each in told.problems] == [
        ("wrong-data", host, 9) for host in hosts
    ]
    assert "n2" in told.reason


def test_where_all_are_suspects_nobody_is_named() -> None:
    assert with_culprits(WRONG, ("n1", "n2"), 2) == WRONG
    assert with_culprits(WRONG, tuple(f"n{number}" for number in range(6)), 8) == WRONG
