"""One command's visit to a cluster: stage by stage, with a record of who is still in."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from clusterboot.errors import ClusterbootError, ExitCode, HostResult, PartialError, Stage, worst
from clusterboot.inventory.cluster import Cluster, Host
from clusterboot.nodes.sessions import Nodes, Session

from .events import Events

if TYPE_CHECKING:
    from clusterboot.programs.records import ProblemKind

T = TypeVar("T")


class UnfitError(PartialError):
    """A host on which nothing can be launched. ``kind`` is the kind of problem, as in a benchmark's log."""

    def __init__(
        self,
        kind: ProblemKind,
        cause: str,
        *,
        host: str | None = None,
        stage: Stage | None = None,
        remedy: str | None = None,
    ) -> None:
        super().__init__(cause, host=host, stage=stage, remedy=remedy)
        self.kind = kind


class Ledger:
    """Who is still in: each host of a command with what has become of it so far.

    Parameters: the names of hosts, all of which are in good standing.
    """

    def __init__(self, names: Iterable[str]) -> None:
        self._results = {name: HostResult(name) for name in names}
        self._kinds: dict[str, ProblemKind] = {}

    def __contains__(self, name: str) -> bool:
        """Tell whether anything is recorded of a host."""
        return name in self._results

    def __getitem__(self, name: str) -> HostResult:
        """Give what has become of a host."""
        return self._results[name]

    def admit(self, name: str) -> None:
        """Take in one more host, in good standing."""
        self._results[name] = HostResult(name)

    def kind(self, name: str) -> ProblemKind | None:
        """Give the kind of problem that a host is out for, where it has one."""
        return self._kinds.get(name)

    def fail(self, name: str, error: ClusterbootError) -> None:
        """Record why a host is out; its first failure stays."""
        if self._results[name].status == "ok":
            self._results[name] = HostResult.from_error(name, error)
            if isinstance(error, UnfitError):
                self._kinds[name] = error.kind

    def enter(self, outcomes: Mapping[str, T | ClusterbootError]) -> dict[str, T]:
        """Record the failures of a stage, and give what the others came to, by host."""
        done: dict[str, T] = {}
        for name, outcome in outcomes.items():
            if isinstance(outcome, ClusterbootError):
                self.fail(name, outcome)
            else:
                done[name] = outcome
        return done

    def changed(self, name: str) -> None:
        """Record that something on the host is different now."""
        self._results[name] = replace(self._results[name], changed=True)

    def good(self, hosts: tuple[Host, ...]) -> tuple[Host, ...]:
        """Give those of ``hosts`` that are still in."""
        return tuple(host for host in hosts if self._results[host.name].status == "ok")

    def unfinished(self, cause: str) -> tuple[HostResult, ...]:
        """Give all hosts' results where nothing was done to its end: who is still in was skipped."""
        return tuple(
            replace(row, status="skipped", cause=cause) if row.status == "ok" else row for row in self.rows
        )

    @property
    def rows(self) -> tuple[HostResult, ...]:
        """All hosts' results in the cluster file's order."""
        return tuple(self._results.values())

    @property
    def refusals(self) -> tuple[HostResult, ...]:
        """The results of those that answer and cannot take part."""
        return tuple(row for row in self.rows if row.status == "failed")


@dataclass(frozen=True)
class Visit:
    """A cluster that is being worked on: the way to it, and the ledger of its hosts.

    ``state_dir`` is the operator's own folder for this cluster. In a ``dry_run`` nothing is changed.
    ``again`` opens the way once more, for so many seconds, where this one is gone. ``launch_from`` is
    where launches are to start, if that was asked for; ``launcher`` the head, where they start from it
    without its being a node.
    """

    cluster: Cluster
    events: Events
    fleet: Nodes
    ledger: Ledger
    state_dir: Path
    dry_run: bool
    again: Callable[[float], AbstractContextManager[Visit]]
    launch_from: str | None = None
    launcher: Host | None = None

    @property
    def good(self) -> tuple[Host, ...]:
        """The hosts that are still in, in the cluster file's order."""
        return self.ledger.good(self.cluster.hosts)

    @property
    def machines(self) -> tuple[Host, ...]:
        """The good hosts, and the head where launches start from it and it is good."""
        launcher = (self.launcher,) if self.launcher and self.launcher.name in self.ledger else ()
        return (*self.good, *self.ledger.good(launcher))

    def machine(self, name: str) -> Host:
        """Give a host, or the head that launches, by its name."""
        known: tuple[Host, ...] = (*self.cluster.hosts, *((self.launcher,) if self.launcher else ()))
        return next(host for host in known if host.name == name)

    def stage(
        self,
        title: str,
        hosts: Iterable[Host],
        work: Callable[[Session], T],
        *,
        parts: Mapping[str, int] | None = None,
        failed: Callable[[T], int] = lambda _outcome: 0,
    ) -> dict[str, T]:
        """Do one stage on ``hosts`` at once, telling its progress and keeping the ledger.

        Parameters: what the stage is called, and does on each host; where a host does several things
        that are counted, ``parts`` says how many by the host's name, and ``failed`` how many of them
        an outcome says failed.
        Returns: what ``work`` came to on the hosts where it succeeded, by name.
        """
        hosts = tuple(hosts)
        parts = parts or {}
        self.events.stage(title, sum(parts.get(host.name, 1) for host in hosts))

        def tell(host: Host, outcome: T | ClusterbootError) -> None:
            count = parts.get(host.name, 1)
            if isinstance(outcome, ClusterbootError):
                self.events.done(outcome.status, count)
                return
            lost = failed(outcome)
            if lost < count:
                self.events.done("ok", count - lost)
            if lost:
                self.events.done("failed", lost)

        return self.ledger.enter(self.fleet.each(hosts, work, tell))


def exit_code(results: tuple[HostResult, ...], *others: ExitCode) -> ExitCode:
    """Give the exit code that hosts' results and what else was found out amount to, by their precedence."""
    codes = [*others, *(ExitCode.TRUST for result in results if result.status == "untrusted")]
    bad = [result for result in results if result.status not in ("ok", "skipped")]
    if results and all(result.status in ("unreachable", "untrusted") for result in results):
        codes.append(ExitCode.UNREACHABLE)
    if bad:
        codes.append(ExitCode.PARTIAL)
    return worst(codes)
