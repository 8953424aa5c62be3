"""Reading the nodes' counters before a run and after it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from clusterboot.checks.ready import Ready
from clusterboot.nodes.question import Question
from clusterboot.nodes.script import Section, SectionOutput
from clusterboot.nodes.sessions import Session
from clusterboot.session.visit import Visit

from .counters import Counters, counters_section, growth, parse_counters

# They are worth no longer wait: what a run measured stands without them.
_ANSWER_S = 5.0


def counter_sections(ready: Ready) -> dict[str, Section]:
    """Describe how each node is asked for what its interface of the interconnect and its ports count."""
    return {entry.host: counters_section([entry.interface]) for entry in ready.addresses.addresses}


@dataclass(frozen=True)
class Counting:
    """What the nodes' counters stood at before a run.

    ``sections`` is how each node is asked, ``before`` what it said, for those that said something.
    """

    sections: Mapping[str, Section]
    before: Mapping[str, Counters]

    @classmethod
    def begun(cls, sections: Mapping[str, Section], answers: Mapping[str, SectionOutput]) -> Counting:
        """Begin with the answers to the sections."""
        return cls(sections, {name: parse_counters(answer) for name, answer in answers.items()})

    def end(self, visit: Visit) -> dict[str, Counters]:
        """Ask once more, and say what each node's counters grew by; who does not answer is left out."""

        def ask(session: Session) -> Counters:
            section = self.sections[session.name]
            return session.ask(Question.of_one(section, parse_counters, "launch", _ANSWER_S))

        hosts = [host for host in visit.good if host.name in self.before]
        answers = visit.fleet.each(hosts, ask)
        return {
            name: growth(self.before[name], answer)
            for name, answer in answers.items()
            if isinstance(answer, Counters)
        }
