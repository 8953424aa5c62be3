"""A question to a node: the POSIX ``sh`` script that asks it, and the pure function that reads the reply."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

from clusterboot.errors import Stage

from .script import Section, SectionOutput

T = TypeVar("T")
U = TypeVar("U")
# So many sections of a script are named in the audit log.
_NAMED = 4


@dataclass(frozen=True)
class Clock:
    """The operator's clock just before a script was sent and just after its answer came, in seconds.

    Since the epoch, as ``time.time()`` gives them.
    """

    sent_at_s: float
    received_at_s: float


@dataclass(frozen=True)
class Reply:
    """A node's whole reply: what each section wrote and ended with, by name, and when it was.

    ``stderr`` is the whole script's. A session gives a reply only where every section ran to its end.
    """

    sections: Mapping[str, SectionOutput]
    stderr: bytes = b""
    clock: Clock | None = None

    def __getitem__(self, name: str) -> SectionOutput:
        """Give a section's output."""
        return self.sections[name]

    def text(self, name: str) -> str:
        """Give a section's output as text, empty where it was not asked for."""
        return self.sections[name].text if name in self.sections else ""


@dataclass(frozen=True)
class Question(Generic[T]):
    """All that is ever asked of a node is one of these; a session's ``ask`` asks it.

    ``sections`` are the script's pieces, which run in this order, each in a subshell of its own;
    ``parse`` makes the answer of the reply, touches nothing else, and raises
    :class:`clusterboot.errors.ClusterbootError` where the reply says that something is wrong (the
    host is added by whoever asked). Failures of the asking itself are reported under ``stage``.
    ``timeout_s`` is how long it may take, else the time for commands. ``label`` is what the audit
    log calls it, else the sections' names. Of the command's own deadline it has half of what is left,
    or with ``whole`` all of it: for the one question of a command, after which nothing comes.

    :func:`both` makes one of two, which costs one round trip.
    """

    sections: tuple[Section, ...]
    parse: Callable[[Reply], T]
    stage: Stage
    timeout_s: float | None = None
    label: str = ""
    whole: bool = False

    @classmethod
    def of_one(
        cls,
        section: Section,
        parse: Callable[[SectionOutput], T],
        stage: Stage,
        timeout_s: float | None = None,
    ) -> Question[T]:
        """Make a question of one section, read by a function of that section's output alone."""
        return cls((section,), lambda reply: parse(reply[section.name]), stage, timeout_s)

    @property
    def on_record(self) -> str:
        """What the audit log calls it."""
        names = [section.name for section in self.sections]
        return self.label or f"script {','.join(names[:_NAMED])}{'…' if len(names) > _NAMED else ''}"


def both(one: Question[T], other: Question[U]) -> Question[tuple[T, U]]:
    """Ask two questions in one round trip; the first one's stage, time and label count for both."""
    return Question(
        (*one.sections, *other.sections),
        lambda reply: (one.parse(reply), other.parse(reply)),
        one.stage,
        one.timeout_s,
        one.label,
        one.whole,
    )
