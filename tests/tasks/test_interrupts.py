"""Ctrl-C at moments at which Python alone would lose it, or tear something by it."""

from __future__ import annotations

import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator

import pytest
from patience import HANGS_S

from clusterboot import interrupts


@pytest.fixture(autouse=True)
def heard() -> Iterator[None]:
    with interrupts.listening():
        yield


def press() -> None:
    # To this thread: one that is sent to the process may be heard by another, and later than this returns.
    signal.raise_signal(signal.SIGINT)


def test_it_is_raised_at_once_where_nothing_else_is_at_work() -> None:
    with pytest.raises(KeyboardInterrupt):
        press()


def test_it_is_noted_while_threads_are_at_work_and_ends_the_next_wait() -> None:
    results: queue.SimpleQueue[int] = queue.SimpleQueue()
    with interrupts.noted_only():
        press()
        assert interrupts.was_noted()
        with pytest.raises(KeyboardInterrupt):
            interrupts.take(results)
        # Once it has been acted on, what cleans up may wait.
        results.put(1)
        assert interrupts.take(results) == 1


def test_it_ends_a_wait_that_is_under_way() -> None:
    results: queue.SimpleQueue[int] = queue.SimpleQueue()
    with interrupts.noted_only():
        threading.Timer(0.05, press).start()
        with pytest.raises(KeyboardInterrupt):
            interrupts.take(results)


class Destructor:
    """As paramiko's channels have one: what is raised in it is dropped."""

    def __del__(self) -> None:
        try:
            press()
        except BaseException:
            self.dropped = True


def test_one_that_a_destructor_dropped_is_raised_before_work_begins() -> None:
    Destructor()
    with pytest.raises(KeyboardInterrupt), interrupts.noted_only():
        pytest.fail("the work began")


def test_a_question_to_a_person_is_interrupted_at_once() -> None:
    with interrupts.noted_only():
        with pytest.raises(KeyboardInterrupt), interrupts.at_once():
            press()
        press()
        with pytest.raises(KeyboardInterrupt), interrupts.at_once():
            pytest.fail("the question was put")


def test_a_block_that_puts_it_off_is_not_cut_off_and_it_comes_after() -> None:
    results: queue.SimpleQueue[int] = queue.SimpleQueue()
    results.put(1)
    with interrupts.noted_only():
        with interrupts.put_off():
            press()
            assert interrupts.take(results) == 1
        with pytest.raises(KeyboardInterrupt):
            interrupts.check()


def test_who_presses_again_after_a_while_is_not_kept_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(interrupts, "_PATIENCE_S", 0.0)
    with interrupts.noted_only():
        press()
        with pytest.raises(KeyboardInterrupt):
            press()


def test_a_process_that_ignores_it_goes_on_doing_so() -> None:
    """As one that a shell script has put in the background, or that runs under nohup."""
    said = python(
        "interrupts.listening().__enter__(); signal.raise_signal(signal.SIGINT); print('on')", ignored=True
    )
    assert (said.returncode, said.stdout) == (0, "on\n")


def test_a_thread_that_waits_for_ever_does_not_keep_an_interrupted_command() -> None:
    said = python("threading.Thread(target=threading.Event().wait).start(); interrupts.leave(130)")
    assert said.returncode == 130


def python(code: str, *, ignored: bool = False) -> subprocess.CompletedProcess[str]:
    begin = "import os, signal, threading; from clusterboot import interrupts; "
    shell = ["sh", "-c", 'trap "" INT; exec "$@"', "sh"] if ignored else []
    argv = [*shell, sys.executable, "-c", begin + code]
    return subprocess.run(argv, capture_output=True, text=True, timeout=HANGS_S, check=False)
