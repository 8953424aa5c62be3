"""Many hosts at once, each in a thread, and no more of them than are wanted."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from queue import SimpleQueue
from typing import TypeVar

from clusterboot import interrupts

T = TypeVar("T")
K = TypeVar("K")


def spread(
    items: Sequence[K],
    one: Callable[[K], T],
    done: Callable[[K, T], None],
    fanout: int,
    interrupted: Callable[[], None],
) -> None:
    """Do ``one`` with every item, ``fanout`` at a time, and tell ``done`` of each, in this thread.

    Where that is interrupted, ``interrupted`` is called, which ends what still waits.
    """
    pool = ThreadPoolExecutor(min(fanout, len(items)) or 1, thread_name_prefix="clusterboot-host")
    try:
        futures: dict[Future[T], K] = {pool.submit(one, item): item for item in items}
        ended: SimpleQueue[Future[T]] = SimpleQueue()
        for future in futures:
            future.add_done_callback(ended.put)
        for _ in futures:
            future = interrupts.take(ended)
            done(futures[future], future.result())
    except BaseException:
        # So that no worker outlives the command.
        pool.shutdown(wait=False, cancel_futures=True)
        interrupted()
        raise
    pool.shutdown()
