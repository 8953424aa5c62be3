"""Every credential of a cluster replaced, without a moment in which a login between nodes fails."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from clusterboot.errors import ExitCode, HostResult, PartialError, worst
from clusterboot.inventory.cluster import KeyMode
from clusterboot.session.context import Context
from clusterboot.session.visit import exit_code
from clusterboot.trust import LoginFailure, terms
from clusterboot.trust import mode as modes
from clusterboot.trust import remembered as members_state
from clusterboot.trust.exchange import exchange, prove_ring
from clusterboot.trust.launching_host import take_back_head, was_used
from clusterboot.trust.members import meet, mode_of
from clusterboot.trust.operator_claim import claimed
from clusterboot.trust.operator_lock import alone
from clusterboot.trust.shared_home import proven_homes
from clusterboot.trust.survey import survey
from clusterboot.trust.terms import with_successors


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
    terms.unlock(context, modes.recall(context.state_dir))
    with alone(context), context.visit() as visit, claimed(context, visit, "rotate-keys"):
        surveyed = survey(visit, make_key=False)
        for name, answer in surveyed.items():
            if answer.keys.own_config.kind == "absent":
                cause = "it has no keys of this cluster"
                visit.ledger.fail(name, PartialError(cause, stage="keys", remedy="run bootstrap first"))
        if visit.good and not context.dry_run:
            surveyed = survey(visit, make_key=True, make_next=True)
        surveyed = {host.name: surveyed[host.name] for host in visit.good}
        if not surveyed or context.dry_run:
            return Rotated(visit.ledger.rows, exit_code(visit.ledger.rows))
        met = meet(context, visit, surveyed, proven_homes(context, visit, surveyed))
        cast = met.cast
        # Between two modes, after a move that was cut off, it is finished.
        mode = modes.choose(context, surveyed, cast.groups, mode_of(context.cluster.name, surveyed)).mode
        modes.remember(context.state_dir, mode)
        cast = replace(cast, members=with_successors(cast))
        agreed = terms.agree(context, mode, cast, terms.hold_next(context, mode), successors=True)
        ip = {entry.host: entry.ip for entry in met.addresses.addresses}
        files = [answer.keys.authorized_keys.content for answer in surveyed.values()]
        result = exchange(visit, cast, agreed, ip)
        if result.finished:
            terms.settle(context, mode)
            members_state.save(context.state_dir, cast.members)
            if was_used(context.state_dir, files, context.cluster.name):
                take_back_head(visit)
            # Nothing is written after this: what the nodes have now is what is proven.
            last = prove_ring(visit, ip)
            result = replace(result, failures=last)
        rows = visit.ledger.rows
        partly = ExitCode.PARTIAL if result.failures or result.stopped else ExitCode.OK
        return Rotated(
            rows,
            worst([exit_code(rows), partly]),
            mode,
            result.edits,
            result.failures,
            result.finished,
            result.stopped,
        )
