"""Whom connections that are not let through speak against."""

from __future__ import annotations

from clusterboot.checks.ports import Blocked, blame


def blocked(*pairs: str) -> list[Blocked]:
    return [Blocked(*pair.split(">"), "timed out") for pair in pairs]


def test_whom_two_others_do_not_reach_is_named() -> None:
    found, pairs = blame(blocked("n1>n3", "n3>n2", "n4>n3"))

    assert (set(found), pairs) == ({"n3"}, ())


def test_what_one_node_says_of_one_other_names_neither() -> None:
    found, pairs = blame(blocked("n1>n3"))

    assert (found, list(pairs)) == ({}, blocked("n1>n3"))


def test_a_node_that_says_it_of_several_is_named_itself() -> None:
    found, pairs = blame(blocked("n3>n1", "n3>n2", "n4>n5"))

    assert set(found) == {"n3"}
    assert list(pairs) == blocked("n4>n5")
