"""From "I have SSH to the head" to nodes that reach each other, with hostfiles that say how."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from clusterboot import hostfiles, keys
from clusterboot.config.cluster import VerifyMode
from clusterboot.connect.session import Session
from clusterboot.errors import ClusterbootError, ExitCode, HostResult, PartialError
from clusterboot.facts.records import NodeFacts
from clusterboot.flows.change import change, persistently
from clusterboot.flows.context import Context
from clusterboot.flows.outputs import hostfile_texts
from clusterboot.flows.proof import prove
from clusterboot.flows.survey import Surveyed, survey
from clusterboot.flows.visit import Visit, exit_code
from clusterboot.hostfiles import AddressPlan
from clusterboot.keys import Edit, HomePlan, LoginFailure, Member
from clusterboot.keys import state as members_state


@dataclass(frozen=True)
class Bootstrapped:
    """What a bootstrap came to.

    ``edits`` has the files that changed (or would, in a dry run) on each host, below its home,
    and ``planned`` what a dry run would edit there; ``notes`` are lines for people, by host.
    ``shared_homes`` are the groups of hosts that see one home; ``launch_host`` is where the
    logins were tried from; ``files`` are the hostfiles that changed.
    """

    hosts: tuple[HostResult, ...]
    exit_code: ExitCode
    facts: Mapping[str, NodeFacts] = field(default_factory=dict)
    addresses: AddressPlan | None = None
    edits: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    planned: Mapping[str, tuple[Edit, ...]] = field(default_factory=dict)
    notes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
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
        plans = _plan(context, visit, surveyed, members, groups)
        edits = _distribute(context, visit, plans, members, groups)
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
            planned={name: plan.edits for name, plan in plans.items()} if context.dry_run else {},
            notes={name: plan.notes for name, plan in plans.items() if plan.notes},
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
        found = answer.keys
        if context.dry_run and found.public_key is None:
            found = replace(found, public_key=f"ssh-ed25519 (the-key-that-{host.name}-will-make)")
        try:
            known[host.name] = keys.member(
                host,
                answer.facts,
                found,
                address=ip[host.name],
                seen_host_key=answer.host_key,
                key_owner=owner_of_key.get(found.public_key or "", owner[host.name]),
            )
        except PartialError as error:
            visit.ledger.fail(host.name, error)
    return tuple(known[name] for name in context.cluster.all_names if name in known)


def _plan(
    context: Context,
    visit: Visit,
    surveyed: Mapping[str, Surveyed],
    members: Sequence[Member],
    groups: Sequence[Sequence[str]],
) -> dict[str, HomePlan]:
    """Plan the edits of each home that can be edited; the hosts of the others are out."""
    surveys = {name: answer.keys for name, answer in surveyed.items()}
    keep = context.cluster.all_names
    plans: dict[str, HomePlan] = {}
    for writer, plan in keys.plan(context.cluster.name, members, surveys, groups, keep_hosts=keep).items():
        if isinstance(plan, HomePlan):
            plans[writer] = plan
        else:
            _fail_group(visit, groups, writer, plan)
    return plans


def _distribute(
    context: Context,
    visit: Visit,
    plans: Mapping[str, HomePlan],
    members: Sequence[Member],
    groups: Sequence[Sequence[str]],
) -> dict[str, tuple[str, ...]]:
    """Make each home trust the members, and remember them.

    Returns: the files that changed, or in a dry run would, by host.
    """
    cluster = context.cluster
    if context.dry_run:
        found = {name: tuple(edit.path for edit in plan.edits) for name, plan in plans.items()}
        return {name: paths for name, paths in found.items() if paths}
    waiting = {writer: plan for writer, plan in plans.items() if plan.edits or plan.sweep}

    def install(session: Session) -> tuple[str, ...]:
        group = next(group for group in groups if group[0] == session.name)

        def attempt(anew: bool) -> tuple[str, ...]:
            edits = waiting[session.name].edits
            if anew:
                edits = _plan_anew(session, cluster.name, members, group, cluster.all_names)
            return change(session, cluster.name, keys.install_section(cluster.name, edits), edits)

        return persistently(attempt)

    writers = [host for host in visit.good if host.name in waiting]
    changed = visit.stage("keys", writers, install)
    for writer, plan in waiting.items():
        for name in plan.hosts:
            if changed.get(writer):
                visit.ledger.changed(name)
            elif writer not in changed and name != writer:
                cause = f"the home that it shares with {writer} could not be written"
                visit.ledger.fail(name, PartialError(cause, stage="keys"))
    members_state.save(context.state_dir, members)
    return {name: paths for name, paths in changed.items() if paths}


def _plan_anew(
    session: Session, cluster: str, members: Sequence[Member], group: Sequence[str], keep: Sequence[str]
) -> tuple[Edit, ...]:
    """Read one home again, which somebody else was editing, and plan its edits on what is there now.

    Errors: :class:`PartialError` where it cannot be edited any more.
    """
    sections = keys.survey_sections(cluster, make_key=False)
    found = keys.parse_survey(session.run(sections, "keys").answer.sections, cluster, session.name)
    plan = keys.plan(cluster, members, {session.name: found}, [group], keep_hosts=keep)[session.name]
    if not isinstance(plan, HomePlan):
        raise plan
    return plan.edits


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
