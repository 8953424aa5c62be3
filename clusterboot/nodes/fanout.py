"""Many hosts at once, each in a thread, and no more of them than are wanted."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from queue import SimpleQueue
from typing import TypeVar

from clusterboot import interrupts
from clusterboot.errors import ClusterbootError
from clusterboot.inventory.cluster import Host

T = TypeVar("T")
K = TypeVar("K")


def of_host(host: Host, error: ClusterbootError) -> ClusterbootError:
    """Say of an error which host it is of."""
    error.host = host.name
    return error


def on_hosts(
    hosts: Iterable[Host],
    one: Callable[[Host], T],
    on_done: Callable[[Host, T | ClusterbootError], None] | None,
    *,
    fanout: int,
    interrupted: Callable[[], None],
    explain: Callable[[Host, ClusterbootError], ClusterbootError] = of_host,
) -> dict[str, T | ClusterbootError]:
    """Do ``one`` with every host, as :func:`spread`; an error of a host is its outcome.

    Parameters: ``on_done`` is told each outcome, in this thread, as it comes; ``explain`` makes of an error
    what is to be said of its host.
    Returns: the outcomes by host name, in the order of ``hosts``.
    """
    hosts = list(hosts)
    outcomes: dict[str, T | ClusterbootError] = {}

    def tried(host: Host) -> T | ClusterbootError:
        try:
            return one(host)
        except ClusterbootError as error:
            return explain(host, error)

    def done(host: Host, outcome: T | ClusterbootError) -> None:
        outcomes[host.name] = outcome
        if on_done is not None:
            on_done(host, outcome)

    spread(hosts, tried, done, fanout, interrupted)
    return {host.name: outcomes[host.name] for host in hosts}


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
