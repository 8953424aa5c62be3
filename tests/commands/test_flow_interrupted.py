from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable, Sequence

import pytest

from clusterboot import lab as labs
from operator_fixture import Operator

pytestmark = [pytest.mark.lab, pytest.mark.long]

# The command line, which ends itself without a word as it comes to a stage.
_KILLED = """
import os, signal, sys
from clusterboot.session.visit import Visit

left, whole = int(sys.argv.pop(1)), Visit.stage

def stage(self, title, hosts, work, **counts):
    global left
    left -= 1
    if left == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    return whole(self, title, hosts, work, **counts)

Visit.stage = stage
from clusterboot.tasks import main
main()
"""


def killed_at(operator: Operator, stage: int, args: Sequence[str]) -> bool:
    done = subprocess.run(
        [sys.executable, "-c", _KILLED, str(stage), *args],
        cwd=operator.folder,
        env=operator.environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=120,
        check=False,
    )
    assert done.returncode in (0, -signal.SIGKILL), done.stderr
    return done.returncode != 0


def nobody_is_locked_out(lab: labs.Lab, operator: Operator) -> None:
    for source, target in (("n1", "n2"), ("n2", "n1")):
        assert operator.ssh(lab.name, source, f"ssh {target} hostname").stdout == f"{target}\n"


def own(lab: labs.Lab) -> dict[str, set[str]]:
    folder = f".ssh/clusterboot/{lab.name}"
    return {node.name: {path.name for path in (lab.home(node.name) / folder).iterdir()} for node in lab.nodes}


# Before the new goes in nothing has changed; each later stage is one more that is done.
_LAST_STAGE = 8
CASES = [
    pytest.param("ca", (5,)),
    pytest.param("per-node", range(1, 9), marks=pytest.mark.slow),
    pytest.param("ca", range(1, 9), marks=pytest.mark.slow),
    pytest.param("shared", range(1, 9), marks=pytest.mark.slow),
]


@pytest.mark.parametrize(("mode", "stages"), CASES)
def test_a_rotation_killed_at_any_stage_locks_nobody_out_and_is_finished_by_the_next(
    make_lab: Callable[..., labs.Lab], operator: Operator, mode: str, stages: Sequence[int]
) -> None:
    lab = make_lab(nodes=2)
    cluster = ("--cluster", str(lab.cluster_file))
    operator.document("bootstrap", "--keys", mode, *cluster)
    counts = {node: len(names) for node, names in own(lab).items()}
    for stage in stages:
        assert killed_at(operator, stage, ("rotate-keys", *cluster))
        nobody_is_locked_out(lab, operator)
    assert not killed_at(operator, _LAST_STAGE + 1, ("rotate-keys", *cluster))
    nobody_is_locked_out(lab, operator)
    assert {node: len(names) for node, names in own(lab).items()} == counts
    state = operator.folder / "state/clusterboot" / lab.name
    assert not list(state.glob("*.next"))
    said = operator.document("bootstrap", *cluster)
    assert (said["keys"], said["changed_files"]) == (mode, {})


@pytest.mark.slow
@pytest.mark.parametrize(("before", "after"), [("per-node", "ca"), ("ca", "shared"), ("shared", "per-node")])
def test_a_move_killed_at_any_stage_is_finished_by_a_plain_bootstrap(
    make_lab: Callable[..., labs.Lab], operator: Operator, before: str, after: str
) -> None:
    lab = make_lab(nodes=2)
    cluster = ("--cluster", str(lab.cluster_file))
    operator.document("bootstrap", "--keys", before, *cluster)
    # The last of a rotation proves its logins once more; a move has it not.
    for stage in range(3, _LAST_STAGE):
        assert killed_at(operator, stage, ("bootstrap", "--keys", after, "--verify", "none", *cluster))
        nobody_is_locked_out(lab, operator)
    assert operator.document("bootstrap", *cluster)["keys"] == after
    nobody_is_locked_out(lab, operator)
