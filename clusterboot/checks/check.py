"""What a check is: what nodes are asked, and who of them is unfit by all their answers."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, ClassVar, Generic, Protocol, TypeVar

from typing_extensions import Self

from clusterboot.nodes.question import Question
from clusterboot.nodes.sessions import Session
from clusterboot.session.visit import UnfitError, Visit


class Subject(Protocol):
    """What checks look at: something that is known of several hosts."""

    def of(self, hosts: Collection[str]) -> Self:
        """Give what is known of ``hosts`` alone, by name."""


S = TypeVar("S", bound=Subject)
A = TypeVar("A")


class Check(Generic[S, A]):
    """One thing that must hold on each node; ``registry.py`` says which are looked at when.

    A check looks at a subject of type ``S`` (what was surveyed, or what is to be launched) and, where
    that does not say it, at an answer of type ``A`` of each node. Both have only nodes that are still in:
    who is out, or did not answer, is in no majority. ``title`` is what the stage of asking is called.
    """

    title: ClassVar[str] = ""

    def questions(self, subject: S, hosts: Sequence[str]) -> Mapping[str, Question[A]]:
        """Give what each of ``hosts`` is to be asked, by name; nothing where the subject says it all."""
        return {}

    def judge(self, subject: S, answers: Mapping[str, A]) -> Mapping[str, UnfitError]:
        """Say of each node that is unfit why, and what to do about it. Pure.

        Errors: :class:`clusterboot.errors.ValidationError` where it is not to be said which node it is.
        """
        raise NotImplementedError


def require(visit: Visit, subject: S, checks: Iterable[Check[S, Any]]) -> tuple[str, ...]:
    """Put out each node that one of ``checks`` finds unfit, or that does not answer its question.

    Returns: who was good before and is not now.
    """
    before = [host.name for host in visit.machines]
    for check in checks:
        machines = visit.machines
        names = [host.name for host in machines]
        questions = check.questions(subject.of(names), names)
        asked = [host for host in machines if host.name in questions]

        def ask(session: Session, questions: Mapping[str, Question[Any]] = questions) -> Any:
            return session.ask(questions[session.name])

        answers = visit.stage(check.title, asked, ask) if asked else {}
        still_in = {host.name for host in visit.machines}
        for name, error in check.judge(subject.of(still_in), answers).items():
            visit.ledger.fail(name, error)
    good = {host.name for host in visit.machines}
    return tuple(name for name in before if name not in good)
