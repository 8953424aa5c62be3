"""Waits end when they should, and what they waited on is closed."""

from __future__ import annotations

import contextlib
import math
import threading
import time

import pytest
from patience import HANGS_S

from clusterboot.nodes.watchdog import DeadlineError, Watchdog

pytestmark = pytest.mark.usefixtures("no_threads_left")


@pytest.fixture
def dog() -> Watchdog:
    return Watchdog()


def test_a_wait_that_is_too_long_is_closed_and_told(dog: Watchdog) -> None:
    closed = threading.Event()

    with pytest.raises(DeadlineError) as told, dog.limit(0.05, closed.set):
        closed.wait()

    assert told.value.words == "within 0.05 s"
    dog.stop()


def test_what_the_block_raises_when_it_is_closed_is_the_deadline(dog: Watchdog) -> None:
    closed = threading.Event()

    def fail() -> None:
        with dog.limit(0.01, closed.set):
            closed.wait()
            raise OSError("closed under me")

    with pytest.raises(DeadlineError):
        fail()
    dog.stop()


def test_what_came_while_this_machine_stood_still_is_read_before_a_wait_is_ended(
    dog: Watchdog, monkeypatch: pytest.MonkeyPatch
) -> None:
    asleep_s, seen, closed = [0.0], threading.Event(), threading.Event()
    now = time.monotonic
    monkeypatch.setattr("clusterboot.nodes.watchdog.time.monotonic", lambda: now() + asleep_s[0])

    with dog.limit(3600, closed.set):
        asleep_s[0] = 7200.0
        # It is due after the limit, and rings when that has been looked at.
        with dog.alarm(0, seen.set):
            assert seen.wait(HANGS_S)
    assert not closed.is_set()
    with pytest.raises(DeadlineError), dog.limit(0.01, closed.set):
        closed.wait()
    dog.stop()


def test_a_wait_that_ends_in_time_closes_nothing(dog: Watchdog) -> None:
    closed, later = threading.Event(), threading.Event()
    with dog.limit(0.05, closed.set):
        pass

    with pytest.raises(DeadlineError), dog.limit(0.1, later.set):
        later.wait()
    assert not closed.is_set()
    dog.stop()


def test_errors_of_the_block_itself_come_through(dog: Watchdog) -> None:
    with pytest.raises(KeyError), dog.limit(60, lambda: None):
        raise KeyError("mine")
    with pytest.raises(KeyboardInterrupt), dog.limit(60, lambda: None):
        raise KeyboardInterrupt
    dog.stop()


def test_a_later_limit_with_an_earlier_end_rings_first(dog: Watchdog) -> None:
    long, short = threading.Event(), threading.Event()

    with dog.limit(60, long.set), pytest.raises(DeadlineError), dog.limit(0.01, short.set):
        short.wait()

    assert not long.is_set()
    dog.stop()


def test_a_close_that_hangs_keeps_no_other_wait(dog: Watchdog) -> None:
    let_go, closed = threading.Event(), threading.Event()

    def wait() -> None:
        with dog.limit(0.2, closed.set), contextlib.suppress(DeadlineError), dog.limit(0.01, let_go.wait):
            closed.wait()

    with pytest.raises(DeadlineError):
        wait()
    let_go.set()
    dog.stop()


def test_all_waits_of_one_share_have_half_of_the_commands_time_together() -> None:
    dog = Watchdog(1000.0)
    with dog.sharing():
        assert 499 < dog.allow_s(5000) <= 500
        with dog.sharing():
            assert 249 < dog.allow_s(5000) <= 250
    assert 999 < dog.allow_s(5000) <= 1000
    brief, closed = Watchdog(0.1), threading.Event()

    with pytest.raises(DeadlineError) as told, brief.sharing(), brief.limit(60, closed.set):
        closed.wait()

    assert told.value.words == "in half of the command's deadline"
    assert not brief.out_of_time
    brief.stop()


def test_the_commands_deadline_stands_above_all(dog: Watchdog) -> None:
    dog = Watchdog(0.05)
    closed = threading.Event()

    with pytest.raises(DeadlineError) as told, dog.limit(60, closed.set):
        closed.wait()

    assert told.value.words == "before the command's deadline"
    assert dog.out_of_time
    assert dog.allow_s(5) == 0
    assert not dog.rest(5)
    dog.stop()


def test_an_alarm_rings_only_while_the_block_runs(dog: Watchdog) -> None:
    rang = threading.Event()
    with dog.alarm(0.01, rang.set):
        assert rang.wait(HANGS_S)

    missed = threading.Event()
    with dog.alarm(60, missed.set):
        pass
    assert not missed.is_set()
    dog.stop()


def test_a_pulse_beats_until_it_says_no_even_if_a_beat_hangs(dog: Watchdog) -> None:
    third, hold = threading.Event(), threading.Event()
    beats: list[int] = []

    def beat() -> bool:
        beats.append(1)
        if len(beats) == 1:
            hold.wait()
        if len(beats) >= 3:
            third.set()
        return len(beats) < 3

    dog.pulse(0.01, beat)

    assert third.wait(HANGS_S)
    hold.set()
    dog.stop()


def test_stopping_ends_every_rest_and_every_alarm(dog: Watchdog) -> None:
    rested: list[bool] = []
    thread = threading.Thread(target=lambda: rested.append(dog.rest(3600)))
    thread.start()
    dog.stop()
    thread.join(HANGS_S)

    assert rested == [False]
    with dog.limit(0, lambda: pytest.fail("rang after the end")):
        pass


def test_what_is_over_is_not_kept(dog: Watchdog) -> None:
    for _ in range(5000):
        with dog.limit(3600, lambda: None):
            pass

    assert len(dog._heap) < 2500
    dog.stop()


def test_the_commands_clock_stands_still_while_somebody_types() -> None:
    dog = Watchdog(HANGS_S)
    with dog.pausing(), dog.pausing():
        assert dog._end_s == math.inf
        assert not dog.out_of_time
    # What was left before is what is left then, however long it took.
    assert 0 < dog.allow_s(math.inf) <= HANGS_S
    dog.stop()
