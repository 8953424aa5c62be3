"""The way to a cluster's nodes over SSH."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from clusterboot.inventory.nodesource import ListedHosts
from clusterboot.nodes.watchdog import Watchdog
from clusterboot.ssh.audit import AuditLog
from clusterboot.ssh.fleet import Fleet
from clusterboot.ssh.identity import IdentityStore
from clusterboot.ssh.transport import Doorkeeper, Timeouts
from clusterboot.ssh.trust import TrustStore

if TYPE_CHECKING:
    from .context import Context


@contextmanager
def over_ssh(context: Context) -> Iterator[Fleet]:
    """Open the way to a command's nodes; it is closed, with everything on it, at the end of the block.

    Errors: :class:`clusterboot.errors.UsageError` for a key that cannot be read, before anything is
    contacted; :class:`clusterboot.errors.ClusterbootError` where the audit log cannot be written.
    """
    cluster = context.cluster
    watchdog = Watchdog(context.deadline_s)
    identities = IdentityStore(context.ask_passphrase, watchdog.allow_s)
    for login in dict.fromkeys(login for host in cluster.hosts for login in (host.login, *host.via)):
        identities.prepare(login)
    pins = context.state_dir / "known_hosts"
    trust = TrustStore(cluster.options.trust, pins, accept_new=context.accept_new)
    door = Doorkeeper(trust, identities, watchdog, Timeouts())
    ask = context.events.ask if context.interactive else None
    fanout = context.fanout or cluster.options.fanout
    with (
        AuditLog(context.state_dir / "audit.jsonl") as audit,
        Fleet(door, audit, fanout=fanout, ask=ask, source=ListedHosts(cluster.hosts)) as fleet,
    ):
        yield fleet
    for accepted in trust.accepted:
        context.events.note(f"pinned {accepted.name} {accepted.key_type} {accepted.fingerprint}")
