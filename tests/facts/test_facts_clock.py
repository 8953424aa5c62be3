from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clusterboot.facts.clock import parse
from clusterboot.nodes.question import Clock


def test_skew_is_the_middle_of_what_is_possible() -> None:
    skew = parse("1000.300000000\n", "1000.500000000\n", Clock(990.0, 991.0))
    assert skew["clock_skew_s"] == pytest.approx(9.9)  # between 1000.5 - 991 and 1000.3 - 990
    assert skew["clock_error_s"] == pytest.approx(0.4)


def test_a_clock_without_fractions_is_good_to_a_second() -> None:
    skew = parse("1000.%N\n", "1000\n", Clock(1000.0, 1000.0))
    assert skew == {"clock_skew_s": 0.5, "clock_error_s": 0.5}


@pytest.mark.parametrize(
    ("first", "last", "sample"),
    [
        ("", "", Clock(1.0, 2.0)),
        ("yes", "1000.5", Clock(1.0, 2.0)),
        ("1000.5", "1001.5", None),
        ("1001.5", "1000.5", Clock(1.0, 2.0)),  # the node's clock was set back
        ("1000.5", "1009.5", Clock(1.0, 2.0)),  # or set forward
        ("1000.5", "1000.5", Clock(2.0, 1.0)),  # or the operator's was
    ],
)
def test_unknown_is_said_to_be_unknown(first: str, last: str, sample: Clock | None) -> None:
    assert parse(first, last, sample) == {}


@settings(deadline=None)  # what a shared machine takes is no test
@given(
    skew_s=st.floats(-1e4, 1e4),
    out_s=st.floats(0, 5),
    script_s=st.floats(0, 30),
    back_s=st.floats(0, 5),
)
def test_true_skew_is_always_within_the_bound(
    skew_s: float, out_s: float, script_s: float, back_s: float
) -> None:
    sent = 1_700_000_000.0
    stamps = [f"{sent + out_s + skew_s:.9f}", f"{sent + out_s + script_s + skew_s:.9f}"]
    skew = parse(stamps[0], stamps[1], Clock(sent, sent + out_s + script_s + back_s + 1e-5))
    assert abs(skew["clock_skew_s"] - skew_s) <= skew["clock_error_s"] + 1e-5
    assert skew["clock_error_s"] <= (out_s + back_s) / 2 + 1e-4  # the script's own time widens nothing
