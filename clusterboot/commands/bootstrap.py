"""From "I have SSH to the head" to nodes that reach each other, with hostfiles that say how."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from clusterboot import hostfiles, trust
from clusterboot.checks.certificates import require_clocks
from clusterboot.errors import ClusterbootError, ExitCode, HostResult, worst
from clusterboot.facts.node import NodeFacts
from clusterboot.hostfiles import AddressPlan
from clusterboot.hostfiles.outputs import hostfile_texts
from clusterboot.inventory.cluster import KeyMode, VerifyMode
from clusterboot.nodes.sessions import Session
from clusterboot.session.context import Context
from clusterboot.session.visit import Visit, exit_code
from clusterboot.trust import Edit, HomePlan, LoginFailure, LoginFinding, Terms, terms
from clusterboot.trust import mode as modes
from clusterboot.trust import remembered as members_state
from clusterboot.trust.authority import Authority
from clusterboot.trust.change import change_homes
from clusterboot.trust.exchange import exchange, plan_home
from clusterboot.trust.members import authorities_found, meet, needs_exchange
from clusterboot.trust.operator_claim import Claim, claimed, refuse_held
from clusterboot.trust.operator_lock import alone
from clusterboot.trust.proof import Proof, examine
from clusterboot.trust.shared_home import proven_homes
from clusterboot.trust.survey import Surveyed, survey
from clusterboot.trust.terms import Cast, with_successors


@dataclass(frozen=True)
class Bootstrapped:
    """What a bootstrap came to.

    ``mode`` is on what terms the nodes trust each other, ``choice`` a line on why where that was
    not asked for. ``edits`` has the
    files that changed (or would, in a dry run) on each host, below its home, and ``planned`` what
    a dry run would edit there; ``notes`` are lines for people, by host. ``shared_homes`` are the
    groups of hosts that see one home; ``launch_host`` is where the logins were tried from;
    ``files`` are the hostfiles that changed. ``stopped`` says why a change of mode came to no end.
    ``names`` are the hosts' own names that others may call them, besides the cluster file's; ``pairs``
    the failed logins for which neither of two nodes is out.
    """

    hosts: tuple[HostResult, ...]
    exit_code: ExitCode
    mode: KeyMode = "per-node"
    choice: str | None = None
    facts: Mapping[str, NodeFacts] = field(default_factory=dict)
    addresses: AddressPlan | None = None
    edits: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    planned: Mapping[str, tuple[Edit, ...]] = field(default_factory=dict)
    notes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    shared_homes: tuple[tuple[str, ...], ...] = ()
    launch_host: str | None = None
    login_failures: tuple[LoginFailure, ...] = ()
    findings: tuple[LoginFinding, ...] = ()
    files: tuple[str, ...] = ()
    stopped: str | None = None
    names: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    pairs: tuple[LoginFailure, ...] = ()


def bootstrap(context: Context, verify: VerifyMode, mode: KeyMode | None = None) -> Bootstrapped:
    """Bootstrap a cluster.

    Parameters: the command's context; how much of the nodes' mutual logins is proven; on what
    terms the nodes trust each other, where that is not what the cluster file says.
    Returns: what became of each host. A host that failed is in no hostfile; the others are done.
    Errors: :class:`ClusterbootError` where the whole cannot be done: an ambiguous network,
    an audit log that cannot be written.
    """
    terms.unlock(context, mode or context.cluster.options.keys or modes.recall(context.state_dir))
    with (
        alone(context),
        context.visit() as visit,
        claimed(context, visit) as claim,
    ):
        surveyed = survey(visit, make_key=not context.dry_run)
        refuse_held(context, surveyed)
        _note_created(visit, surveyed)
        if not surveyed:
            rows = visit.ledger.rows
            return Bootstrapped(
                rows, exit_code(rows), mode=mode or context.cluster.options.keys or "per-node"
            )
        groups = proven_homes(context, visit, surveyed)
        chosen = modes.choose(context, surveyed, groups, mode)
        mode = chosen.mode
        if mode == "ca":
            require_clocks(context, visit, surveyed)
        if not visit.good:
            return Bootstrapped(visit.ledger.rows, exit_code(visit.ledger.rows), mode, chosen.line)
        trusted = authorities_found(context.cluster.name, surveyed)
        held = terms.hold(context, mode, trusted)
        moving = needs_exchange(context.cluster.name, surveyed, mode, held.public if held else None)
        if held and trusted - {held.public} and not chosen.before:
            context.events.note("the nodes trust another key than this machine's, which takes its place")
        if not context.dry_run:
            modes.remember(context.state_dir, mode)
        if moving and not context.dry_run:
            claim("bootstrap-of-other-keys")
            surveyed = survey(visit, make_key=True, make_next=True)
        met = meet(context, visit, surveyed, groups)
        cast, addresses = met.cast, met.addresses
        found = {name: answer.facts for name, answer in surveyed.items()}
        if moving and not context.dry_run:
            done = _move(context, visit, cast, mode, held)
        else:
            done = _settle(context, visit, cast, mode, held, claim=claim)
        proof = Proof(None, (), ())
        if verify != "none" and not context.dry_run:
            proof = examine(visit, found, addresses, verify)
        files = _write(context, visit, found, addresses)
        partly = ExitCode.PARTIAL if proof.pairs or done.stopped else ExitCode.OK
        return Bootstrapped(
            hosts=visit.ledger.rows,
            exit_code=worst([exit_code(visit.ledger.rows), partly]),
            mode=mode,
            facts=found,
            addresses=addresses,
            choice=chosen.line,
            edits=done.edits,
            planned=done.planned,
            notes=_joined(done.notes, met.believed.notes),
            names={name: names for name, names in met.believed.names.items() if names},
            shared_homes=tuple(tuple(group) for group in cast.groups if len(group) > 1),
            launch_host=proof.launch_host,
            login_failures=(*done.failures, *proof.failures),
            findings=proof.findings,
            files=files,
            stopped=done.stopped,
            pairs=proof.pairs,
        )


@dataclass(frozen=True)
class _Done:
    """What became of the homes, by host; ``stopped`` says why a change of terms came to no end."""

    edits: Mapping[str, tuple[str, ...]]
    failures: tuple[LoginFailure, ...] = ()
    notes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    planned: Mapping[str, tuple[Edit, ...]] = field(default_factory=dict)
    stopped: str | None = None


def _move(context: Context, visit: Visit, cast: Cast, mode: KeyMode, held: Authority | None) -> _Done:
    """Bring homes that are on other terms to these, step by step."""
    cast = replace(cast, members=with_successors(cast))
    agreed = terms.agree(context, mode, cast, held, successors=True)
    ip = {member.name: member.address for member in cast.members}
    moved = exchange(visit, cast, agreed, ip)
    if moved.finished:
        members_state.save(context.state_dir, cast.members)
    return _Done(moved.edits, moved.failures, stopped=moved.stopped)


def _settle(
    context: Context,
    visit: Visit,
    cast: Cast,
    mode: KeyMode,
    held: Authority | None,
    *,
    claim: Claim,
) -> _Done:
    """Bring homes that are on these terms already, or on none, to where they should be.

    Parameters: ``claim`` holds the nodes, once something is to be changed there.
    """
    agreed = terms.agree(context, mode, cast, held)
    plans = _plan(context, visit, cast, agreed)
    if changing := {writer for writer, plan in plans.items() if plan.edits}:
        claim("bootstrap", changing, cast.surveyed)
    edits = _distribute(context, visit, cast, agreed, plans)
    notes = {name: plan.notes for name, plan in plans.items() if plan.notes}
    planned = {name: plan.edits for name, plan in plans.items()} if context.dry_run else {}
    return _Done(edits, (), notes, planned)


def _joined(
    one: Mapping[str, tuple[str, ...]], other: Mapping[str, tuple[str, ...]]
) -> dict[str, tuple[str, ...]]:
    return {name: (*one.get(name, ()), *other.get(name, ())) for name in {**one, **other}}


def _note_created(visit: Visit, surveyed: Mapping[str, Surveyed]) -> None:
    for name, answer in surveyed.items():
        if answer.keys.key_created:
            visit.ledger.changed(name)


def _plan(context: Context, visit: Visit, cast: Cast, agreed: Terms) -> dict[str, HomePlan]:
    """Plan the edits of each home that can be edited; the hosts of the others are out."""
    surveys = {name: answer.keys for name, answer in cast.surveyed.items()}
    cluster = context.cluster
    found = trust.plan(
        cluster.name, cast.members, surveys, cast.groups, keep_hosts=cluster.all_names, terms=agreed
    )
    plans: dict[str, HomePlan] = {}
    for writer, plan in found.items():
        if isinstance(plan, HomePlan):
            plans[writer] = plan
        else:
            _fail_group(visit, cast, writer, plan)
    return plans


def _distribute(
    context: Context, visit: Visit, cast: Cast, agreed: Terms, plans: Mapping[str, HomePlan]
) -> dict[str, tuple[str, ...]]:
    """Make each home trust the members, and remember them.

    Returns: the files that changed, or in a dry run would, by host.
    """
    cluster = context.cluster
    if context.dry_run:
        found = {name: tuple(edit.path for edit in plan.edits) for name, plan in plans.items()}
        return {name: paths for name, paths in found.items() if paths}
    waiting = {writer: plan for writer, plan in plans.items() if plan.edits or plan.sweep}

    def plan(session: Session, anew: bool) -> HomePlan:
        if anew:
            return plan_home(session, cluster.name, cast, cluster.all_names, agreed)
        return waiting[session.name]

    homes = {writer: plan.hosts for writer, plan in waiting.items()}
    changed = change_homes(visit, "keys installed", homes, plan)
    members_state.save(context.state_dir, cast.members)
    return changed


def _fail_group(visit: Visit, cast: Cast, writer: str, error: ClusterbootError) -> None:
    for name in next(group for group in cast.groups if group[0] == writer):
        visit.ledger.fail(name, error)


def _write(
    context: Context, visit: Visit, found: Mapping[str, NodeFacts], addresses: AddressPlan
) -> tuple[str, ...]:
    texts = hostfile_texts(context, visit, found, addresses)
    if context.dry_run:
        return tuple(hostfiles.changes(context.hostfile_dir, texts))
    return tuple(hostfiles.write(context.hostfile_dir, texts))
