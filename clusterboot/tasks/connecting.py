"""The door for tasks that users write themselves: a cluster's nodes as a Fabric group."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from .cli.command import Call
from .cli.options import context

if TYPE_CHECKING:
    from clusterboot.ssh.group import PinnedGroup


@contextmanager
def connect(
    cluster: str | Path,
    *,
    hosts: str | None = None,
    exclude: str | None = None,
    accept_new: bool = False,
    fanout: int | None = None,
    deadline_s: float | None = None,
) -> Iterator[PinnedGroup]:
    """Log in to a cluster's nodes, and give them as a ``fabric.Group`` for a block.

    Every host key is checked against the pins, nodes behind gateways are reached through those,
    no more than ``fanout`` nodes are at work at once, and what runs is put down in the audit log.
    ``run``, ``sudo``, ``put`` and ``get`` are Fabric's; a member's ``name`` is the node's in the
    cluster file. A node that cannot be reached or trusted has its error as its result in Fabric's
    ``GroupException``; nothing is done on it, and the others are worked on.

    Parameters: the cluster file, or ``lab`` for the running lab; ``hosts`` and ``exclude`` are
    node sets, as ``gpu[001-064]``; with ``accept_new`` keys that are seen for the first time are
    pinned; ``deadline_s`` bounds the whole block, in seconds.
    Errors: :class:`clusterboot.errors.UsageError` for a file, a node set or an option, before
    anything is contacted.
    """
    from clusterboot.session.over_ssh import over_ssh
    from clusterboot.ssh.group import PinnedGroup

    call = Call("connect", as_json=True)
    words = {"cluster": str(cluster), "hosts": hosts, "exclude": exclude or "", "dry_run": False}
    numbers = {"fanout": fanout, "deadline": deadline_s}
    texts = {option: "" if value is None else str(value) for option, value in numbers.items()}
    at = context(call, {**words, **texts, "accept_new": accept_new})
    at.require_own_folders()
    with over_ssh(at) as fleet:
        group = PinnedGroup(at.cluster.hosts, fleet, at.fanout or at.cluster.options.fanout)
        group.connect()
        yield group
