"""The tasks that ``invoke`` and the ``clusterboot`` command offer: options in, one flow, result out."""

from __future__ import annotations

import atexit
import gc
import re
import sys
from collections.abc import Sequence
from typing import Any

# A thousand modules are loaded and none of it is garbage: looking for some costs a seventh
# of the start.
gc.disable()

from invoke.collection import Collection
from invoke.exceptions import Exit, ParseError
from invoke.parser.context import to_flag
from invoke.program import Program

from clusterboot import __version__, interrupts
from clusterboot.errors import ExitCode

from . import (
    audit_task,
    bootstrap_task,
    copy_task,
    diagnose_task,
    facts_task,
    lab_tasks,
    link_map_task,
    nccl_parse_task,
    nccl_test_task,
    report_task,
    rotate_keys_task,
    run_task,
    teardown_task,
)
from .cli.plain_words import CommandTask, PlainWords, split, unknown

namespace = Collection(
    audit_task.audit,
    bootstrap_task.bootstrap_task,
    copy_task.copy_task,
    facts_task.facts_task,
    rotate_keys_task.rotate_keys_task,
    run_task.run_task,
    teardown_task.teardown_task,
    nccl_test_task.nccl_test_task,
    nccl_parse_task.nccl_parse_task,
    diagnose_task.diagnose_task,
    link_map_task.link_map_task,
    report_task.report_task,
    lab=Collection(lab_tasks.up, lab_tasks.down, lab_tasks.status, lab_tasks.break_node, lab_tasks.mend),
)

gc.freeze()
gc.enable()
# At the end of a command nothing is worth looking for either: all of its memory goes at once.
atexit.register(gc.freeze)


# What help is asked about that is no command.
_INVOKE = "invoke"


class CommandLine(Program):
    """Invoke's program, ending as clusterboot promises: a bad option is exit code 2."""

    def parse_tasks(self) -> None:
        """Parse the command line.

        Errors: ``invoke.Exit`` with code 2 where it is wrong.
        """
        name, *words = self.core.unparsed or [""]
        if name == "help":
            name = self._asked_for_help(words[0] if words else "")
            words = []
        task = self.collection[name] if name in self.collection.task_names else None
        plain: list[str] = []
        taken: PlainWords | None = None
        if isinstance(task, CommandTask) and (taken := task.words) is not None:
            words, plain = split(task, taken, self._task_words()[1:])
        if task is not None and not {"-h", "--help"}.isdisjoint(words):
            self.args["help"].value = name
            name, words = "", []
        elif isinstance(task, CommandTask):
            self._require_known(name, task, words)
        self.core.unparsed = [name, *words] if name else []
        try:
            super().parse_tasks()
        except ParseError as error:
            raise Exit(f"error: {self._explained(error)}", code=int(ExitCode.USAGE)) from None
        if taken is not None and self.tasks:
            for word in plain:
                # Invoke's way to add to a list.
                self.tasks[0].args[taken.option].value = word

    def _asked_for_help(self, about: str) -> str:
        """Have help shown as ``--help`` does. Returns: a word that is no command, or an empty one."""
        names = self.collection.task_names
        if about not in ("", _INVOKE, *names, *(task.partition(".")[0] for task in names)):
            return about
        self.args["help"].set_value(about or True, cast=False)
        return ""

    def _require_known(self, name: str, task: CommandTask, words: Sequence[str]) -> None:
        wrong = unknown(task, words, self.collection.task_names)
        if wrong is not None:
            from .cli.reflexes import hint

            told = hint(name, wrong, task.options, self.initial_context.flags)
            raise Exit(f"error: {name}: there is no option {wrong}; {told}", code=int(ExitCode.USAGE))

    def _explained(self, error: ParseError) -> str:
        """Say what is wrong with a command line, in clusterboot's own words where it is a command's name."""
        lacking = re.match(r"Flag <Argument: (\S+?)( \(.*)?> needed value", str(error))
        if lacking is not None:
            return f"{to_flag(lacking[1].replace('_', '-'))}: no value was given"
        word = re.fullmatch(r"No idea what (['\"])(.*)\1 is!", str(error), re.DOTALL)
        if word is None:
            return str(error)
        import difflib

        like = difflib.get_close_matches(word[2], self.collection.task_names, 1)
        told = f"did you mean {like[0]}?" if like else f"see: {self._program} help"
        return f"there is no command {word[2]!r}; {told}"

    @property
    def _program(self) -> str:
        """What the operator calls this program."""
        return "invoke" if self.binary.startswith("inv") else str(self.binary)

    def print_help(self) -> None:
        """Print the page on all commands."""
        from .cli import help as helping

        sys.stdout.write(helping.overview(self._program, self.collection, helping.columns()))

    def print_task_help(self, name: str) -> None:
        """Print a command's page; of a task of somebody else's, invoke's own."""
        from .cli import help as helping

        task = self.collection[name]
        if not isinstance(task, CommandTask):
            super().print_task_help(name)
            return
        arguments = self.parser.contexts[name].args.values()
        sys.stdout.write(helping.page(self._program, name, task, arguments, helping.columns()))

    def _task_words(self) -> list[str]:
        """Give the words from the first task on; what stands behind ``--`` is one joined word in Invoke."""
        words: list[str] = self.argv[1:]
        end = words.index("--") if "--" in words else len(words)
        return words[end - len(self.core.unparsed) :]

    def create_config(self) -> None:
        """Read invoke's own settings, where there are any that can be read; clusterboot needs none."""
        try:
            super().create_config()
        except Exception:  # a home that is no folder, a file that is no YAML
            self.config = self.config_class(lazy=True)

    def parse_cleanup(self) -> None:
        """Show help or a list where one was asked for.

        Errors: ``invoke.Exit`` with code 2 where it was asked for what is not there.
        """
        asked = self.args.help.value
        if asked == _INVOKE:
            super().print_help()
            raise Exit
        if isinstance(asked, str) and asked not in self.parser.contexts:
            from .cli import help as helping

            if chapter := helping.chapter(self._program, self.collection, asked, helping.columns()):
                sys.stdout.write(chapter)
                raise Exit
        try:
            super().parse_cleanup()
        except (ParseError, Exit) as error:
            if isinstance(error, Exit) and not error.message:
                raise
            raise Exit(f"error: {error}", code=int(ExitCode.USAGE)) from None

    def run(self, argv: Any = None, exit: bool = True) -> None:  # noqa: A002  # Program's own name
        """Run a command line; an interrupt before a task has begun is exit code 130 too."""
        try:
            super().run(argv, exit)
        except KeyboardInterrupt:
            raise SystemExit(int(ExitCode.INTERRUPTED)) from None
        except SystemExit as end:
            if end.code == ExitCode.INTERRUPTED:
                interrupts.leave(int(ExitCode.INTERRUPTED))
            raise


def adopt(program: Program) -> None:
    """Make the ``invoke`` command, which is loading these tasks, end as :class:`CommandLine` does."""
    if type(program) is Program:
        program.__class__ = CommandLine


def main() -> None:
    """Run the ``clusterboot`` command."""
    CommandLine(namespace=namespace, name="clusterboot", binary="clusterboot", version=__version__).run()
