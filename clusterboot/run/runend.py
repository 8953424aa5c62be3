"""How a run ended, as far as its verdict depends on that."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from clusterboot.errors import ExitCode, HostResult
from clusterboot.headline import CutShort
from clusterboot.programs.records import Problem, Verdict
from clusterboot.session.visit import exit_code

from .reap import BadEnd

End = Literal[
    "exited",
    "timed-out",
    "deadline",
    "stalled",
    "node-lost",
    "line-lost",
    "flooded",
    "could-not-launch",
    "interrupted",
    "unknown",
]

_CUT_SHORT: tuple[CutShort, ...] = ("interrupted", "deadline")
# What a run proves that was ended from outside once it had begun, whatever its table has.
ENDED: Mapping[End, Verdict] = {
    "timed-out": "hung",
    "deadline": "inconclusive",
    "stalled": "hung",
    "node-lost": "failed",
    "line-lost": "inconclusive",
    "flooded": "inconclusive",
}


@dataclass(frozen=True)
class RunEnd:
    """How a run ended, as whoever started it saw it; ``unknown`` for a log that somebody has.

    ``timed-out`` at its time limit, ``deadline`` at the whole command's, ``stalled`` because it had not moved
    for long or could not move again, ``node-lost`` with one of its nodes, ``line-lost`` with the operator's
    connection to the node that it was launched from, ``flooded`` by output without end.
    ``exit_code`` is mpirun's where it exited; ``detail`` one line for the user; ``problems`` what
    the nodes said, each with its host. ``bad_ends`` has by host which of its ranks it says itself did
    not end well, ``None`` where it could not be asked; empty after a run that ended well.
    """

    how: End = "unknown"
    exit_code: int | None = None
    detail: str = ""
    problems: tuple[Problem, ...] = ()
    bad_ends: Mapping[str, tuple[BadEnd, ...] | None] = field(default_factory=dict)

    @property
    def cut_short(self) -> CutShort | None:
        """What of the operator's ended it before its time, if anything did."""
        return next((each for each in _CUT_SHORT if each == self.how), None)


def measured_code(hosts: tuple[HostResult, ...], ends: Iterable[RunEnd], *, is_good: bool) -> ExitCode:
    """Give the exit code of a measurement: of its hosts, of how its runs ended, and of their verdict."""
    is_interrupted = any(end.how == "interrupted" for end in ends)
    return exit_code(
        hosts,
        ExitCode.OK if is_good else ExitCode.VALIDATION,
        ExitCode.INTERRUPTED if is_interrupted else ExitCode.OK,
    )
