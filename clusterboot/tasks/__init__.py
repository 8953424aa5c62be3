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

namespace = Collection(
    audit_task.audit,
    bootstrap_task.bootstrap_task,
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
        words = with_results(self.core.unparsed)
        # Invoke gives what wants a plain word the next one: run --help would run that on every node.
        if words and words[0] in self.collection.task_names and not {"-h", "--help"}.isdisjoint(words):
            self.args["help"].value = words[0]
            words = []
        self.core.unparsed = words
        try:
            super().parse_tasks()
        except ParseError as error:
            raise Exit(f"error: {error}", code=int(ExitCode.USAGE)) from None

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


def with_results(words: list[str]) -> list[str]:
    """Write every result that follows ``report`` as an option: invoke takes no list of plain words."""
    if "report" not in words:
        return words
    at = words.index("report") + 1
    found, takes_value = words[:at], False
    for word in words[at:]:
        plain = not takes_value and not word.startswith("-")
        found.append(f"--result={word}" if plain else word)
        takes_value = word in ("--output", "--result")
    return found


def adopt(program: Program) -> None:
    """Make the ``invoke`` command, which is loading these tasks, end as :class:`CommandLine` does."""
    if type(program) is Program:
        program.__class__ = CommandLine


def main() -> None:
    """Run the ``clusterboot`` command."""
    CommandLine(namespace=namespace, name="clusterboot", binary="clusterboot", version=__version__).run()
