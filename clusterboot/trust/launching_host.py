"""A launch from the head: what the head must have and be, and how that is taken back.

It gets a key of its own to the nodes, made there, and nothing else of it is touched. Its ssh is told
the configuration in the cluster's own folder there, so that the user's stays as it is; and no node can
log in to it. It has such a key in every mode: a certificate, or the key that all nodes share, would
make it one of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from ipaddress import ip_address, ip_interface
from pathlib import Path

from clusterboot import files
from clusterboot.errors import ClusterbootError, PartialError, UsageError, ValidationError
from clusterboot.facts.node import NodeFacts
from clusterboot.hostfiles.slots import AddressPlan
from clusterboot.inventory.cluster import Cluster, Host
from clusterboot.inventory.selection import hosts_called
from clusterboot.mpi.launcher import Mpi
from clusterboot.mpi.launchers import LAUNCHERS
from clusterboot.nodes.sessions import Session
from clusterboot.session.context import Context
from clusterboot.session.visit import UnfitError, Visit

from .change import Change, change
from .claims import sources_of
from .homes import install, tagged_lines
from .homes.install import removal_section
from .homes.known import Edit, Member, NodeFile, Terms
from .homes.tagged_lines import lets_launcher_in
from .members import as_member
from .plan import lacks_restrict, plan_head
from .prove import prove
from .shared_home import by_home
from .survey import Surveyed, ask, changeable, usable

HEAD = "head"
# Written before the head is touched, so that a teardown knows that it was.
_MARK = "head"


@dataclass(frozen=True)
class Head:
    """A head that can launch: its facts, its MPI, and the address by which the nodes call it back.

    ``apart`` is true where that address is not on the nodes' interconnect.
    """

    facts: NodeFacts
    mpi: Mpi
    address: str
    interface: str
    apart: bool


def launch_place(cluster: Cluster, asked: str | None) -> str | None:
    """Say where a launch is to start: a node's name, ``head`` for one that is none, ``None`` for any.

    Parameters: the command line's word, which goes before the cluster file's.
    Errors: :class:`UsageError` where that is no place.
    """
    wanted = asked or cluster.options.launch_from
    if wanted is None:
        return None
    meant = hosts_called(cluster.hosts).get(wanted, ())
    if len(meant) == 1:
        return meant[0].name
    names = [host.name for host in meant or cluster.hosts]
    if wanted != HEAD:
        if not asked:
            # Left out of this command; any other will do.
            return None
        raise UsageError(
            f"--launch-from {asked}: {'more than one host' if meant else 'no such host'}",
            remedy=f"name one of the cluster's, as {names[0]}, or head",
        )
    heads = {host.via[-1:] for host in cluster.hosts}
    if len(heads) > 1 or () in heads:
        cause = "the nodes are behind different heads" if len(heads) > 1 else "there is no head"
        raise UsageError(f"cannot launch from the head: {cause}", remedy=f"name a node, as {names[0]}")
    ((login,),) = heads
    here = (
        host.name
        for host in cluster.hosts
        if (host.login.hostname, host.login.port) == (login.hostname, login.port)
    )
    return next(here, HEAD)


@contextmanager
def visit_to_launch(context: Context, asked: str | None) -> Iterator[Visit]:
    """Open the way to a cluster on which something is to be launched, for a block.

    Parameters: the command; what it was told of where the launch is to start.
    Errors: as :func:`launch_place` and :meth:`Context.visit`.
    """
    place = launch_place(context.cluster, asked)
    is_head = place == HEAD and HEAD not in [host.name for host in context.cluster.hosts]
    with context.visit() as visit:
        yield replace(visit, launch_from=place, launcher=head_host(visit.cluster) if is_head else None)


def head_host(cluster: Cluster) -> Host:
    """Describe the head as a host to work on."""
    via = cluster.hosts[0].via
    return Host(HEAD, via[-1], via[:-1])


def prepare_head(visit: Visit, surveyed: Mapping[str, Surveyed], addresses: AddressPlan, mpi: Mpi) -> Head:
    """Make the head fit for a launch: look at it, give it its key, and have the nodes let it in.

    Parameters: what the nodes said; their addresses; their MPI. In a dry run nothing is changed.
    Errors: :class:`ValidationError` where a launch cannot start there.
    """
    assert visit.launcher is not None  # noqa: S101  # the caller has seen to it
    visit.ledger.admit(HEAD)
    if not visit.dry_run:
        files.replace(visit.state_dir / _MARK, b"", mode=0o600)
    answer = visit.stage(
        "head", [visit.launcher], lambda session: ask(visit.cluster, session, make_key=not visit.dry_run)
    )
    _require_good(visit)
    found = answer[HEAD]
    try:
        _require_own_home(found, surveyed)
        head = _head(found.facts, addresses, mpi)
    except UnfitError as error:
        visit.ledger.fail(HEAD, error)
        _require_good(visit)
        raise
    if not visit.dry_run:
        _introduce(visit, found, surveyed, addresses, head.address)
    return head


def _require_good(visit: Visit) -> None:
    row = visit.ledger[HEAD]
    if row.status != "ok":
        raise ValidationError(row.cause or "", host=HEAD, stage="launch", remedy=row.remedy)


def _require_own_home(found: Surveyed, surveyed: Mapping[str, Surveyed]) -> None:
    """See that the head's key would not lie among the nodes' own: in a home that they share with it."""
    home = found.facts.home
    for name, node in surveyed.items():
        same_key = found.keys.public_key is not None and found.keys.public_key == node.keys.public_key
        if same_key or (home and node.facts.home and home.identity == node.facts.home.identity):
            raise UnfitError(
                "ssh",
                f"its home is that of {name}, so that no key there is its own",
                stage="launch",
                remedy="launch from a node",
            )


def _head(facts: NodeFacts, addresses: AddressPlan, mpi: Mpi) -> Head:
    own = next((one for one in facts.mpi if (one.kind, one.version) == (mpi.kind, mpi.version)), None)
    if own is None:
        has = f", only {facts.mpi[0].kind} {facts.mpi[0].version}" if facts.mpi else ""
        raise UnfitError(
            "missing-executable",
            f"it has no mpirun of {mpi.kind} {mpi.version}{has}",
            stage="launch",
            remedy="install it there as on the nodes, or launch from a node",
        )
    if not LAUNCHERS[mpi.kind].takes_prefix and own.launcher != mpi.launcher:
        # It starts its daemons on the nodes under the path that it has itself.
        cause = f"its mpirun is {own.launcher}, and the nodes' is {mpi.launcher}"
        raise UnfitError(
            "missing-executable", cause, stage="launch", remedy="install it in the same place on all machines"
        )
    candidates = [
        (entry.ip, entry.prefix_len, link.name)
        for link in facts.interfaces
        for entry in link.addresses
        if link.kind != "loopback" and entry.scope == "global"
    ]
    near = [each for each in candidates if addresses.network and ip_address(each[0]) in addresses.network]
    # Else one in whose subnet the nodes are too.
    nodes = [ip_address(entry.ip) for entry in addresses.addresses]
    shared = [
        each
        for each in candidates
        if any(node in ip_interface(f"{each[0]}/{each[1]}").network for node in nodes)
    ]
    if not candidates:
        raise UnfitError(
            "mpi-launch",
            "it has no address that the nodes could reach",
            stage="launch",
            remedy="launch from a node",
        )
    address, _, interface = [*near, *shared, *candidates][0]
    return Head(facts, own, address, interface, apart=not near)


def _introduce(
    visit: Visit, found: Surveyed, surveyed: Mapping[str, Surveyed], addresses: AddressPlan, address: str
) -> None:
    """Give the head the nodes' names and host keys, and the nodes the head's key."""
    cluster = visit.cluster.name
    ip = addresses.ip
    members = tuple(
        _member(host, surveyed[host.name], ip[host.name], addresses) for host in visit.good if host.name in ip
    )
    assert visit.launcher is not None  # noqa: S101  # as above
    head = _member(visit.launcher, found, address, addresses)
    terms = Terms(openssh_kex=visit.cluster.options.kex_algorithms == "openssh")

    def equip(session: Session) -> tuple[str, ...]:
        def plan(anew: bool) -> Change | None:
            state = ask(visit.cluster, session, make_key=False).keys if anew else found.keys
            return _installed(cluster, plan_head(cluster, members, head, state, terms))

        return change(session, cluster, plan)

    def admit(session: Session) -> tuple[str, ...]:
        def plan(anew: bool) -> Change | None:
            known = ask(visit.cluster, session, make_key=False) if anew else surveyed[session.name]
            old = lacks_restrict(known.facts.software.ssh_version)
            file = known.keys.authorized_keys
            return _installed(cluster, _admission(cluster, head, file, lacks_restrict=old))

        return change(session, cluster, plan)

    equipped = visit.stage("head's files", [visit.launcher], equip)
    _require_good(visit)
    facts = {host.name: surveyed[host.name].facts for host in visit.good}
    writers = {group[0] for group in by_home(facts)}
    admitted = visit.stage("head's key", [host for host in visit.good if host.name in writers], admit)
    if found.keys.key_created or any(equipped.values()) or any(admitted.values()):
        visit.events.note("the head has a key of its own to the nodes now, until teardown takes it back")


def _admission(cluster: str, head: Member, file: NodeFile, *, lacks_restrict: bool) -> tuple[Edit, ...]:
    """Plan the line that lets the head in to a node, from its addresses only.

    Parameters: the head; the node's ``authorized_keys``; whether its sshd knows no ``restrict``.
    Errors: :class:`PartialError` where the file cannot be changed.
    """
    restrict = tagged_lines.RESTRICT_IN_FULL if lacks_restrict else tagged_lines.RESTRICT
    owner = tagged_lines.LAUNCHER
    line = tagged_lines.authorized_line(cluster, head.public_key, owner, [head], restrict)
    edit = tagged_lines.edit_launcher(usable(file), cluster, line)
    return (changeable(edit),) if edit else ()


def _installed(cluster: str, edits: Sequence[Edit]) -> Change | None:
    return (install.section(cluster, edits), edits) if edits else None


def _member(host: Host, answer: Surveyed, address: str, addresses: AddressPlan) -> Member:
    sources = sources_of(host, answer.facts, address, addresses.network)
    return as_member(host, answer, address, key_owner=host.name, sources=sources)


def prove_head(visit: Visit, head: Head, facts: Mapping[str, NodeFacts], addresses: AddressPlan) -> None:
    """Try the logins that a launch from the head makes; who cannot be reached is out.

    Errors: :class:`ValidationError` where the head reaches nobody.
    """
    proof = prove(visit, {**facts, HEAD: head.facts}, addresses, "launch", HEAD)
    if proof.launch_host is None:
        first = proof.failures[0] if proof.failures else None
        raise ValidationError(
            f"the head cannot be launched from: {first.reason if first else 'no node is left'}",
            host=HEAD,
            stage="launch",
            remedy=first.remedy if first else "run bootstrap",
        )


def was_used(state_dir: Path, authorized_keys: Iterable[bytes], cluster: str) -> bool:
    """Tell whether the head was ever given a key: by the operator's own record, or the nodes' files."""
    return (state_dir / _MARK).exists() or any(
        lets_launcher_in(content, cluster) for content in authorized_keys
    )


def take_back_head(visit: Visit) -> tuple[str, ...]:
    """Take away all that the head was given.

    Returns: what was removed, below its home. A head that cannot be reached is noted, and
    keeps what it has until the next call.
    """
    host = head_host(visit.cluster)
    question = install.made(removal_section(visit.cluster.name, ()), ())
    outcome = visit.fleet.each([host], lambda session: session.ask(question))[HEAD]
    if isinstance(outcome, ClusterbootError):
        visit.ledger.admit(HEAD)
        visit.ledger.fail(HEAD, outcome if isinstance(outcome, PartialError) else _still_there(outcome))
        return ()
    (visit.state_dir / _MARK).unlink(missing_ok=True)
    return outcome


def _still_there(error: ClusterbootError) -> PartialError:
    cause = f"its key for launches could not be taken back: {error.cause}"
    return PartialError(cause, stage=error.stage, remedy=error.remedy)
