"""Which ranks of a run are on a node, and whether they move."""

from __future__ import annotations

import re
from dataclasses import dataclass

from clusterboot.mpi.launchers import rank_variables
from clusterboot.mpi.script_names import token
from clusterboot.nodes.question import Question
from clusterboot.nodes.script import Section, SectionOutput

from .supervise import shell_text

_ANSWER_S = 5.0
_LINE = re.compile(r"process (\d{1,9}) ([A-Za-z]) (\d{1,18}) (\d{1,9})")


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
