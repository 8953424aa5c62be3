"""Commands that are cut off on the way, by Ctrl-C or kill -9: the next one finishes what they began."""

from __future__ import annotations

import fcntl
import hashlib
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import pytest
from patience import HANGS_S

from clusterboot import lab as labs
from operator_fixture import Operator

pytestmark = [pytest.mark.lab, pytest.mark.long]

COMMANDS = ("bootstrap", "rotate-keys", "teardown")


@dataclass(frozen=True)
class Cluster:
    """A lab and who works on it. What was done is on record, line by line, as soon as it was done."""

    lab: labs.Lab
    operator: Operator

    def argv(self, command: str) -> tuple[str, ...]:
        return (command, "--cluster", str(self.lab.cluster_file))

    @property
    def records(self) -> int:
        log = self.operator.folder / "state/clusterboot" / self.lab.name / "audit.jsonl"
        return log.read_bytes().count(b"\n") if log.exists() else 0

    def finish(self, command: str) -> int:
        """Run a command to its end; gives how many lines it put on record."""
        before = self.records
        self.operator.document(*self.argv(command))
        return self.records - before

    def cut_off(self, command: str, after: int, by: signal.Signals) -> None:
        """Run a command and end it where it has put so many lines on record."""
        with self.operator.halted(*self.argv(command), records=after) as running:
            running.send_signal(by)
            running.send_signal(signal.SIGCONT)
            said = running.communicate(timeout=HANGS_S)
        assert "Traceback" not in said[0] + said[1], (command, after)
        if by == signal.SIGINT:
            assert running.returncode == 130, (command, after, said)
            errors = [line for line in said[1].splitlines() if "error" in line or "interrupt" in line]
            assert errors == ["error: interrupted; run it again; what was finished stays"], said
        else:
            assert running.returncode == -by, (command, after, said)

    def contents(self) -> dict[str, str]:
        return {
            f"{node.name}:{path}": hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""
            for node in self.lab.nodes
            for path in self.lab.home(node.name).rglob("*")
        }

    def logins(self) -> list[str]:
        """Let each node log in to the next one; gives what failed."""
        names = [node.name for node in self.lab.nodes]

        def log_in(pair: tuple[str, str]) -> str:
            argv = ["ssh", "-o", "BatchMode=yes", pair[1], "true"]
            done = labs.node_exec(self.lab.name, pair[0], argv, "ubuntu")
            return done.stderr if done.returncode else ""

        with ThreadPoolExecutor(len(names)) as pool:
            return [said for said in pool.map(log_in, zip(names, names[1:] + names[:1], strict=True)) if said]


Cut = Mapping[str, tuple[int, signal.Signals]]


def live(cluster: Cluster, cuts: Iterable[Cut]) -> None:
    """Take a cluster through its life, each command cut off once and then finished, for each of ``cuts``."""
    before = cluster.contents()
    for cut in cuts:
        cluster.cut_off("bootstrap", *cut["bootstrap"])
        cluster.finish("bootstrap")
        assert cluster.logins() == []
        cluster.cut_off("rotate-keys", *cut["rotate-keys"])
        assert cluster.logins() == [], cut
        cluster.finish("rotate-keys")
        assert cluster.logins() == []
        cluster.cut_off("teardown", *cut["teardown"])
        cluster.finish("teardown")
        assert cluster.contents() == before, cut


def test_what_was_cut_off_is_finished_by_the_next_run_and_nobody_is_locked_out(
    make_lab: Callable[..., labs.Lab], operator: Operator
) -> None:
    cluster = Cluster(make_lab(nodes=2), operator)
    # Each in the midst of its changes.
    cuts = {
        "bootstrap": (7, signal.SIGKILL),
        "rotate-keys": (12, signal.SIGINT),
        "teardown": (5, signal.SIGKILL),
    }
    live(cluster, [cuts])


@pytest.mark.slow
@pytest.mark.parametrize("by", [signal.SIGINT, signal.SIGKILL])
def test_wherever_it_was_cut_off(
    make_lab: Callable[..., labs.Lab], operator: Operator, by: signal.Signals
) -> None:
    cluster = Cluster(make_lab(nodes=2), operator)
    whole = {command: cluster.finish(command) for command in COMMANDS}
    # The first record is awaited: before it Python itself may not hear an interrupt yet. The last may be
    # the end of all: there is nothing left to cut off then.
    steps = range(1, max(whole.values()) - 2)
    live(cluster, [{name: (min(n, count - 2), by) for name, count in whole.items()} for n in steps])


def test_the_second_of_two_commands_waits_and_says_for_whom(
    make_lab: Callable[..., labs.Lab], operator: Operator
) -> None:
    cluster = Cluster(make_lab(nodes=2), operator)
    lock = operator.write(f"state/clusterboot/{cluster.lab.name}/lock", f"{os.getpid()}\n")
    with lock.open("r+") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with subprocess.Popen(
            [sys.executable, "-m", "clusterboot", *cluster.argv("bootstrap")],
            cwd=operator.folder,
            env=operator.environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        ) as second:
            assert second.stderr
            told = second.stderr.readline()
            assert told == f"waiting for process {os.getpid()}, which changes this cluster too\n"
            assert cluster.records == 0
            fcntl.flock(held, fcntl.LOCK_UN)
            assert second.wait(HANGS_S) == 0, second.stderr.read()
    assert cluster.logins() == []
