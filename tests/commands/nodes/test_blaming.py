"""One node's word leaves no other node out; two nodes' words do."""

from __future__ import annotations

from clusterboot.mpi.launcher import TreeLogin
from clusterboot.trust.blaming import second_looks, weigh
from clusterboot.trust.verify import LoginFailure

NAMES = ("n1", "n2", "n3", "n4")
STAR = [TreeLogin("n1", name) for name in NAMES[1:]]
RING = [TreeLogin("n1", "n2"), TreeLogin("n2", "n3"), TreeLogin("n3", "n4"), TreeLogin("n4", "n1")]


def failed(*pairs: str) -> list[LoginFailure]:
    return [LoginFailure(*pair.split(">"), "auth", "", "", "") for pair in pairs]


def test_what_one_node_says_of_another_is_looked_at_from_a_third() -> None:
    assert second_looks(NAMES, failed("n1>n3"), STAR) == (TreeLogin("n2", "n3"),)
    # Rather by one that can be reached.
    assert second_looks(NAMES, failed("n1>n2", "n1>n3"), STAR) == (
        TreeLogin("n4", "n2"),
        TreeLogin("n4", "n3"),
    )
    assert second_looks(("n1", "n2"), failed("n1>n2"), [TreeLogin("n1", "n2")]) == ()


def test_whom_the_third_reaches_is_not_blamed_and_nor_is_who_said_it() -> None:
    found = failed("n1>n3")
    weighed = weigh(found, STAR, [TreeLogin("n2", "n3")])

    assert (dict(weighed.blamed), weighed.pairs) == ({}, tuple(found))


def test_whom_two_do_not_reach_is_blamed_or_one_where_there_is_no_other() -> None:
    assert set(weigh(failed("n1>n3", "n2>n3"), STAR, [TreeLogin("n2", "n3")]).blamed) == {"n3"}
    assert set(weigh(failed("n1>n2"), [TreeLogin("n1", "n2")]).blamed) == {"n2"}
    assert set(weigh(failed("head>n3"), STAR, believed=("head",)).blamed) == {"n3"}


def test_who_reaches_nobody_says_that_of_itself() -> None:
    found = failed("n1>n2", "n1>n3", "n1>n4")

    assert second_looks(NAMES, found, STAR) == ()
    assert set(weigh(found, STAR).blamed) == {"n1"}


def test_in_a_ring_a_lie_about_the_neighbour_stops_nobody_else() -> None:
    found = failed("n2>n3")
    (look,) = second_looks(NAMES, found, RING)

    assert look.target == "n3"
    assert look.source in ("n1", "n4")
    assert weigh(found, RING, [look]).pairs == tuple(found)
    assert set(weigh([*found, *failed(f"{look.source}>n3")], RING, [look]).blamed) == {"n3"}
