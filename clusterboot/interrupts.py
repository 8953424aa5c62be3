"""Ctrl-C, heard at any moment and acted on where nothing can be torn by it.

Python raises ``KeyboardInterrupt`` between any two instructions of the main thread: also while a
condition's lock has just been taken, which is then never given back and stops the threads that
share it, and also in a destructor or a callback, where it is dropped. So while threads are at
work the signal is only noted, and raised where the main thread waits for them.

Source: the notes on ``KeyboardInterrupt`` in Python's documentation of :mod:`signal`.
"""

from __future__ import annotations

import os
import queue
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Literal, Protocol, TypeVar

T_co = TypeVar("T_co", covariant=True)
T = TypeVar("T")

# A wait looks up so often. It has to: a signal that lands just before a wait begins does not end it.
TICK_S = 0.25
# Who presses again after so long is not kept waiting for a good moment.
_PATIENCE_S = 3.0
# What an interrupted command may take to come to its end once it has said so.
_LAST_S = 3.0

_Mode = Literal["raise", "note", "hold"]


class _State:
    """One a process, as a signal's handler is."""

    mode: _Mode = "raise"
    noted = False
    noted_s = 0.0


class Waiting(Protocol[T_co]):
    """What can be waited for: a queue."""

    def get(self, block: bool = ..., timeout: float | None = ...) -> T_co:
        """Give the next item. Errors: ``queue.Empty`` after ``timeout`` seconds."""


@contextmanager
def listening() -> Iterator[None]:
    """Handle SIGINT by this module's rules for a block.

    Where it is ignored, as for a shell's background jobs, or handled by somebody else, that stays.
    """
    if (
        threading.current_thread() is not threading.main_thread()
        or signal.getsignal(signal.SIGINT) is not signal.default_int_handler
    ):
        yield
        return
    _State.noted = False
    signal.signal(signal.SIGINT, _hear)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@contextmanager
def noted_only() -> Iterator[None]:
    """Note an interrupt during a block, and raise it where :func:`check` or :func:`take` is called.

    One that was noted before, and whose exception somebody dropped, is raised at once.
    """
    with _mode("note"):
        check()
        yield


@contextmanager
def at_once() -> Iterator[None]:
    """Raise an interrupt wherever it comes during a block: one that waits for a person."""
    with _mode("raise"):
        if _State.noted:
            _State.noted = False
            raise KeyboardInterrupt
        yield


@contextmanager
def put_off() -> Iterator[None]:
    """Raise no interrupt during a block, which is short and better not begun than cut off."""
    with _mode("hold"):
        yield


def check() -> None:
    """Raise ``KeyboardInterrupt`` where one was noted in the main thread, once."""
    if _State.noted and _State.mode == "note" and threading.current_thread() is threading.main_thread():
        _State.noted = False
        raise KeyboardInterrupt


def was_noted() -> bool:
    """Tell whether an interrupt came that nothing has acted on."""
    return _State.noted


def take(source: Waiting[T]) -> T:
    """Wait for a queue's next item, or for an interrupt."""
    while True:
        check()
        try:
            return source.get(timeout=TICK_S)
        except queue.Empty:
            continue


def leave(code: int) -> None:
    """See to it that this process, which is about to end, does so whatever its threads wait for."""

    def last() -> None:
        time.sleep(_LAST_S)
        os._exit(code)

    threading.Thread(target=last, name="clusterboot-leave", daemon=True).start()


def _hear(_number: int, _frame: FrameType | None) -> None:
    now_s = time.monotonic()
    again = _State.noted and now_s - _State.noted_s > _PATIENCE_S
    if not _State.noted:
        _State.noted, _State.noted_s = True, now_s
    if _State.mode == "raise":
        # Noted all the same, until somebody has answered for it.
        raise KeyboardInterrupt
    if again:
        _State.noted = False
        raise KeyboardInterrupt


@contextmanager
def _mode(mode: _Mode) -> Iterator[None]:
    before, _State.mode = _State.mode, mode
    try:
        yield
    finally:
        _State.mode = before
