"""The command that runs one shell command on every node."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.text import Text

from clusterboot.errors import UsageError
from clusterboot.folding import by_value, fold
from clusterboot.printable import printable
from clusterboot.report import ending as report

from .command import Call, Outcome, command
from .options import SHARED, context

if TYPE_CHECKING:
    from clusterboot.commands.run_command import CommandRun

    from .documents import AnswerJson

# A command without --deadline may be an installation; it is not meant to hang for ever.
_COMMAND_TIMEOUT_S = 3600.0


@command("run", shared=SHARED, shell_command="what to run, as one word: 'uptime -p'")
def run_task(call: Call, shell_command: str, shared: Mapping[str, Any]) -> Outcome:
    """Run one shell command on every node, equal answers folded together."""
    from clusterboot.commands.run_command import run_command

    # What begins with a dash is an option that there is not, which invoke takes for the word that is wanted.
    if not shell_command.strip() or shell_command.startswith("-"):
        cause = f"{shell_command} is no command" if shell_command.strip() else "there is no command"
        raise UsageError(cause, remedy="write one in quotes: invoke run 'uptime -p'")
    at = context(call, shared)
    if at.dry_run:
        names = [host.name for host in at.cluster.hosts]
        return Outcome(show=lambda to: to.print(Text(f"Would run on {fold(names)}: {shell_command}")))
    result = run_command(at, shell_command, at.deadline_s or _COMMAND_TIMEOUT_S)
    answers: dict[str, AnswerJson] = {
        name: {
            "exit_code": said.exit_code,
            "stdout": printable(said.stdout),
            "stderr": printable(said.stderr),
        }
        for name, said in result.answers.items()
    }
    return Outcome(result.exit_code, result.hosts, {"answers": answers}, lambda to: _show_answers(to, result))


def _show_answers(to: Console, result: CommandRun) -> None:
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
