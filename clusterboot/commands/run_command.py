"""One shell command on every node."""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field

from clusterboot.errors import ExitCode, HostResult, PartialError
from clusterboot.session.context import Context
from clusterboot.session.visit import exit_code
from clusterboot.ssh.script import Section
from clusterboot.ssh.session import Session


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
    with context.visit() as visit:

        def ask(session: Session) -> Said:
            result = session.run([asked], "launch", timeout_s, label=label, whole=True)
            output = result.answer.sections["command"]
            return Said(output.exit_code, output.stdout, result.stderr)

        answers = visit.stage("command run", context.cluster.hosts, ask)
        for name, said in answers.items():
            if said.exit_code:
                visit.ledger.fail(name, _ended(said.exit_code))
        rows = visit.ledger.rows
    return CommandRun(rows, exit_code(rows), answers)


def _ended(status: int) -> PartialError:
    return PartialError(f"the command ended with exit status {status}", stage="launch")
