"""What sinfo says of nodes, told apart exactly."""

from __future__ import annotations

import pytest

from clusterboot.errors import UnreachableError
from clusterboot.nodes.script import SectionOutput
from clusterboot.slurm.states import NodeState, read_states

# The extended states (%T) of Slurm 21.08 to 24.11. Source: node_state_string() of these releases.
CONDITIONS = {
    "idle": "idle",
    "idle*": "not responding",
    "idle~": "powered down",
    "idle#": "powering up",
    "idle%": "powering down",
    "idle!": "powering down",
    "idle$": "in maintenance",
    "idle@": "rebooting",
    "planned": "planned",
    "mixed-": "planned",
    "blocked": "planned",
    "reserved": "reserved",
    "maint": "in maintenance",
    "allocated": "busy",
    "allocated+": "busy",
    "mixed": "busy",
    "completing": "busy",
    "drained": "drained",
    "drained*": "drained",
    "draining": "draining",
    "draining@": "draining",
    "down": "down",
    "down*": "down",
    "down~": "down",
    "failing": "failing",
    "inval": "in a state that is not known",
}


@pytest.mark.parametrize("state", CONDITIONS)
def test_each_state_is_told_apart(state: str) -> None:
    assert NodeState("n1", state).condition == CONDITIONS[state]


def test_only_nodes_that_a_job_can_get_take_part() -> None:
    taking = {state for state in CONDITIONS if NodeState("n1", state).can_take_part(reserved=False)}
    assert taking == {
        *("idle", "idle~", "idle#", "idle@", "planned", "mixed-", "blocked", "allocated", "allocated+"),
        *("mixed", "completing"),
    }
    assert NodeState("n1", "reserved").can_take_part(reserved=True)


def test_a_reason_keeps_whatever_somebody_wrote() -> None:
    said = SectionOutput(b"n1|idle|none\nn1|idle|none\nn2|drained|bad | DIMM\n", 0)
    assert read_states(said, ["gpu"]) == (NodeState("n1", "idle"), NodeState("n2", "drained", "bad | DIMM"))


def test_a_drained_node_is_told_with_its_reason_and_what_to_do() -> None:
    assert str(NodeState("n2", "drained", "bad DIMM").error()) == (
        "n2: connect: Slurm has it drained (drained): bad DIMM; "
        "return it with 'scontrol update NodeName=n2 State=RESUME' once it is good, or exclude it"
    )


@pytest.mark.parametrize(
    ("text", "code", "cause"),
    [
        (b"sh: 1: sinfo: not found\n", 127, "sinfo was not found"),
        (b"slurm_load_partitions: Unable to contact slurm controller\n", 1, "Unable to contact"),
        (b"", 0, "no nodes in partition gpu"),
    ],
)
def test_a_slurm_that_does_not_answer_is_told(text: bytes, code: int, cause: str) -> None:
    with pytest.raises(UnreachableError, match=cause):
        read_states(SectionOutput(text, code), ["gpu"])
