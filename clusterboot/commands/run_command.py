"""One command, or one script, on every node."""

from __future__ import annotations

import hashlib
import os
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from clusterboot.errors import ExitCode, HostResult, PartialError
from clusterboot.nodes.question import Question, Reply
from clusterboot.nodes.script import Section
from clusterboot.nodes.sessions import Session
from clusterboot.session.context import Context
from clusterboot.session.visit import exit_code

# Takes each line as it comes: the host's name, the name of its stream, the line. Called in worker threads.
OnHostLine = Callable[[str, str, bytes], None]


@dataclass(frozen=True)
class Job:
    """What is run on each host: shell text for ``/bin/sh``, and what it is called on record."""

    body: str
    label: str


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


def command_text(words: Sequence[str]) -> str:
    """Write a command's words as a line for ``/bin/sh``.

    One word is such a line already, the operator's own: ``'dmesg | tail'``. Of several, each is one
    argument of the command as it stands, whatever characters are in it.
    """
    return words[0] if len(words) == 1 else shlex.join(words)


def shell_job(command: str) -> Job:
    """Make what runs a line in ``/bin/sh``, as it stands."""
    # Read by itself: what is no command of a shell's is the command's own error, not the script's.
    return Job(f"eval {shlex.quote(command)}", f"run {command}")


def script_job(name: str, content: bytes, arguments: Sequence[str]) -> Job:
    """Make what runs a local script with its own interpreter; no file is made on the node.

    Parameters: what the script is called; the script, without zero bytes, whose first line names the
    interpreter as for execve(2), ``/bin/sh`` where it names none; the words that it gets.
    """
    digest = hashlib.sha256(content).hexdigest()
    text = os.fsdecode(content)
    first = text.partition("\n")[0]
    interpreter = first[2:].strip().split(maxsplit=1) if first.startswith("#!") else []
    # The kernel too hands on all that follows the interpreter as one word.
    argv = [*(interpreter or ["/bin/sh"]), "/dev/fd/9", *arguments]
    end = f"CLUSTERBOOT_{digest[:32]}"
    body = f"{shlex.join(argv)} 9<<'{end}'\n{text.removesuffix(chr(10))}\n{end}"
    return Job(body, f"run script {name} sha256 {digest} {shlex.join(arguments)}".rstrip())


def run_job(
    context: Context, job: Job, timeout_s: float | None, on_line: OnHostLine | None = None
) -> CommandRun:
    """Run a job in ``/bin/sh`` on every host.

    Parameters: how long it may take on a host in seconds; with ``on_line`` what hosts say goes there
    line by line, and is not in the answers.
    Returns: what each host said. A command that ends with another status than 0 is the
    host's failure.
    """
    # On record is what was run, and no password that somebody wrote into it.
    label = context.scrubber(os.fsencode(job.label)).decode("utf-8", "replace")

    def parse(reply: Reply) -> Said:
        output = reply["command"]
        return Said(output.exit_code, output.stdout, reply.stderr)

    question = Question((Section("command", job.body),), parse, "run", timeout_s, label, whole=True)

    def ask(session: Session) -> Said:
        if on_line is None:
            return session.ask(question)
        return session.ask(question, lambda stream, line: on_line(session.name, stream, line))

    with context.visit() as visit:
        answers = visit.stage("command run", visit.good, ask)
        for name, said in answers.items():
            if said.exit_code:
                visit.ledger.fail(name, _ended(said.exit_code))
        rows = visit.ledger.rows
    return CommandRun(rows, exit_code(rows), answers)


def _ended(status: int) -> PartialError:
    return PartialError(f"the command ended with exit status {status}", stage="run")
