"""What Slurm says of each node, told apart exactly: ``sinfo -t idle`` lists drained nodes too."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from shlex import join
from typing import Literal

from clusterboot.errors import ClusterbootError, PartialError, UnreachableError
from clusterboot.nodes.question import Question
from clusterboot.nodes.script import Section, SectionOutput
from clusterboot.printable import one_line

Condition = Literal[
    "idle",
    "busy",
    "planned",
    "reserved",
    "in maintenance",
    "draining",
    "drained",
    "failing",
    "rebooting",
    "powered down",
    "powering down",
    "powering up",
    "not responding",
    "down",
    "in a state that is not known",
]

# A mark behind a state says more than the state. Source: node_state_string() in Slurm's
# slurm_protocol_defs.c, and sinfo(1), NODE STATE CODES.
_MARKS: dict[str, Condition] = {
    "*": "not responding",
    "~": "powered down",
    "#": "powering up",
    "!": "powering down",
    "%": "powering down",
    "$": "in maintenance",
    "@": "rebooting",
    "^": "rebooting",
    "-": "planned",
    "+": "busy",
}
_WORDS: dict[str, Condition] = {
    "idle": "idle",
    "allocated": "busy",
    "mixed": "busy",
    "completing": "busy",
    "planned": "planned",
    "blocked": "planned",
    "reserved": "reserved",
    "maint": "in maintenance",
    "draining": "draining",
    "drained": "drained",
    "fail": "failing",
    "failing": "failing",
    "reboot": "rebooting",
    "reboot_issued": "rebooting",
    "power_down": "powering down",
    "powering_down": "powering down",
    "powered_down": "powered down",
    "power_up": "powering up",
    "powering_up": "powering up",
    "down": "down",
}
# Who took it out, and why, says more than that it does not answer meanwhile.
_BEFORE_MARKS = ("drained", "draining", "down", "failing")
# A job waits for nodes like these; the others may never come.
_COMES = ("idle", "busy", "planned", "rebooting", "powered down", "powering up")
_OF_RESERVATION = ("reserved", "in maintenance")
_REMEDIES: dict[Condition, str] = {
    "reserved": "name the reservation as slurm.reservation, or exclude it",
    "in maintenance": "name the reservation as slurm.reservation, or exclude it",
    "draining": "return it with 'scontrol update NodeName=… State=RESUME' once it is good, or exclude it",
    "drained": "return it with 'scontrol update NodeName=… State=RESUME' once it is good, or exclude it",
    "failing": "ask who set it to fail, or exclude it",
    "powering down": "wait until it is down, or exclude it",
    "not responding": "look at slurmd there, and at the way to it",
    "down": "look at slurmd there, and at the machine",
}


@dataclass(frozen=True)
class NodeState:
    """A node as ``sinfo`` tells it: its name, its state with its mark, the reason that somebody gave."""

    name: str
    state: str
    reason: str = ""

    @property
    def condition(self) -> Condition:
        """What the state means."""
        word, mark = self.state.lower(), None
        if word[-1:] in _MARKS:
            word, mark = word[:-1], _MARKS[word[-1]]
        meant = _WORDS.get(word, "in a state that is not known")
        return meant if mark is None or meant in _BEFORE_MARKS else mark

    def can_take_part(self, *, reserved: bool) -> bool:
        """Tell whether a job can get it, now or later; with ``reserved`` one in a reservation of its own."""
        return self.condition in _COMES or (reserved and self.condition in _OF_RESERVATION)

    def error(self) -> ClusterbootError:
        """Say why no job is put on it."""
        shown = one_line(self.state.encode())
        why = f": {one_line(self.reason.encode())}" if self.reason else ""
        kind = UnreachableError if self.condition in ("not responding", "down") else PartialError
        remedy = _REMEDIES.get(self.condition, "look at 'scontrol show node' for it, or exclude it").replace(
            "…", self.name
        )
        cause = f"Slurm has it {self.condition} ({shown}){why}"
        return kind(cause, host=self.name, stage="connect", remedy=remedy)


def states(partitions: Sequence[str]) -> Question[tuple[NodeState, ...]]:
    """Ask the login node for the nodes of partitions, each once, in Slurm's order."""
    # The reason is last: nothing that somebody writes there can be taken for a state.
    argv = ["sinfo", "--noheader", "--Node", f"--partition={','.join(partitions)}", "--format=%N|%T|%E"]
    section = Section("sinfo", f"{join(argv)} 2>&1")
    return Question.of_one(section, lambda said: read_states(said, partitions), "connect")


def read_states(said: SectionOutput, partitions: Iterable[str]) -> tuple[NodeState, ...]:
    """Read what ``sinfo`` printed.

    Errors: :class:`UnreachableError` where it failed, or there is no such partition.
    """
    if said.exit_code == 127:
        raise UnreachableError(
            "Slurm's commands are not there: sinfo was not found",
            stage="connect",
            remedy="name a login node as slurm.login, or put them on the PATH of logins without a terminal",
        )
    if said.exit_code:
        raise UnreachableError(
            f"sinfo failed: {one_line(said.stdout)}", stage="connect", remedy="see that slurmctld answers"
        )
    fields = [line.split("|", 2) for line in said.text.splitlines()]
    found = {name: NodeState(name, state, _reason(why)) for name, state, why in fields if name}
    if not found:
        named = " and ".join(partitions)
        raise UnreachableError(
            f"Slurm has no nodes in partition {named}", stage="connect", remedy="see what 'sinfo -a' lists"
        )
    return tuple(found.values())


def _reason(text: str) -> str:
    return "" if text.strip() in ("none", "") else text.strip()
