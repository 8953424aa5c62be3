"""Taking back what bootstrap put on the nodes, and nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from clusterboot.errors import ExitCode, HostResult
from clusterboot.mpi.script_names import cluster_folder
from clusterboot.session.context import Context
from clusterboot.session.visit import exit_code
from clusterboot.trust import policy
from clusterboot.trust import remembered as members_state
from clusterboot.trust.homes.known import Edit
from clusterboot.trust.launching_host import HEAD, take_back_head, was_used
from clusterboot.trust.operator_claim import claimed
from clusterboot.trust.taking_back import clean_homes, clean_others, look


@dataclass(frozen=True)
class TornDown:
    """What a teardown came to: per host its result and the files that were changed or removed.

    ``planned`` is what a dry run would edit; ``still_to_do`` names the hosts that still have
    something, also those that are no longer in the cluster file.
    """

    hosts: tuple[HostResult, ...]
    exit_code: ExitCode
    edits: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    planned: Mapping[str, tuple[Edit, ...]] = field(default_factory=dict)
    still_to_do: tuple[str, ...] = ()


def teardown(context: Context) -> TornDown:
    """Take every line, file and folder of this cluster's off its nodes.

    A home that several nodes share is cleaned once, for all of them; that it was theirs is seen by
    what the others still have. A node that cannot be reached keeps what it has; the next call
    finishes there.
    """
    cluster = context.cluster
    with context.visit(changes=True) as visit, claimed(visit, "teardown"):
        found = look(visit, "nodes inspected", cluster.hosts)
        contents = [content for remaining in found.values() for content in remaining.files]
        head_launched = was_used(visit.state_dir, contents, cluster.name)
        if visit.dry_run:
            # Without a change nobody can tell whose home is whose.
            plans = {name: remaining for name, remaining in found.items() if remaining.anything}
            paths = {name: remaining.paths for name, remaining in plans.items()}
            if head_launched:
                paths[HEAD] = (cluster_folder(cluster.name),)
            edits = {name: remaining.edits for name, remaining in plans.items()}
            return TornDown(visit.ledger.rows, exit_code(visit.ledger.rows), paths, edits)
        # Before the nodes' lines go, by which another operator's machine would know of it.
        removed = take_back_head(visit) if head_launched else ()
        writers: dict[str, str] = {}
        first = {name: writers.setdefault(left.home or name, name) for name, left in found.items()}
        changed = clean_homes(visit, {name: left for name, left in found.items() if first[name] == name})
        others = {name: writer for name, writer in first.items() if writer != name}
        changed |= clean_others(visit, others, changed)
        changed |= {HEAD: removed} if removed else {}
        members_state.forget(visit.state_dir, [host.name for host in visit.good])
        away = [row.name for row in visit.ledger.rows if row.status != "ok"]
        remembered = [member.name for member in members_state.load(visit.state_dir)]
        if not away and not remembered:
            policy.forget(visit.state_dir)
        still = tuple(dict.fromkeys((*away, *remembered)))
        return TornDown(visit.ledger.rows, exit_code(visit.ledger.rows), changed, still_to_do=still)
