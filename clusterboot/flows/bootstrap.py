"""From "I have SSH to the head" to nodes that reach each other, with hostfiles that say how."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from clusterboot import hostfiles, keys
from clusterboot.config.cluster import VerifyMode
from clusterboot.connect.session import Session
from clusterboot.errors import ClusterbootError, ExitCode, HostResult, PartialError
from clusterboot.facts.records import NodeFacts
from clusterboot.flows.context import Context
from clusterboot.flows.outputs import hostfile_texts
from clusterboot.flows.proof import prove
from clusterboot.flows.survey import Surveyed, survey
from clusterboot.flows.visit import Visit, exit_code
from clusterboot.hostfiles import AddressPlan
from clusterboot.keys import HomePlan, LoginFailure, Member
from clusterboot.keys import state as members_state


@dataclass(frozen=True)
class Bootstrapped:
    """What a bootstrap came to.

    ``edits`` has the files that changed (or would, in a dry run) on each host, below its
    home; ``shared_homes`` the groups of hosts that see one home; ``launch_host`` where the
    logins were tried from; ``files`` the hostfiles that changed.
    """

    hosts: tuple[HostResult, ...]
    exit_code: ExitCode
    facts: Mapping[str, NodeFacts] = field(default_factory=dict)
    addresses: AddressPlan | None = None
    edits: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    shared_homes: tuple[tuple[str, ...], ...] = ()
    launch_host: str | None = None
    login_failures: tuple[LoginFailure, ...] = ()
    files: tuple[str, ...] = ()


def bootstrap(context: Context, verify: VerifyMode) -> Bootstrapped:
    """Bootstrap a cluster.

    Parameters: the command's context; how much of the nodes' mutual logins is proven.
    Returns: what became of each host. A host that failed is in no hostfile; the others are done.
    Errors: :class:`ClusterbootError` where the whole cannot be done: an ambiguous network,
    an audit log that cannot be written.
    """
    with context.visit() as visit:
        surveyed = survey(visit, make_key=not context.dry_run)
        _note_created(visit, surveyed)
        found = {name: answer.facts for name, answer in surveyed.items()}
        if not found:
            return Bootstrapped(visit.ledger.rows, exit_code(visit.ledger.rows))
        addresses = hostfiles.choose_addresses(visit.good, found, context.cluster.network)
        for excluded in addresses.excluded:
            visit.ledger.fail(excluded.host, PartialError(excluded.reason, stage="hostfile"))
        groups = keys.homes({host.name: found[host.name] for host in visit.good})
        members = _members(context, visit, surveyed, addresses, groups)
        edits = _distribute(context, visit, surveyed, members, groups)
        failures: tuple[LoginFailure, ...] = ()
        launch_host = None
        if verify != "none" and not context.dry_run:
            launch_host, failures = prove(visit, found, addresses, verify)
        files = _write(context, visit, found, addresses)
        return Bootstrapped(
            hosts=visit.ledger.rows,
            exit_code=exit_code(visit.ledger.rows),
            facts=found,
            addresses=addresses,
            edits=edits,
            shared_homes=tuple(tuple(group) for group in groups if len(group) > 1),
            launch_host=launch_host,
            login_failures=failures,
            files=files,
        )


def _note_created(visit: Visit, surveyed: Mapping[str, Surveyed]) -> None:
    for name, answer in surveyed.items():
        if answer.keys.key_created:
            visit.ledger.changed(name)


def _members(
    context: Context,
    visit: Visit,
    surveyed: Mapping[str, Surveyed],
    addresses: AddressPlan,
    groups: Sequence[Sequence[str]],
) -> tuple[Member, ...]:
    """Give the members of the cluster: those met now, and those remembered that are away."""
    ip = {entry.host: entry.ip for entry in addresses.addresses}
    owner = {name: group[0] for group in groups for name in group}
    known = {member.name: member for member in members_state.load(context.state_dir)}
    # A key keeps the name it had: with a shared home, whoever is first today may not be tomorrow.
    owner_of_key = {member.public_key: member.key_owner for member in known.values()}
    for host in visit.good:
        answer = surveyed[host.name]
        try:
            known[host.name] = keys.member(
                host,
                answer.facts,
                answer.keys,
                address=ip[host.name],
                seen_host_key=answer.host_key,
                key_owner=owner_of_key.get(answer.keys.public_key or "", owner[host.name]),
            )
        except PartialError as error:
            # In a dry run a node has no key yet; there is nothing wrong with that.
            if not context.dry_run:
                visit.ledger.fail(host.name, error)
    return tuple(known[name] for name in context.cluster.all_names if name in known)


def _distribute(
    context: Context,
    visit: Visit,
    surveyed: Mapping[str, Surveyed],
    members: Sequence[Member],
    groups: Sequence[Sequence[str]],
) -> dict[str, tuple[str, ...]]:
    """Make each home trust the members, and remember them.

    Returns: the files that changed, or in a dry run would, by host.
    """
    cluster = context.cluster
    surveys = {name: answer.keys for name, answer in surveyed.items()}
    plans = keys.plan(cluster.name, members, surveys, groups, keep_hosts=cluster.all_names)
    todo: dict[str, HomePlan] = {}
    for writer, plan in plans.items():
        if isinstance(plan, HomePlan):
            todo[writer] = plan
        else:
            _fail_group(visit, groups, writer, plan)
    waiting = {writer: plan for writer, plan in todo.items() if plan.edits}
    if context.dry_run:
        return {writer: tuple(edit.path for edit in plan.edits) for writer, plan in waiting.items()}

    def install(session: Session) -> tuple[str, ...]:
        plan = waiting[session.name]
        result = session.run([keys.install_section(cluster.name, plan.edits)], "keys")
        return keys.parse_install(result.answer.sections, plan.edits, session.name)

    writers = [host for host in visit.good if host.name in waiting]
    changed = visit.stage("keys", writers, install)
    for writer, plan in waiting.items():
        for name in plan.hosts:
            if writer in changed:
                visit.ledger.changed(name)
            elif name != writer:
                cause = f"the home that it shares with {writer} could not be written"
                visit.ledger.fail(name, PartialError(cause, stage="keys"))
    members_state.save(context.state_dir, members)
    return {name: paths for name, paths in changed.items() if paths}


def _fail_group(visit: Visit, groups: Sequence[Sequence[str]], writer: str, error: ClusterbootError) -> None:
    for name in next(group for group in groups if group[0] == writer):
        visit.ledger.fail(name, error)


def _write(
    context: Context, visit: Visit, found: Mapping[str, NodeFacts], addresses: AddressPlan
) -> tuple[str, ...]:
    texts = hostfile_texts(context, visit, found, addresses)
    if context.dry_run:
        return tuple(hostfiles.changes(context.hostfile_dir, texts))
    return tuple(hostfiles.write(context.hostfile_dir, texts))
