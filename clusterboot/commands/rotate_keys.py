"""Every credential of a cluster replaced, without a moment in which a login between nodes fails."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from clusterboot.errors import ExitCode, HostResult, PartialError
from clusterboot.inventory.cluster import KeyMode
from clusterboot.session.context import Context
from clusterboot.session.visit import exit_code
from clusterboot.trust import authority, policy
from clusterboot.trust.apply import apply
from clusterboot.trust.launching_host import take_back_head, was_used
from clusterboot.trust.members import meet
from clusterboot.trust.operator_claim import claimed
from clusterboot.trust.prove import prove_ring
from clusterboot.trust.shared_home import proven_homes
from clusterboot.trust.survey import survey
from clusterboot.trust.verify import LoginFailure


@dataclass(frozen=True)
class Rotated:
    """What a rotation came to.

    ``finished`` is false where the old credentials are still accepted, and ``stopped`` a line on why.
    """

    hosts: tuple[HostResult, ...]
    exit_code: ExitCode
    mode: KeyMode = "per-node"
    edits: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    login_failures: tuple[LoginFailure, ...] = ()
    finished: bool = False
    stopped: str | None = None


def rotate(context: Context) -> Rotated:
    """Replace the keys of every node that can be reached, in the mode that the nodes are in.

    A node that is away keeps its old key, which the others go on accepting, until it is
    there at a later call. In a dry run nothing is made and nothing is contacted beyond a look.
    """
    authority.unlock(context, policy.recall(context.state_dir))
    with context.visit(changes=True) as visit, claimed(visit, "rotate-keys") as claim:
        surveyed = survey(visit, make_key=False)
        for name, answer in surveyed.items():
            if answer.keys.own_config.kind == "absent":
                cause = "it has no keys of this cluster"
                visit.ledger.fail(name, PartialError(cause, stage="keys", remedy="run bootstrap first"))
        if visit.good and not visit.dry_run:
            surveyed = survey(visit, make_key=True, make_next=True)
        surveyed = {host.name: surveyed[host.name] for host in visit.good}
        if not surveyed or visit.dry_run:
            return Rotated(visit.ledger.rows, exit_code(visit.ledger.rows))
        participants = meet(visit, surveyed, proven_homes(visit, surveyed), successors=True)
        mode = policy.resume(visit, surveyed, participants.groups)
        held = authority.load_next(context, mode)
        terms = policy.agree(context, mode, participants, held, successors=True)
        done = apply(visit, participants, terms, claim)
        failures = done.failures
        if done.finished:
            authority.promote(context.state_dir, mode)
            files = [answer.keys.authorized_keys.content for answer in surveyed.values()]
            if was_used(visit.state_dir, files, visit.cluster.name):
                take_back_head(visit)
            # Nothing is written after this: what the nodes have now is what is proven.
            failures = prove_ring(visit, participants.ip)
        rows = visit.ledger.rows
        partly = ExitCode.PARTIAL if failures or done.stopped else ExitCode.OK
        return Rotated(rows, exit_code(rows, partly), mode, done.edits, failures, done.finished, done.stopped)
