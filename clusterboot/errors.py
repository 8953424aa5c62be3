"""The ground floor of failure: where something stopped, why, and what to do about it.

Every error a user can cause is one line: host, stage, cause, remedy. Each class also
carries the exit code with which a command that meets it ends.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum
from typing import ClassVar, Literal

Stage = Literal[
    "resolve",
    "gateway",
    "connect",
    "banner",
    "hostkey",
    "auth",
    "channel",
    "facts",
    "keys",
    "verify",
    "hostfile",
    "launch",
    "run",
    "parse",
]

Status = Literal["ok", "failed", "unreachable", "untrusted", "skipped"]


class ExitCode(IntEnum):
    """What a command's exit code says; part of the public interface."""

    OK = 0
    FAULT = 1
    USAGE = 2
    PARTIAL = 3
    UNREACHABLE = 4
    TRUST = 5
    VALIDATION = 6
    UNSETTLED = 7
    INTERRUPTED = 130


# Where several apply, the first of these is the command's.
_PRECEDENCE = (
    ExitCode.INTERRUPTED,
    ExitCode.FAULT,
    ExitCode.USAGE,
    ExitCode.TRUST,
    ExitCode.UNREACHABLE,
    ExitCode.UNSETTLED,
    ExitCode.VALIDATION,
    ExitCode.PARTIAL,
    ExitCode.OK,
)


def worst(codes: Iterable[ExitCode]) -> ExitCode:
    """Choose the one exit code of a command that met several outcomes.

    Parameters: the codes of its parts, in any order; may be empty.
    Returns: trust before unreachable before unsettled before validation before partial; OK for none.
    """
    seen = set(codes)
    return next((code for code in _PRECEDENCE if code in seen), ExitCode.OK)


class ClusterbootError(Exception):
    """An expected failure, told in one line.

    Parameters: ``cause`` says what happened, in words; ``host`` the node's or gateway's
    name where there is one; ``stage`` where it stopped; ``remedy`` what to do about it.
    ``hosts`` is what had become of each host by then, where any was contacted.
    """

    exit_code: ClassVar[ExitCode] = ExitCode.FAULT
    status: ClassVar[Status] = "failed"
    hosts: tuple[HostResult, ...] = ()

    def __init__(
        self, cause: str, *, host: str | None = None, stage: Stage | None = None, remedy: str | None = None
    ) -> None:
        super().__init__(cause, host, stage, remedy)
        self.cause = cause
        self.host = host
        self.stage = stage
        self.remedy = remedy

    def __str__(self) -> str:
        """Give host, stage, cause and remedy, in that order, in one line."""
        where = ": ".join(part for part in (self.host, self.stage) if part)
        line = f"{where}: {self.cause}" if where else self.cause
        return f"{line}; {self.remedy}" if self.remedy else line


class UsageError(ClusterbootError, ValueError):
    """A bad option or cluster file; raised before anything is contacted."""

    exit_code = ExitCode.USAGE


class PartialError(ClusterbootError):
    """One host failed at something that the others can do without."""

    exit_code = ExitCode.PARTIAL


class UnreachableError(ClusterbootError, ConnectionError):
    """A host or gateway that no session could be opened to."""

    exit_code = ExitCode.UNREACHABLE
    status = "unreachable"


class TrustError(ClusterbootError):
    """A host key that is unknown, changed, revoked or not the one seen before."""

    exit_code = ExitCode.TRUST
    status = "untrusted"


class ValidationError(ClusterbootError):
    """A benchmark that could not launch, hung, gave wrong data or was too slow."""

    exit_code = ExitCode.VALIDATION


class UnsettledError(ClusterbootError):
    """What the cluster file does not settle, by the nodes' answers; ``remedy`` has the line to write."""

    exit_code = ExitCode.UNSETTLED


class InterruptedVisit(KeyboardInterrupt):
    """An interrupt, with what had become of each host by then."""

    def __init__(self, hosts: tuple[HostResult, ...]) -> None:
        super().__init__()
        self.hosts = hosts


@dataclass(frozen=True)
class HostResult:
    """What became of one host in one command: a row of every summary and JSON document.

    ``changed`` is true where something on the host is different from before the command.
    ``stage``, ``cause`` and ``remedy`` are set where ``status`` is not ``ok``.
    """

    name: str
    status: Status = "ok"
    changed: bool = False
    stage: Stage | None = None
    cause: str | None = None
    remedy: str | None = None

    @classmethod
    def from_error(cls, name: str, error: ClusterbootError) -> HostResult:
        """Record on host ``name`` what ``error`` says, and of which other machine it says it."""
        elsewhere = error.host is not None and error.host != name
        cause = f"{error.host}: {error.cause}" if elsewhere else error.cause
        return cls(name, error.status, stage=error.stage, cause=cause, remedy=error.remedy)


@dataclass(frozen=True)
class HostKeySeen:
    """A host key that was met and not known: whose it is said to be, and how to compare it."""

    host: str
    address: str
    key_type: str
    fingerprint: str
