"""The tasks that ``invoke`` and the ``clusterboot`` command offer: options in, one flow, result out."""

from __future__ import annotations

import atexit
import gc
from typing import Any

# A thousand modules are loaded and none of it is garbage: looking for some costs a seventh
# of the start.
gc.disable()

from invoke.collection import Collection
from invoke.exceptions import Exit, ParseError
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
from .plain_words import CommandTask, PlainWords, split

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


class CommandLine(Program):
    """Invoke's program, ending as clusterboot promises: a bad option is exit code 2."""

    def parse_tasks(self) -> None:
        """Parse the command line.

        Errors: ``invoke.Exit`` with code 2 where it is wrong.
        """
        name, *words = self.core.unparsed or [""]
        task = self.collection[name] if name in self.collection.task_names else None
        plain: list[str] = []
        taken: PlainWords | None = None
        if isinstance(task, CommandTask) and (taken := task.words) is not None:
            words, plain = split(task, taken, self._task_words()[1:])
        if task is not None and not {"-h", "--help"}.isdisjoint(words):
            self.args["help"].value = name
            name, words = "", []
        self.core.unparsed = [name, *words] if name else []
        try:
            super().parse_tasks()
        except ParseError as error:
            raise Exit(f"error: {error}", code=int(ExitCode.USAGE)) from None
        if taken is not None and self.tasks:
            for word in plain:
                # Invoke's way to add to a list.
                self.tasks[0].args[taken.option].value = word

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
