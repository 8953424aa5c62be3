"""From "I have SSH to the head" to nodes that reach each other, with hostfiles that say how."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field

from clusterboot.checks.certificates import ClocksAgree
from clusterboot.checks.check import require
from clusterboot.checks.subjects import SurveyedNodes
from clusterboot.errors import ExitCode, HostResult
from clusterboot.facts.node import NodeFacts
from clusterboot.hostfiles import outputs
from clusterboot.hostfiles.slots import AddressPlan
from clusterboot.inventory.cluster import KeyMode, VerifyMode
from clusterboot.session.context import Context
from clusterboot.session.visit import exit_code
from clusterboot.trust import policy
from clusterboot.trust.apply import apply
from clusterboot.trust.authority import unlock
from clusterboot.trust.blaming import LoginFinding
from clusterboot.trust.homes.known import Edit
from clusterboot.trust.members import meet
from clusterboot.trust.operator_claim import claimed, refuse_held
from clusterboot.trust.prove import Proof, prove
from clusterboot.trust.shared_home import proven_homes
from clusterboot.trust.survey import survey
from clusterboot.trust.verify import LoginFailure


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


def bootstrap(context: Context, verify: VerifyMode, asked: KeyMode | None = None) -> Bootstrapped:
    """Bootstrap a cluster.

    Parameters: the command's context; how much of the nodes' mutual logins is proven; on what
    terms the nodes trust each other, where that is not what the cluster file says.
    Returns: what became of each host. A host that failed is in no hostfile; the others are done.
    Errors: :class:`ClusterbootError` where the whole cannot be done: an ambiguous network,
    an audit log that cannot be written.
    """
    unlock(context, asked or context.cluster.options.keys or policy.recall(context.state_dir))
    with context.visit(changes=True) as visit, claimed(visit) as claim:
        surveyed = survey(visit, make_key=not visit.dry_run)
        refuse_held(visit, surveyed)
        for name, answer in surveyed.items():
            if answer.keys.key_created:
                visit.ledger.changed(name)
        groups = proven_homes(visit, surveyed)
        chosen = policy.choose(visit, surveyed, groups, asked)
        if chosen.mode == "ca":
            hours = visit.cluster.options.certificate_hours
            require(visit, SurveyedNodes(visit.cluster.name, surveyed, time.time()), [ClocksAgree(hours)])
        if not visit.good:
            rows = visit.ledger.rows
            return Bootstrapped(rows, exit_code(rows), chosen.mode, chosen.line)
        held = policy.adopt(context, chosen, surveyed)
        moving = policy.needs_exchange(chosen.mode, visit.cluster.name, surveyed, held) and not visit.dry_run
        if moving:
            claim("bootstrap-of-other-keys")
            surveyed = survey(visit, make_key=True, make_next=True)
        participants = meet(visit, surveyed, groups, successors=moving)
        terms = policy.agree(context, chosen.mode, participants, held, successors=moving)
        done = apply(visit, participants, terms, claim)
        facts = {name: answer.facts for name, answer in surveyed.items()}
        proof = Proof(None, (), ())
        if verify != "none" and not visit.dry_run:
            proof = prove(visit, facts, participants.addresses, verify)
        texts = outputs.hostfile_texts(visit, facts, participants.addresses, context.hostfile_dir)
        write = outputs.changes if visit.dry_run else outputs.write
        partly = ExitCode.PARTIAL if proof.pairs or done.stopped else ExitCode.OK
        return Bootstrapped(
            hosts=visit.ledger.rows,
            exit_code=exit_code(visit.ledger.rows, partly),
            mode=chosen.mode,
            facts=facts,
            addresses=participants.addresses,
            choice=chosen.line,
            edits=done.edits,
            planned=done.planned,
            notes=_joined(done.notes, participants.believed.notes),
            names={name: names for name, names in participants.believed.names.items() if names},
            shared_homes=tuple(group for group in participants.groups if len(group) > 1),
            launch_host=proof.launch_host,
            login_failures=(*done.failures, *proof.failures),
            findings=proof.findings,
            files=tuple(write(context.hostfile_dir, texts)),
            stopped=done.stopped,
            pairs=proof.pairs,
        )


def _joined(
    one: Mapping[str, tuple[str, ...]], other: Mapping[str, tuple[str, ...]]
) -> dict[str, tuple[str, ...]]:
    return {name: (*one.get(name, ()), *other.get(name, ())) for name in {**one, **other}}
