"""Where servers push back, fewer are let in at once and each waits its own while."""

from __future__ import annotations

import threading

from clusterboot.ssh.retry import Throttle, TurnedAwayError, pause_s


def test_a_throttle_gives_way_and_recovers() -> None:
    throttle = Throttle(32)
    widths = []
    for _ in range(7):
        throttle.turned_away()
        widths.append(throttle.width)
    for _ in range(40):
        throttle.let_in()

    assert widths == [16, 8, 4, 2, 1, 1, 1]
    assert throttle.width == 32


def test_a_throttle_lets_no_more_in_than_its_width() -> None:
    throttle, inside, most = Throttle(8), [0], [0]
    for _ in range(2):
        throttle.turned_away()
    lock = threading.Lock()

    def enter() -> None:
        with throttle.place():
            with lock:
                inside[0] += 1
                most[0] = max(most[0], inside[0])
            threading.Event().wait(0.01)
            with lock:
                inside[0] -= 1

    threads = [threading.Thread(target=enter) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert most[0] <= 2


def test_pauses_grow_and_are_spread_until_there_is_none() -> None:
    busy = TurnedAwayError("busy", pauses_s=(0.2, 1.6))
    many = [(pause_s(busy, 1) or 0, pause_s(busy, 2) or 0) for _ in range(50)]

    assert len(set(many)) == 50
    assert all(one < 0.31 and two > 0.79 for one, two in many)
    assert pause_s(busy, 3) is None
