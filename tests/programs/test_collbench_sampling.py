"""How often collbench measures a direction, and what it makes of the samples."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

import pytest
from collbench_runs import STRICT
from patience import HANGS_S

USUAL_S, MOST_S = 0.15, 1.5
# A line of 40 MB/s: 25 ns a byte.
LINE_NS = 25.0
LINE_GB_S = 0.04
# A stream takes this share of the usual time, and none less than this of it.
STREAM_S, LEAST_SHARE = 0.24 * USUAL_S, 0.8


@dataclass(frozen=True)
class Sampled:
    """What a sampling came to; ``carried`` are streams and the bytes of each, in order."""

    alive: bool
    settled: bool
    samples: int
    gb_s: float
    time_s: float
    carried: list[tuple[int, int]]


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sampling")
    own = Path(__file__).parent / "sampling.c"
    with_sources = files("clusterboot.programs.collbench") / "src"
    words = ["mpicc", *STRICT, "-g", "-fsanitize=address,undefined", f"-I{with_sources}", str(own)]
    binary = folder / "sampling"
    subprocess.run(
        [*words, str(with_sources / "pairs_samples.c"), "-o", str(binary)], check=True, timeout=HANGS_S
    )
    return binary


def sample(program: Path, *takes: float | str, least_s: float = 0) -> Sampled:
    words = [str(program), str(USUAL_S), str(MOST_S), *(str(each) for each in takes)]
    env = {**os.environ, "LEAST_S": str(least_s)}
    done = subprocess.run(words, env=env, capture_output=True, text=True, timeout=HANGS_S, check=True)
    *steps, last = done.stdout.splitlines()
    alive, settled, samples, gb_s, time_s = last.split()
    carried = [(int(n), int(size)) for n, size in (step.split() for step in steps)]
    return Sampled(alive == "alive", settled == "settled", int(samples), float(gb_s), float(time_s), carried)


def test_a_clean_link_is_known_after_four_streams_in_the_usual_time(program: Path) -> None:
    said = sample(program, LINE_NS)
    assert (said.settled, said.samples) == (True, 4)
    assert said.gb_s == pytest.approx(LINE_GB_S)
    assert said.time_s <= 1.3 * USUAL_S


def test_one_slow_step_does_not_end_the_growth_of_the_stream(program: Path) -> None:
    clean = sample(program, LINE_NS).carried[-1][1]
    for at in range(3):
        held_up = [LINE_NS] * at + [200 * LINE_NS] + [LINE_NS]
        assert sample(program, *held_up).carried[-1][1] == clean


def test_what_passes_unshaped_at_first_does_not_make_the_stream_longer(program: Path) -> None:
    clean = sample(program, LINE_NS)
    assert sample(program, LINE_NS / 20, LINE_NS).carried[-1] == clean.carried[-1]


def test_streams_that_are_over_too_soon_do_not_count(program: Path) -> None:
    """Of a link that stalls throughout the warm-up the line's rate shows later."""
    said = sample(program, *[f"{LINE_NS}+0.3"] * 4, LINE_NS)
    assert said.carried[-1][1] >= LEAST_SHARE * STREAM_S * LINE_GB_S * 1e9
    assert said.samples == said.carried[-1][0]
    assert said.gb_s == pytest.approx(LINE_GB_S)


@pytest.mark.parametrize("short", [0.1, 0.4, 0.75])
def test_no_sample_is_so_short_that_a_bucket_shows(program: Path, short: float) -> None:
    """The first streams are held up, so that the line's rate is not known when their length is chosen."""
    said = sample(program, *[LINE_NS / short] * 3, LINE_NS)
    assert said.carried[-1][1] >= LEAST_SHARE * STREAM_S * LINE_GB_S * 1e9


def test_a_link_that_holds_its_warm_up_up_is_sampled_as_it_is(program: Path) -> None:
    said = sample(program, *[f"{LINE_NS}+0.4"] * 40)
    assert [streams for streams, _ in said.carried].count(1) <= 2
    assert said.samples >= 3


def test_what_is_sampled_at_length_is_however_well_it_agrees(program: Path) -> None:
    said = sample(program, LINE_NS, least_s=1.0)
    assert said.settled
    assert said.time_s >= 1.0
    assert said.gb_s == pytest.approx(LINE_GB_S)


def test_a_long_way_makes_the_stream_longer(program: Path) -> None:
    """Each stream has to be asked for, which takes 20 ms here."""
    assert sample(program, LINE_NS / 10).carried[-1][1] > 1e7
    assert sample(program, f"{LINE_NS / 10}+0.02").carried[-1][1] > 5e6


def test_noise_below_what_matters_costs_no_further_time(program: Path) -> None:
    said = sample(program, LINE_NS, LINE_NS, LINE_NS, 24, 26, 25, 24.5, 26, 25)
    assert (said.settled, said.samples) == (True, 4)


def test_stalls_count_with_their_time_however_few_the_samples_that_have_them(program: Path) -> None:
    """Of a link that loses packets most samples are as fast as the line."""
    stalled = [f"{LINE_NS}+0.25", *[LINE_NS] * 5]
    said = sample(program, *[LINE_NS] * 3, *stalled * 40)
    assert not said.settled
    assert said.time_s >= MOST_S
    # Six streams, each of a quarter of the usual time, and a stall.
    assert said.gb_s == pytest.approx(LINE_GB_S * 6 * 0.036 / (6 * 0.036 + 0.25), rel=0.25)


def test_a_single_hiccup_is_outvoted_by_a_few_more_streams(program: Path) -> None:
    said = sample(program, *[LINE_NS] * 3, f"{LINE_NS}+0.015", LINE_NS)
    assert said.gb_s == pytest.approx(LINE_GB_S)
    assert said.time_s < 4 * USUAL_S


def test_a_burst_that_is_spent_on_the_way_does_not_stand_for_the_link(program: Path) -> None:
    said = sample(program, *[LINE_NS] * 6, 10 * LINE_NS)
    assert said.gb_s < 0.35 * LINE_GB_S


def test_a_link_that_swings_is_given_its_mean(program: Path) -> None:
    said = sample(program, *[LINE_NS] * 3, *[LINE_NS, 4 * LINE_NS] * 60)
    assert said.gb_s == pytest.approx(2 * LINE_GB_S / 5, rel=0.2)


def test_a_pair_that_differs_ends_within_a_stream_of_its_limit(program: Path) -> None:
    said = sample(program, *[LINE_NS, 40 * LINE_NS] * 200)
    longest_s = max(size for _, size in said.carried) * 40 * LINE_NS / 1e9
    assert said.time_s <= MOST_S + longest_s + USUAL_S


def test_a_pair_that_dies_on_the_way_is_dead(program: Path) -> None:
    assert not sample(program, LINE_NS, LINE_NS, LINE_NS, LINE_NS, LINE_NS, -1).alive
    assert not sample(program, -1).alive
