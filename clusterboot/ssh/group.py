"""A cluster's nodes as a Fabric group, for tasks that users write themselves.

Source: Fabric's documentation of ``Group``, ``GroupResult`` and ``GroupException``; what it promises
of members and results holds here too.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from typing import Any

import fabric
import paramiko
from fabric.exceptions import GroupException
from fabric.group import GroupResult
from invoke.exceptions import ThreadException, UnexpectedExit

from clusterboot import interrupts
from clusterboot.errors import ClusterbootError
from clusterboot.inventory.cluster import Host
from clusterboot.nodes.fanout import spread
from clusterboot.nodes.sessions import Session
from clusterboot.nodes.watchdog import DeadlineError

from .connection import PinnedConnection
from .fleet import Fleet
from .retry import TurnedAwayError, pause_s
from .unanswered import lost, refused_session, silent
from .wire import ChannelRefusedError


class GroupMember(PinnedConnection):
    """One node of a group: a Fabric connection that runs over the fleet's own, which is pinned.

    ``name`` is the node's in the cluster file; ``host`` is the address that is dialled.
    """

    name: str
    failure: ClusterbootError | None = None

    def __init__(self, host: Host, fleet: Fleet) -> None:
        super().__init__(host.login, None, fleet.door)
        self._set(name=host.name, _of=host, _fleet=fleet, failure=None)

    def _identity(self) -> tuple[Any, ...]:
        # Behind different gateways two nodes may have one address.
        return (self.name, *super()._identity())

    def open(self) -> None:
        """Take the node's connection, which is opened anew where it was lost.

        Errors: what made the node unreachable when the group was made: nothing is tried twice for it;
        what opening a connection raises.
        """
        if self.failure is not None:
            raise self.failure
        if not self.is_connected:
            opened = self._fleet.session(self._of).connection
            self._set(transport=opened.transport, identity=opened.identity, _sftp=None)

    def create_session(self) -> paramiko.Channel:
        """Open a channel on the node's connection, bounded as every wait is.

        A node that has no room for one more session is asked again a few times: the one before may just
        be ending.
        """
        self.open()
        tries = 0
        while True:
            tries += 1
            try:
                channel: paramiko.Channel = self.transport.open_within(
                    "session", self.door.timeouts.channel_s
                )
            except ChannelRefusedError as refused:
                refusal = refused_session(self.name, refused)
            else:
                return channel
            wait_s = pause_s(refusal, tries) if isinstance(refusal, TurnedAwayError) else None
            if wait_s is None or not self.door.watchdog.rest(wait_s):
                raise refusal

    def sftp(self) -> paramiko.SFTPClient:
        """Give the node's SFTP client, the same each time."""
        self.open()
        if self._sftp is None:
            channel = self.create_session()
            channel.invoke_subsystem("sftp")
            self._set(_sftp=paramiko.SFTPClient(channel))
        client: paramiko.SFTPClient = self._sftp
        return client

    def run(self, command: str, **options: Any) -> Any:
        """Run a shell command on the node, as Fabric's ``Connection.run`` does."""
        with self._on_record("run") as ended:
            return ended(super().run(command, **options))

    def sudo(self, command: str, **options: Any) -> Any:
        """Run a shell command on the node as another user, as Fabric's ``Connection.sudo`` does."""
        with self._on_record("sudo") as ended:
            return ended(super().sudo(command, **options))

    def put(self, *args: Any, **options: Any) -> Any:
        """Send a file to the node, as Fabric's ``Connection.put`` does."""
        with self._on_record("put"), self._one_transfer():
            return super().put(*args, **options)

    def get(self, *args: Any, **options: Any) -> Any:
        """Fetch a file from the node, as Fabric's ``Connection.get`` does."""
        with self._on_record("get"), self._one_transfer():
            return super().get(*args, **options)

    @contextmanager
    def _one_transfer(self) -> Iterator[None]:
        """Close an SFTP session after a block that opened it: some nodes allow one session at a time."""
        before = self._sftp
        try:
            yield
        finally:
            if self._sftp is not None and self._sftp is not before:
                self._sftp.close()
                self._set(_sftp=None)

    @contextmanager
    def _on_record(self, what: str) -> Iterator[Callable[[Any], Any]]:
        """Hold the command's deadline over a block, and put down that it ran.

        The block is given what notes the exit status of a result, and gives that result back.
        """
        self.open()
        # Nothing runs that could not be written down.
        self._fleet.audit.ready()
        watchdog, started_s = self.door.watchdog, time.monotonic()
        left_s = watchdog.allow_s(math.inf)
        code: int | None = None

        def ended(result: Any) -> Any:
            nonlocal code
            code = getattr(result, "exited", None)
            return result

        try:
            with watchdog.limit(left_s, self.transport.close) if left_s < math.inf else nullcontext():
                yield ended
        except DeadlineError as late:
            raise silent(self.name, "run", late) from None
        except ClusterbootError:
            # Some of them are ConnectionErrors as well.
            raise
        except (UnexpectedExit, ThreadException, paramiko.SSHException, EOFError, OSError) as problem:
            if not self.is_connected:
                raise lost(self.name, "run") from None
            if isinstance(problem, UnexpectedExit):
                ended(problem.result)
            raise
        finally:
            # Not the command itself: it may hold a password.
            duration_s = time.monotonic() - started_s
            self._fleet.audit.command(self.login, self.name, f"group: {what}", code, duration_s)


class PinnedGroup(fabric.Group):  # type: ignore[misc]
    """A Fabric group of a cluster's nodes, in the cluster file's order, at most so many at work at once.

    Parameters: the nodes; the fleet that leads to them, which whoever made it closes; ``fanout`` is
    the most nodes at work at once.
    """

    def __init__(self, hosts: Iterable[Host], fleet: Fleet, fanout: int) -> None:
        super().__init__()
        self.extend(GroupMember(host, fleet) for host in hosts)
        self._fleet = fleet
        self._fanout = fanout

    def connect(self) -> Mapping[str, ClusterbootError]:
        """Log in to all nodes, through each gateway once; a node that fails raises that when it is used.

        Returns: what is wrong with each node that failed, by name.
        """
        with interrupts.listening(), interrupts.noted_only():
            outcomes = self._fleet.each([member._of for member in self], _nothing)
        failures = {n: error for n, error in outcomes.items() if isinstance(error, ClusterbootError)}
        for member in self:
            member._set(failure=failures.get(member.name))
        return failures

    def _do(self, method: str, *args: Any, **options: Any) -> GroupResult:
        outcomes: dict[GroupMember, Any] = {}

        def one(member: GroupMember) -> Any:
            try:
                return getattr(member, method)(*args, **options)
            except Exception as error:  # Fabric hands on whatever it was
                return error

        with interrupts.listening(), interrupts.noted_only():
            spread(self, one, outcomes.__setitem__, self._fanout, self._fleet.close)
        results = GroupResult((member, outcomes[member]) for member in self)
        if results.failed:
            raise GroupException(results)
        return results


def _nothing(session: Session) -> None:
    """Do nothing on a node that is logged in to."""
