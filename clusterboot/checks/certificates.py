"""Certificates and clocks looked at before anything depends on them."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

from clusterboot.session.visit import UnfitError, Visit
from clusterboot.trust import authority
from clusterboot.trust.homes.tagged_lines import kinds
from clusterboot.trust.survey import Surveyed
from clusterboot.trust.validity import NodeTime, Validity, objections


def require_validity(visit: Visit, surveyed: Mapping[str, Surveyed]) -> None:
    """Put out each host that could not log in, or be logged in to, for the time being.

    That is who has a certificate that expired or is not valid yet, or a clock by which the
    others' are not. Nodes that trust keys, not certificates, have nothing to fear.
    """
    cluster = visit.cluster.name
    certified = {
        name: answer
        for name, answer in surveyed.items()
        if "ca" in kinds(answer.keys.authorized_keys.content, cluster, ())
    }
    _put_out(visit, certified, _found)


def require_clocks(visit: Visit, surveyed: Mapping[str, Surveyed], now_s: float) -> None:
    """Put out each host by whose clock a certificate made now would not be valid."""
    hours = visit.cluster.options.certificate_hours
    made = Validity("a certificate made now", now_s - authority.BACKDATED_S, now_s + hours * 3600)
    _put_out(visit, surveyed, lambda _: (made,))


def _put_out(
    visit: Visit, surveyed: Mapping[str, Surveyed], certificates: Callable[[Surveyed], tuple[Validity, ...]]
) -> None:
    nodes = {
        name: NodeTime(certificates(answer), answer.facts.clock_skew_s) for name, answer in surveyed.items()
    }
    for name, error in objections(nodes, time.time()).items():
        unfit = UnfitError("ssh", error.cause, stage=error.stage, remedy=error.remedy)
        visit.ledger.fail(name, unfit)


def _found(answer: Surveyed) -> tuple[Validity, ...]:
    key = answer.keys.key
    state = authority.read_certificate(key.certificate or "") if key else None
    return (Validity("its certificate", state.valid_after_s, state.valid_before_s),) if state else ()
