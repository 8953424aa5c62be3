"""Certificates and clocks, which logins depend on."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from clusterboot.session.visit import UnfitError
from clusterboot.trust import authority
from clusterboot.trust.homes.tagged_lines import kinds
from clusterboot.trust.survey import Surveyed
from clusterboot.trust.validity import NodeTime, Validity, objections

from .check import Check
from .surveyed import SurveyedNodes


class CertificatesHold(Check[SurveyedNodes, None]):
    """Nobody has a certificate that expired or is not valid yet, or a clock by which the others' are not.

    Nodes that trust keys, not certificates, have nothing to fear.
    """

    def judge(self, subject: SurveyedNodes, answers: Mapping[str, None]) -> Mapping[str, UnfitError]:
        """Name who could not log in, or be logged in to, for the time being."""
        certified = {
            name: answer
            for name, answer in subject.surveyed.items()
            if "ca" in kinds(answer.keys.authorized_keys.content, subject.cluster, ())
        }
        return _objections(certified, _found, subject.now_s)


@dataclass(frozen=True)
class ClocksAgree(Check[SurveyedNodes, None]):
    """By every node's clock a certificate made now, for so many hours, would be valid."""

    certificate_hours: int

    def judge(self, subject: SurveyedNodes, answers: Mapping[str, None]) -> Mapping[str, UnfitError]:
        """Name whose clock is wrong."""
        ends_s = subject.now_s + self.certificate_hours * 3600
        made = Validity("a certificate made now", subject.now_s - authority.BACKDATED_S, ends_s)
        return _objections(subject.surveyed, lambda _: (made,), subject.now_s)


def _objections(
    surveyed: Mapping[str, Surveyed], certificates: Callable[[Surveyed], tuple[Validity, ...]], now_s: float
) -> dict[str, UnfitError]:
    nodes = {
        name: NodeTime(certificates(answer), answer.facts.clock_skew_s) for name, answer in surveyed.items()
    }
    return {
        name: UnfitError("ssh", error.cause, stage=error.stage, remedy=error.remedy)
        for name, error in objections(nodes, now_s).items()
    }


def _found(answer: Surveyed) -> tuple[Validity, ...]:
    key = answer.keys.key
    state = authority.read_certificate(key.certificate or "") if key else None
    return (Validity("its certificate", state.valid_after_s, state.valid_before_s),) if state else ()
