"""Why a run stands still, from what its nodes say of their ranks at two moments."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from clusterboot.mpi.launchers import rank_variables
from clusterboot.mpi.script_names import token
from clusterboot.nodes.question import Question
from clusterboot.nodes.script import Section, SectionOutput
from clusterboot.programs.records import Problem

from .supervise import shell_text

_ANSWER_S = 15.0
_LINE = re.compile(r"process (\d{1,9}) ([A-Za-z]) (\d{1,18}) (\d{1,9})")
_GONE = "see whether that host is up and reachable, and its kernel log at that time"
_STOPPED = (
    "find out who stopped it (SIGSTOP, a debugger, a batch system that suspends); end it, and run again"
)
_IDLE = "look at what that process waits for (/proc/PID/stack, /proc/PID/wchan), then at its network and disk"
_ALL_RUN = "look for a link that drops packets with link-map; NCCL_DEBUG=INFO says where the ranks wait"


@dataclass(frozen=True)
class RankProcess:
    """One process of a rank: its state as proc(5) has it, and the processor time it has used, in ticks."""

    rank: int
    pid: int
    state: str
    cpu_ticks: int

    @property
    def is_stopped(self) -> bool:
        """Whether a signal, or a debugger, has stopped it."""
        return self.state in "Tt"


def ranks_there(run_id: str) -> Question[tuple[RankProcess, ...]]:
    """Have a node list the ranks of a run that are there.

    Parameters: the run's name.
    Errors: ``ValueError`` for a name that is not one.
    """
    numbers = " ".join(f"-e 's/^{name}=\\([0-9][0-9]*\\)$/\\1/p'" for name in rank_variables())
    body = [
        shell_text("sweep.sh"),
        shell_text("processes.sh").replace("RANK_NUMBER", numbers),
        f"list_ranks {token(run_id, 'a run')}",
        "exit 0",
    ]
    return Question.of_one(Section("processes", "\n".join(body)), parse_processes, "launch", _ANSWER_S)


def parse_processes(output: SectionOutput) -> tuple[RankProcess, ...]:
    """Read what :func:`ranks_there` found on a node."""
    lines = (_LINE.fullmatch(line) for line in output.text.splitlines())
    return tuple(RankProcess(int(m[4]), int(m[1]), m[2], int(m[3])) for m in lines if m)


# What each host said of its ranks; ``None`` where it did not answer. A host that could not be
# asked properly is not in it.
Snapshot = Mapping[str, "tuple[RankProcess, ...] | None"]


@dataclass(frozen=True)
class Standstill:
    """What two looks at a run's nodes show.

    ``lost`` and ``stopped`` prove that the run cannot go on; ``idle`` and ``gone`` are where to
    look in one that has not moved for long.
    """

    lost: tuple[Problem, ...] = ()
    stopped: tuple[Problem, ...] = ()
    gone: tuple[Problem, ...] = ()
    idle: tuple[Problem, ...] = ()

    @property
    def is_certain(self) -> bool:
        """Whether waiting longer is of no use."""
        return bool(self.lost or self.stopped)

    @property
    def problems(self) -> tuple[Problem, ...]:
        """The most telling of them."""
        return (*self.lost, *self.stopped) or self.gone or self.idle


def standstill(before: Snapshot, after: Snapshot, slots: Mapping[str, int]) -> Standstill:
    """Say what keeps a run from moving.

    Parameters: what each host said of its ranks at two moments; how many ranks each was given.
    Returns: who did not answer either time; ranks that were stopped both times; ranks that are
    not there although others are; ranks that used no processor time while others did.
    """
    quiet = [host for host in slots if before.get(host, ()) is None and after.get(host, ()) is None]
    if all(answer is None for answer in after.values()):
        # Nobody answers: it is the way to them, and not theirs.
        quiet = []
    lost = tuple(Problem("killed", "the host does not answer any more", _GONE, host) for host in quiet)
    pairs = [
        (host, was, now)
        for host in slots
        for now in after.get(host) or ()
        for was in before.get(host) or ()
        if (was.pid, was.rank) == (now.pid, now.rank)
    ]
    stopped = tuple(
        Problem("timeout", f"rank {now.rank} is stopped (process {now.pid})", _STOPPED, host, rank=now.rank)
        for host, was, now in pairs
        if was.is_stopped and now.is_stopped
    )
    idle = tuple(
        Problem(
            "timeout",
            f"rank {now.rank} does nothing (process {now.pid}, state {now.state}) while others wait for it",
            _IDLE,
            host,
            rank=now.rank,
        )
        for host, was, now in pairs
        if now.cpu_ticks == was.cpu_ticks
    )
    # Where most of them do nothing none stands out: one that says it works may be what they wait for.
    return Standstill(lost, stopped, _gone(after, slots), idle if 2 * len(idle) <= len(pairs) else ())


def all_run(hosts: Sequence[str], quiet_s: float) -> Problem:
    """Say that nothing stands out: every rank is there and at work, and none gets on."""
    return Problem(
        "timeout",
        f"all ranks on {len(hosts)} nodes still run, and printed nothing for {quiet_s:.0f} s",
        _ALL_RUN,
    )


def _gone(after: Snapshot, slots: Mapping[str, int]) -> tuple[Problem, ...]:
    counts = {host: len({each.rank for each in after.get(host) or ()}) for host in slots}
    if not any(counts.values()):
        return ()
    return tuple(
        Problem("killed", f"{counts[host]} of its {slots[host]} ranks are there", _GONE, host)
        for host in slots
        if after.get(host) is not None and counts[host] < slots[host]
    )
