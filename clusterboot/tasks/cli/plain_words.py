"""A command's plain words: what is run on the nodes, the results that are put side by side.

Invoke has no list of plain words: what follows the last one that a task wants begins another task.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from invoke.tasks import Task


@dataclass(frozen=True)
class PlainWords:
    """How a command takes plain words.

    ``option`` is the parameter that gets them, as a list; ``usage`` and ``help`` are shown of them.
    With ``first_ends_options`` whatever follows the first of them is a plain word
    too, dashes and all, as after ssh's host.
    """

    option: str
    usage: str
    help: str
    first_ends_options: bool = False


class CommandTask(Task[Any]):
    """One of clusterboot's own commands.

    ``words`` is ``None`` where it takes no plain words; ``options`` are all of its own, as they are
    written, and ``valued`` those that take a value.
    """

    words: PlainWords | None = None
    options: frozenset[str] = frozenset()
    valued: frozenset[str] = frozenset()


def split(task: CommandTask, taken: PlainWords, words: Sequence[str]) -> tuple[list[str], list[str]]:
    """Part what follows a command's name into its options, with their values, and its plain words."""
    options: list[str] = []
    plain: list[str] = []
    waits = False
    for at, word in enumerate(words):
        if not waits and word == "--":
            return options, [*plain, *words[at + 1 :]]
        if waits or (word.startswith("-") and word != "-"):
            options.append(word)
            waits = not waits and word in task.valued
        elif taken.first_ends_options:
            return options, list(words[at:])
        else:
            plain.append(word)
    return options, plain


def unknown(task: CommandTask, words: Sequence[str], tasks: Collection[str]) -> str | None:
    """Give the first option among words that a command has not; a value that begins with a dash is none.

    Parameters: the command; the words behind its name; the names of all commands, of which one ends it.
    """
    waits = False
    for word in words:
        if waits:
            waits = False
        elif word in tasks:
            return None
        elif word.startswith("-") and word not in ("-", "--"):
            option = word.partition("=")[0]
            # -b8 is -b 8, and -np is nothing.
            short = option[:2] in task.valued and option[2:3].isdigit()
            if option not in task.options and not (short and not option.startswith("--")):
                return option
            waits = word in task.valued
    return None
