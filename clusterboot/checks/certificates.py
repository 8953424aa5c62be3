"""Certificates and clocks, which logins depend on: which is out of its time, and whose clock is to blame.

sshd says no more of either than ``Permission denied``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from statistics import median, median_high, median_low

from clusterboot.session.visit import UnfitError
from clusterboot.ssh.certificate import when
from clusterboot.trust.authority import BACKDATED_S, read_certificate
from clusterboot.trust.homes.tagged_lines import kinds
from clusterboot.trust.survey import Surveyed

from .check import Check
from .subjects import SurveyedNodes

# Clocks that are as far off as this, and agree among themselves as well as that, are right: the one
# that they are compared with is wrong. In seconds.
_AGREEING_S = 60.0

_SET_CLOCK = "set the clock there, and see that chrony or ntpd keeps it"


@dataclass(frozen=True)
class Validity:
    """From when until when a certificate holds, in seconds since 1970, and what it is for, in words."""

    what: str
    after_s: float
    before_s: float

    def holds(self, at_s: float) -> bool:
        """Tell whether it is valid at a time."""
        return self.after_s <= at_s < self.before_s


@dataclass(frozen=True)
class NodeTime:
    """A node's certificates, and its clock minus the operator's in seconds, ``None`` where not known."""

    certificates: tuple[Validity, ...]
    skew_s: float | None


class CertificatesHold(Check[SurveyedNodes, None]):
    """Nobody has a certificate that expired or is not valid yet, or a clock by which the others' are not.

    Nodes that trust keys, not certificates, have nothing to fear.
    """

    def judge(self, subject: SurveyedNodes, answers: Mapping[str, None]) -> Mapping[str, UnfitError]:
        nodes = {
            name: NodeTime(_found(answer), answer.facts.clock_skew_s)
            for name, answer in subject.surveyed.items()
            if "ca" in kinds(answer.keys.authorized_keys.content, subject.cluster, ())
        }
        return objections(nodes, subject.now_s)


@dataclass(frozen=True)
class ClocksAgree(Check[SurveyedNodes, None]):
    """By every node's clock a certificate made now, for so many hours, would be valid."""

    certificate_hours: int

    def judge(self, subject: SurveyedNodes, answers: Mapping[str, None]) -> Mapping[str, UnfitError]:
        ends_s = subject.now_s + self.certificate_hours * 3600
        made = Validity("a certificate made now", subject.now_s - BACKDATED_S, ends_s)
        nodes = {
            name: NodeTime((made,), answer.facts.clock_skew_s) for name, answer in subject.surveyed.items()
        }
        return objections(nodes, subject.now_s)


def _found(answer: Surveyed) -> tuple[Validity, ...]:
    key = answer.keys.key
    state = read_certificate(key.certificate or "") if key else None
    return (Validity("its certificate", state.valid_after_s, state.valid_before_s),) if state else ()


def objections(nodes: Mapping[str, NodeTime], now_s: float) -> dict[str, UnfitError]:
    """Say, of each node that could not log in or let others in because of the time, why.

    Parameters: the nodes by name; the operator's clock. A certificate is judged by the time
    that most nodes have, and a node's clock by the certificates that are good then.
    """
    skews = [node.skew_s for node in nodes.values() if node.skew_s is not None]
    # The operator's own clock has a vote, too; of two that are as common, it is that one.
    votes = [*skews, 0.0]
    cluster_s = now_s + min(median_low(votes), median_high(votes), key=abs)
    good = [one for node in nodes.values() for one in node.certificates if one.holds(cluster_s)]
    found: dict[str, UnfitError] = {}
    for name, node in nodes.items():
        cause, remedy = _out_of_time(node, cluster_s, _operator_skew_s(skews))
        local_s = None if node.skew_s is None else now_s + node.skew_s
        if not cause and local_s is not None and not all(one.holds(local_s) for one in good):
            others = "most nodes'" if len(skews) > 2 else "this machine's"
            cause = f"its clock is {_apart(local_s - cluster_s)} {others}: by it, certificates are not valid"
            remedy = _SET_CLOCK
        if cause:
            found[name] = UnfitError("ssh", cause, stage="keys", remedy=remedy)
    return found


def _out_of_time(node: NodeTime, at_s: float, operator_skew_s: float | None) -> tuple[str, str]:
    for one in node.certificates:
        if at_s >= one.before_s:
            return f"{one.what} expired at {when(one.before_s)}", "run bootstrap, which renews it"
        if at_s < one.after_s:
            if operator_skew_s is not None:
                cause = f"this machine's clock is {_apart(operator_skew_s)} all nodes', so that "
                cause += f"{one.what} is not valid before {when(one.after_s)}"
                return cause, "set the clock of this machine, then run bootstrap"
            return f"{one.what} is not valid before {when(one.after_s)}", "run bootstrap, which renews it"
    return "", ""


def _operator_skew_s(skews: list[float]) -> float | None:
    """Give how far the operator's own clock is off; ``None`` where it is not the one that is wrong."""
    agreeing = len(skews) > 1 and max(skews) - min(skews) <= _AGREEING_S
    return -median(skews) if agreeing and abs(median(skews)) >= BACKDATED_S else None


def _apart(skew_s: float) -> str:
    return f"{abs(skew_s):,.0f} s {'ahead of' if skew_s > 0 else 'behind'}"
