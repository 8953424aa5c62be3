from __future__ import annotations

import pytest

from clusterboot.checks.certificates import NodeTime, Validity, objections

NOW = 1_767_225_600.0  # 2026-01-01T00:00:00Z
HOUR = 3600.0


def node(skew_s: float | None, after_h: float = -0.1, before_h: float = 24) -> NodeTime:
    return NodeTime((Validity("its certificate", NOW + after_h * HOUR, NOW + before_h * HOUR),), skew_s)


def causes(**nodes: NodeTime) -> dict[str, str]:
    return {name: f"{error.cause}; {error.remedy}" for name, error in objections(nodes, NOW).items()}


def test_good_certificates_and_clocks_are_not_objected_to() -> None:
    assert causes(n1=node(0.2), n2=node(-20.0), n3=node(None), n4=NodeTime((), 4.0)) == {}


def test_an_expired_certificate_is_named_with_its_time_and_nobody_else_is() -> None:
    assert causes(n1=node(0.0), n2=node(0.0, -30, -6)) == {
        "n2": "its certificate expired at 2025-12-31T18:00:00Z; run bootstrap, which renews it"
    }


@pytest.mark.parametrize(("skew_s", "words"), [(-7200.0, "7,200 s behind"), (90_000.0, "90,000 s ahead of")])
def test_a_clock_by_which_good_certificates_are_not_valid_is_named(skew_s: float, words: str) -> None:
    (name, cause), *others = causes(n1=node(0.0), n2=node(1.0), n3=node(skew_s)).items()
    assert (name, others) == ("n3", [])
    assert cause.startswith(f"its clock is {words} most nodes'")
    assert "chrony" in cause


def test_a_clock_that_is_off_by_less_than_certificates_allow_is_left_alone() -> None:
    assert causes(n1=node(0.0), n2=node(-200.0), n3=node(6 * HOUR)) == {}


def test_where_all_nodes_agree_it_is_the_operators_clock_that_is_off() -> None:
    nodes = {f"n{number}": node(-7200.0 + number) for number in range(1, 4)}
    found = causes(**nodes)
    assert set(found) == set(nodes)
    assert found["n1"].startswith("this machine's clock is 7,198 s ahead of all nodes'")
    assert found["n1"].endswith("set the clock of this machine, then run bootstrap")


def test_certificates_that_are_good_by_the_nodes_clocks_do_whatever_the_operators_says() -> None:
    assert causes(n1=node(40 * HOUR, 30, 54), n2=node(40 * HOUR, 30, 54)) == {}
