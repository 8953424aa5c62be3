"""The way to a cluster's nodes over SSH."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from clusterboot.inventory.locations import config_for_ssh
from clusterboot.nodes.watchdog import Watchdog
from clusterboot.ssh.audit import AuditLog
from clusterboot.ssh.fleet import Fleet
from clusterboot.ssh.identity import IdentityStore
from clusterboot.ssh.transport import Doorkeeper, Timeouts
from clusterboot.ssh.trust import TrustStore
from clusterboot.ssh.way_argv import SshClient

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
    for login in dict.fromkeys(host.login for host in cluster.hosts):
        identities.prepare(login)
    pins = context.state_dir / "known_hosts"
    trust = TrustStore(cluster.options.trust, pins, accept_new=context.accept_new)
    client = SshClient(
        config=config_for_ssh(os.environ),
        asks=context.interactive,
        askpass=os.environ.get("SSH_ASKPASS"),
        tell=context.events.told,
        aside=context.events.aside,
    )
    door = Doorkeeper(trust, identities, watchdog, Timeouts(), client)
    ask = context.events.ask if context.interactive else None
    fanout = context.fanout or cluster.options.fanout
    with (
        AuditLog(context.state_dir / "audit.jsonl") as audit,
        Fleet(door, audit, fanout=fanout, ask=ask) as fleet,
    ):
        yield fleet
    for accepted in trust.accepted:
        context.events.note(f"pinned {accepted.name} {accepted.key_type} {accepted.fingerprint}")
