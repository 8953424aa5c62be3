"""The command that runs one command, or one script, on every node."""

from __future__ import annotations

import signal
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.text import Text

from clusterboot.errors import UsageError
from clusterboot.folding import by_value, fold
from clusterboot.headline import Ending
from clusterboot.printable import printable
from clusterboot.report import ending as report

from .cli.command import Call, Outcome, command
from .cli.options import SHARED, context
from .cli.plain_words import PlainWords

if TYPE_CHECKING:
    from clusterboot.commands.run_command import CommandRun, OnHostLine
    from clusterboot.report.about import About

    from .documents import AnswerJson

# A command without --deadline may be an installation; it is not meant to hang for ever.
_COMMAND_TIMEOUT_S = 3600.0
# A script is sent with the question itself; what is larger is a file to copy.
_LARGEST_SCRIPT_BYTES = 512 * 1024
# Hardly any other command's options.
_RUNS_OWN = frozenset({"--cluster", "--hosts", "--accept-new", "--fanout", "--deadline"})


@command(
    "run",
    shared=SHARED,
    iterable=("words",),
    words=PlainWords(
        "words",
        "COMMAND [ARGUMENT…]",
        "what to run, all that follows run's own options; the script's arguments with --script",
        first_ends_options=True,
    ),
    script="run this local script in place of a command; words that follow are its arguments",
    live="print each line as it comes, behind its host's name, in place of folding equal answers",
)
def run_task(
    call: Call,
    shared: Mapping[str, Any],
    words: Sequence[str] | None = None,
    script: str = "",
    live: bool = False,
) -> Outcome:
    """Run one command on every node, equal answers folded together.

    One word is a line for the nodes' shell, as 'dmesg | tail -3'; of several words each is one argument
    of the command, as it stands.
    """
    from clusterboot.commands.run_command import command_text, run_job, script_job, shell_job

    words = words or ()
    if not script and not "".join(words).strip():
        raise UsageError("there is no command", remedy="write one behind run: clusterboot run uptime -p")
    if not script and len(words) > 1 and len(words[0].split()) > 1:
        raise UsageError(
            f"{words[0]!r} is no program's name, and more follows it",
            remedy="put run's own options first, then the command: clusterboot run --hosts n1 'uptime -p'",
        )
    if live and call.as_json:
        raise UsageError(
            "--live prints lines as they come, --json one document in the end", remedy="give one"
        )
    job = script_job(Path(script).name, _script(script), words) if script else shell_job(command_text(words))
    for word in _RUNS_OWN.intersection(words[1:]):
        call.warn(f"{word} is an argument of the command here: run's own options stand before it")
    if live:
        call.stand_still()
    at = context(call, shared)
    if at.dry_run:
        names = [host.name for host in at.cluster.hosts]
        what = job.label.removeprefix("run ")
        line = Text(f"Would run on {fold(names) or 'all nodes of the partition'}: {what}")
        return Outcome(ending=Ending(dry_run=True), show=lambda to, _: to.print(line))
    result = run_job(at, job, at.deadline_s or _COMMAND_TIMEOUT_S, _printing(call) if live else None)
    if live:
        return Outcome(
            result.exit_code,
            result.hosts,
            show=lambda _, __: report.show_failures(call.messages, result.hosts),
        )
    answers: dict[str, AnswerJson] = {
        name: {
            "exit_code": said.exit_code,
            "stdout": printable(said.stdout),
            "stderr": printable(said.stderr),
        }
        for name, said in result.answers.items()
    }
    return Outcome(
        result.exit_code,
        result.hosts,
        {"answers": answers},
        show=lambda to, about: _show_answers(to, about, result),
    )


def _script(path: str) -> bytes:
    try:
        with Path(path).open("rb") as opened:
            content = opened.read(_LARGEST_SCRIPT_BYTES + 1)
    except OSError as problem:
        raise UsageError(f"--script {path}: {problem.strerror}") from None
    if len(content) > _LARGEST_SCRIPT_BYTES or b"\0" in content:
        kind = "a program, not a script" if b"\0" in content else "larger than 512 KiB"
        raise UsageError(f"--script {path}: it is {kind}", remedy="copy it to the nodes, then run it there")
    return content


def _printing(call: Call) -> OnHostLine:
    """Make what prints a line behind its host's name, on the stream that it came on."""
    alone = threading.Lock()

    def on_line(host: str, stream: str, line: bytes) -> None:
        to = call.output if stream == "stdout" else call.errors
        with alone:
            to.write(f"{host}: {printable(line)}\n")
            to.flush()
            if call.output.is_lost:
                # Whoever read has seen enough, as head(1): that ends the command, as Ctrl-C does.
                signal.raise_signal(signal.SIGINT)

    return on_line


def _show_answers(to: Console, about: About, result: CommandRun) -> None:
    said = {
        name: (answer.exit_code, answer.stdout + answer.stderr) for name, answer in result.answers.items()
    }
    for (status, text), names in by_value(said):
        head = Text(fold(names), style="bold")
        if status:
            head.append(f" exit status {status}", style="red")
        report.say(to, head)
        if text:
            report.say(to, Text(printable(text).rstrip("\n")))
    report.show_failures(to, [host for host in result.hosts if host.name not in result.answers])
    if about.headline.state != "ok":
        report.show_headline(to, about.headline)
