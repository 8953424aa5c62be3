"""What the samples of a direction say of its rate."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clusterboot.linkmap.pair_matrix import Samples
from clusterboot.linkmap.samples import SampleBook, rate_of, weighted_median

RATES = st.lists(st.floats(0.001, 1000), min_size=1, max_size=30)


@given(RATES)
def test_samples_of_one_length_have_their_plain_median(rates: list[float]) -> None:
    assert weighted_median([(rate, 4096.0) for rate in rates]) == pytest.approx(float(np.median(rates)))


@given(RATES, st.randoms())
def test_no_figure_is_above_the_median_or_depends_on_the_order(rates: list[float], random: object) -> None:
    samples = [(rate, 4096.0) for rate in rates]
    shuffled = list(samples)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert rate_of(samples) == pytest.approx(rate_of(shuffled))
    assert min(rates) * 0.999 <= rate_of(samples) <= weighted_median(samples)


def test_one_disturbed_sample_of_many_moves_nothing() -> None:
    samples = [(10.0, 4096.0)] * 12 + [(7.0, 4096.0)]
    assert rate_of(samples) == 10


def test_stalls_between_fast_samples_count_with_their_time() -> None:
    """A lossy link is fast in most samples, and spends most of its time waiting."""
    samples = [(10.0, 4096.0)] * 9 + [(0.5, 4096.0)]
    assert rate_of(samples) == pytest.approx(10 / (9 / 10 + 1 / 0.5))


def test_a_sample_counts_with_its_bytes() -> None:
    assert weighted_median([(10.0, 100.0)] * 5 + [(3.0, 400.0)] * 3) == 3


def test_what_is_forgotten_leaves_nothing_behind() -> None:
    book = SampleBook.empty(2)
    book.add((0, 1), [1.0, 2.0], 100, is_settled=False)
    book.close((0, 1))
    before = book.snapshot()
    book.forget(np.ones((2, 2), dtype=bool))
    empty = Samples.nothing(2)
    assert before.count[0, 1] == 2
    assert book.summary.count.tolist() == empty.count.tolist()
    assert np.isnan(book.summary.max_gb_s).all()
    assert not book.unsettled
    assert not book.by_pair
