"""One shell command on every node."""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field

from clusterboot.errors import ExitCode, HostResult, PartialError
from clusterboot.nodes.question import Question, Reply
from clusterboot.nodes.script import Section
from clusterboot.session.context import Context
from clusterboot.session.visit import exit_code


@dataclass(frozen=True)
class Said:
    """What a command said on one host: its exit status, standard output and standard error."""

    exit_code: int
    stdout: bytes
    stderr: bytes


@dataclass(frozen=True)
class CommandRun:
    """A command's outcome on every host that was reached."""

    hosts: tuple[HostResult, ...]
    exit_code: ExitCode
    answers: Mapping[str, Said] = field(default_factory=dict)


def run_command(context: Context, command: str, timeout_s: float | None) -> CommandRun:
    """Run ``command`` in ``/bin/sh`` on every host, as it stands: it is the operator's own.

    Parameters: the command; how long it may take on a host in seconds.
    Returns: what each host said. A command that ends with another status than 0 is the
    host's failure.
    """
    # Read by itself: what is no command of a shell's is the command's own error, not the script's.
    asked = Section("command", f"eval {shlex.quote(command)}")
    # On record is what was run, and no password that somebody wrote into it.
    label = f"run {context.scrubber(os.fsencode(command)).decode('utf-8', 'replace')}"

    def parse(reply: Reply) -> Said:
        output = reply["command"]
        return Said(output.exit_code, output.stdout, reply.stderr)

    question = Question((asked,), parse, "run", timeout_s, label, whole=True)
    with context.visit() as visit:
        answers = visit.stage("command run", context.cluster.hosts, lambda session: session.ask(question))
        for name, said in answers.items():
            if said.exit_code:
                visit.ledger.fail(name, _ended(said.exit_code))
        rows = visit.ledger.rows
    return CommandRun(rows, exit_code(rows), answers)


def _ended(status: int) -> PartialError:
    return PartialError(f"the command ended with exit status {status}", stage="run")
