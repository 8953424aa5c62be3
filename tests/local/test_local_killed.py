"""An operator who is killed half-way: nobody is locked out, and the next command finishes it."""

from __future__ import annotations

import pickle
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from _pytest.mark import ParameterSet
from local_cluster import LocalCluster

from clusterboot.commands.bootstrap import bootstrap
from clusterboot.inventory.cluster import KeyMode

# Commands of one process a line, each in a fork that kills itself without a word as it comes to a stage.
_OPERATOR = """
import os, pickle, signal, sys
from pathlib import Path
from clusterboot.commands.bootstrap import bootstrap
from clusterboot.commands.rotate_keys import rotate
from clusterboot.session.events import Silence

cluster = pickle.loads(Path(sys.argv[1]).read_bytes())

class Killed(Silence):
    def __init__(self, stage):
        self.left = stage

    def stage(self, title, count):
        self.left -= 1
        if self.left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

for line in sys.stdin:
    mode, stage = line.split()
    child = os.fork()
    if not child:
        context = cluster.context(events=Killed(int(stage)))
        rotate(context) if mode == "rotate" else bootstrap(context, "none", mode)
        os._exit(0)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""
# Before the new goes in nothing has changed; each later stage is one more that is done.
_LAST_STAGE = 8


def slow(*values: str) -> ParameterSet:
    return pytest.param(*values, marks=pytest.mark.slow)


@pytest.fixture
def killed_at(make_cluster: Callable[..., LocalCluster]) -> Iterator[Killed]:
    cluster = make_cluster(nodes=2)
    pickled = cluster.folder / "cluster.pickle"
    pickled.write_bytes(pickle.dumps(cluster))
    with subprocess.Popen(
        [sys.executable, "-c", _OPERATOR, str(pickled)],
        env={"PYTHONPATH": f"{Path(__file__).parents[2]}:{Path(__file__).parents[1]}"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as operator:
        yield Killed(cluster, operator)
        operator.kill()


class Killed:
    """A cluster, and an operator who can be killed."""

    def __init__(self, cluster: LocalCluster, operator: subprocess.Popen[str]) -> None:
        self.cluster, self._operator = cluster, operator

    def __call__(self, command: str, stage: int) -> bool:
        """Run ``rotate``, or a bootstrap to a mode; say whether it came to the stage where it is killed."""
        assert self._operator.stdin
        assert self._operator.stdout
        print(command, stage, file=self._operator.stdin, flush=True)
        code = int(self._operator.stdout.readline())
        assert code in (0, -signal.SIGKILL)
        return code != 0

    def nobody_is_locked_out(self) -> None:
        for source, target in (("n1", "n2"), ("n2", "n1")):
            said = self.cluster.ssh(source, target, "echo $HOME")
            assert (said.stdout, said.stderr) == (f"{self.cluster.home(target)}\n", "")


@pytest.mark.parametrize("mode", ["per-node", slow("ca"), slow("shared")])
def test_a_rotation_killed_at_any_stage_is_finished_by_the_next(killed_at: Killed, mode: KeyMode) -> None:
    cluster = killed_at.cluster
    bootstrap(cluster.context(), "none", mode)
    names = {path for path in cluster.contents() if "/id_" not in path}
    count = len(cluster.contents())
    for stage in range(1, _LAST_STAGE + 1):
        assert killed_at("rotate", stage)
        killed_at.nobody_is_locked_out()
    assert not killed_at("rotate", _LAST_STAGE + 1)
    killed_at.nobody_is_locked_out()
    assert {path for path in cluster.contents() if "/id_" not in path} == names
    assert len(cluster.contents()) == count
    assert not list((cluster.folder / "first/state").glob("*.next"))
    again = bootstrap(cluster.context(), "full")
    assert (again.mode, again.edits, again.login_failures) == (mode, {}, ())


MOVES = [("ca", "shared"), slow("per-node", "ca"), slow("shared", "per-node")]


@pytest.mark.parametrize(("before", "after"), MOVES)
def test_a_move_killed_at_any_stage_is_finished_by_a_plain_bootstrap(
    killed_at: Killed, before: KeyMode, after: KeyMode
) -> None:
    bootstrap(killed_at.cluster.context(), "none", before)
    # The last of a rotation proves its logins once more; a move has it not.
    for stage in range(3, _LAST_STAGE):
        assert killed_at(after, stage)
        killed_at.nobody_is_locked_out()
    done = bootstrap(killed_at.cluster.context(), "full")
    assert (done.mode, done.login_failures) == (after, ())
