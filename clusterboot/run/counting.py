"""Reading the nodes' counters before a run and after it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from clusterboot.checks.ready import Ready
from clusterboot.nodes.question import Question
from clusterboot.session.visit import Visit

from .clearing import clear_orphans
from .counters import Counters, counters, growth


@dataclass(frozen=True)
class Counting:
    """What the nodes' counters stood at before a run.

    ``questions`` is what each node is asked, ``before`` what it said, for those that said something.
    """

    questions: Mapping[str, Question[Counters]]
    before: Mapping[str, Counters]

    @classmethod
    def begin(cls, visit: Visit, ready: Ready) -> Counting:
        """Ask each node what its interface of the interconnect and its ports count; clear it on the way."""
        questions = {entry.host: counters([entry.interface]) for entry in ready.addresses.addresses}
        return cls(questions, clear_orphans(visit, questions))

    def end(self, visit: Visit) -> dict[str, Counters]:
        """Ask once more, and say what each node's counters grew by; who does not answer is left out."""
        hosts = [host for host in visit.good if host.name in self.before]
        answers = visit.fleet.each(hosts, lambda session: session.ask(self.questions[session.name]))
        return {
            name: growth(self.before[name], answer)
            for name, answer in answers.items()
            if isinstance(answer, Counters)
        }
