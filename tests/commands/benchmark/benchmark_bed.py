"""A bootstrapped lab whose benchmark does as a test says, for what can happen to a run."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from patience import HANGS_S

from clusterboot import lab as labs
from operator_fixture import Operator

# Before the benchmark: what a test has left for it in the home directory, given its options.
WRAPPER = """#!/bin/sh
# What calls MPI_Init is the program behind it.
real=${0%/*}/real
[ ! -r ~/inject ] || . ~/inject
exec "$real" "$@"
"""
# The smallest sweep that has a row to wait for and one more to come.
SWEEP = ("-b", "1K", "-e", "4K", "-f", "4", "-n", "2", "-w", "0")


@dataclass(frozen=True)
class Bed:
    """A lab, its operator, and what its nodes are to do instead of a benchmark."""

    lab: labs.Lab
    operator: Operator

    @property
    def names(self) -> list[str]:
        return [node.name for node in self.lab.nodes]

    @property
    def cluster(self) -> tuple[str, str]:
        return ("--cluster", str(self.lab.cluster_file))

    def prepare(self) -> None:
        """Bootstrap, build the benchmark by running it once, and put the wrapper in its place."""
        self.operator.document("bootstrap", *self.cluster)
        self.operator.document("nccl-test", *self.cluster, *SWEEP)
        for name in self.names:
            (program,) = self.lab.home(name).glob(".ssh/clusterboot/*/bench/*/collbench")
            owner = program.stat()
            program.rename(program.with_name("real"))
            program.write_text(WRAPPER)
            program.chmod(0o700)
            os.chown(program, owner.st_uid, owner.st_gid)

    def inject(self, script: str, *nodes: str) -> None:
        """Have the benchmark run a piece of shell first, on these nodes or on all."""
        for name in nodes or self.names:
            path = self.lab.home(name) / "inject"
            path.write_text(script + "\n")
            path.chmod(0o644)

    def heal(self) -> None:
        for name in self.names:
            (self.lab.home(name) / "inject").unlink(missing_ok=True)
            labs.mend(self.lab.name, name)
        labs.mend(self.lab.name, "head")

    def document(self, *args: str, expect: int) -> dict[str, Any]:
        return self.operator.document("nccl-test", *self.cluster, *SWEEP, *args, expect=expect)

    def begin(self, *args: str) -> Running:
        """Start a run and wait for its first row."""
        return Running(self, args)

    def interrupted_after(self, records: int) -> Interrupted:
        """Interrupt a run as soon as so many lines more are in its audit log, if it comes so far."""
        log = self.operator.folder / "state/clusterboot" / self.lab.name / "audit.jsonl"
        begun = log.read_bytes().count(b"\n")
        argv = [sys.executable, "-m", "clusterboot", "nccl-test", *self.cluster, *SWEEP]
        with (
            tempfile.TemporaryFile() as said,
            subprocess.Popen(
                argv,
                cwd=self.operator.folder,
                env=self.operator.environment(),
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=said,
            ) as process,
        ):
            made = 0
            while made <= records and process.poll() is None:
                time.sleep(0.003)
                made = log.read_bytes().count(b"\n") - begun
            if process.poll() is None:
                process.send_signal(signal.SIGINT)
            code = process.wait(timeout=HANGS_S)
            said.seek(0)
            made = log.read_bytes().count(b"\n") - begun
            return Interrupted(code, made, said.read().decode())

    def processes(self, node: str) -> list[tuple[int, str]]:
        """List the processes of the lab's user on a node, but for sshd's own and bystanders."""
        said = labs.node_exec(self.lab.name, node, ["ps", "-u", "ubuntu", "-o", "pid=,args="]).stdout
        rows = [line.strip().partition(" ") for line in said.splitlines()]
        return [(int(pid), args) for pid, _, args in rows if "sshd" not in args and "bystander" not in args]

    def ranks(self, node: str) -> list[int]:
        """List the programs of the ranks on a node: not the launcher, nor a shell that waits for one."""
        rows = [(pid, args) for pid, args in self.processes(node) if "bench/" in args]
        return [pid for pid, args in rows if "mpirun" not in args and "cb_rank" not in args]

    def signal(self, node: str, pid: int, number: signal.Signals) -> None:
        labs.node_exec(self.lab.name, node, ["kill", f"-{number.value}", str(pid)])

    def wait_until_clear(self, nodes: list[str] | None = None) -> float:
        """Wait until no process of the run is left. Returns: for how long, in seconds."""
        began_s = time.monotonic()
        while left := {name: found for name in nodes or self.names if (found := self.processes(name))}:
            assert time.monotonic() - began_s < HANGS_S, f"still there: {left}"
            time.sleep(0.1)
        return time.monotonic() - began_s


@dataclass(frozen=True)
class Interrupted:
    """How a run ended, the lines that it put on record, and what it said."""

    code: int
    records: int
    said: str


class Running:
    """A run in progress: its first row has been printed."""

    def __init__(self, bed: Bed, args: tuple[str, ...]) -> None:
        self._bed = bed
        argv = [sys.executable, "-m", "clusterboot", "nccl-test", *bed.cluster, *SWEEP, *args]
        self.process = subprocess.Popen(
            argv,
            cwd=bed.operator.folder,
            env=bed.operator.environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert self.process.stdout
        self.said = ""
        for line in self.process.stdout:
            self.said += line
            if line.split()[:1] == ["1024"]:
                return
        raise AssertionError(f"no row came: {self.said}")

    def finish(self) -> tuple[int, dict[str, Any]]:
        """Wait for the command's end. Returns: its exit code and the result that it saved."""
        said, _ = self.process.communicate(timeout=HANGS_S)
        self.said += said
        saved = sorted((self._bed.operator.folder / "results").glob("*/*/result.json"))
        result: dict[str, Any] = json.loads(saved[-1].read_text())
        assert result["exit_code"] == self.process.returncode, self.said
        return self.process.returncode, result


def named(result: dict[str, Any]) -> list[tuple[str, str]]:
    """Give kind and host of each problem; each has a remedy."""
    assert all(problem["remedy"] for problem in result["problems"])
    return [(problem["kind"], problem["host"]) for problem in result["problems"]]


def log_of(result: dict[str, Any]) -> Path:
    return Path(result["folder"]) / "run.log"
