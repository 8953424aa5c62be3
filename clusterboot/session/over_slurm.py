"""The way to a cluster's nodes through Slurm: the login node, one job, and steps in it."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from clusterboot.errors import ClusterbootError, UnreachableError, UsageError
from clusterboot.inventory.cluster import Cluster, Host, Login, SlurmOptions
from clusterboot.inventory.selection import select
from clusterboot.inventory.slurm_options import slurm_hosts
from clusterboot.nodes.sessions import Nodes
from clusterboot.nodes.watchdog import Watchdog
from clusterboot.slurm.argv import JobRequest
from clusterboot.slurm.job import holding
from clusterboot.slurm.node_session import SlurmNodes
from clusterboot.slurm.states import NodeState, states

from .local import LocalHome, locally
from .over_ssh import over_ssh

if TYPE_CHECKING:
    from .context import Context

# Of a command that has no plan of its own for how long it may take.
_MINUTES = 60


@dataclass(frozen=True)
class SlurmPartition:
    """The nodes of partitions, as Slurm has them; a :class:`clusterboot.inventory.nodesource.NodeSource`.

    Parameters: the cluster file; what Slurm said of each node.
    """

    cluster: Cluster
    states: tuple[NodeState, ...]

    def hosts(self) -> tuple[Host, ...]:
        """Give the nodes that are wanted: those of the cluster file, else all of the partitions.

        Errors: :class:`UnreachableError` where a node that was asked for is not among them.
        """
        if self.cluster.hosts:
            return self.cluster.hosts
        try:
            return select(
                slurm_hosts(state.name for state in self.states),
                wanted=self.cluster.wanted,
                unwanted=self.cluster.unwanted,
            )
        except UsageError as error:
            # Slurm was asked by now: it is no fault of the command line's alone.
            raise UnreachableError(error.cause, stage="resolve", remedy=error.remedy) from None

    def excluded(self, *, reserved: bool) -> dict[str, ClusterbootError]:
        """Say why nodes cannot be in a job, by their names."""
        known = {state.name: state for state in self.states}
        found: dict[str, ClusterbootError] = {}
        for host in self.hosts():
            state = known.get(host.name)
            if state is None:
                cause = "Slurm has no such node in the partition"
                remedy = "correct slurm.partition or slurm.nodes"
                found[host.name] = UnreachableError(cause, host=host.name, stage="resolve", remedy=remedy)
            elif not state.can_take_part(reserved=reserved):
                found[host.name] = state.error()
        return found


@contextmanager
def over_slurm(context: Context) -> Iterator[SlurmNodes]:
    """Open the way to a command's nodes: one job on all that Slurm can give, which ends with the block.

    Errors: :class:`UnreachableError` where the login node or Slurm does not answer, or the job is refused.
    """
    slurm = context.cluster.slurm
    assert slurm is not None  # noqa: S101  # the caller has seen to it
    watchdog = Watchdog(context.deadline_s)
    host = slurm.login or Host("localhost", Login("localhost", ""))
    try:
        with _login(context, host, slurm) as login:
            found = _ask(login, host, slurm)
            source = SlurmPartition(context.cluster, found)
            out = source.excluded(reserved=slurm.reservation is not None)
            usable = tuple(each.name for each in source.hosts() if each.name not in out)
            session = login.session(host)
            if not usable:
                yield SlurmNodes(source, session, None, out, watchdog)
                return
            request = _request(context, slurm, usable)
            with holding(session, request, watchdog, context.events.note) as job:
                nodes = SlurmNodes(source, session, job, out, watchdog)
                try:
                    yield nodes
                finally:
                    nodes.close()
    finally:
        watchdog.stop()


def _login(context: Context, host: Host, slurm: SlurmOptions) -> AbstractContextManager[Nodes]:
    """Open the way to the login node. It has no deadline: a job is ended in order whatever the time."""
    alone = replace(context, cluster=replace(context.cluster, hosts=(host,)), deadline_s=None)
    if slurm.login is not None:
        return over_ssh(alone)
    return locally({host.name: LocalHome(Path.home(), env=dict(os.environ))})(alone)


def _ask(login: Nodes, host: Host, slurm: SlurmOptions) -> tuple[NodeState, ...]:
    outcome = login.each([host], lambda session: session.ask(states(slurm.partitions)))[host.name]
    if isinstance(outcome, ClusterbootError):
        raise outcome
    return outcome


def _request(context: Context, slurm: SlurmOptions, nodes: tuple[str, ...]) -> JobRequest:
    """Describe the job: what it is for, and for how long."""
    deadline = [math.ceil(context.deadline_s / 60) + 1] if context.deadline_s else []
    minutes = slurm.time_limit_minutes or min([_MINUTES, *deadline])
    command = f"clusterboot {context.command}".strip()
    comment = f"{command} of {context.cluster.name}; it ends by itself"
    return JobRequest(command.replace(" ", "-"), comment, nodes, minutes, slurm)
