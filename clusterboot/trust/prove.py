"""The logins that a launch will make, tried from where it will make them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from clusterboot.errors import PartialError, TrustError
from clusterboot.facts.node import NodeFacts
from clusterboot.folding import fold
from clusterboot.hostfiles.slots import AddressPlan
from clusterboot.inventory.cluster import Host, VerifyMode
from clusterboot.mpi.launcher import TreeLogin
from clusterboot.mpi.launchers import launch_logins
from clusterboot.nodes.sessions import Session
from clusterboot.session.visit import UnfitError, Visit

from . import verify
from .blaming import LoginFinding, Weighed, by_cause, second_looks, weigh
from .homes.nodeconfig import config_path
from .verify import LoginFailure, timed

# A node that cannot reach any other is no place to launch from; so many are tried.
_LAUNCH_HOSTS_TRIED = 3


@dataclass(frozen=True)
class Proof:
    """What a proof came to.

    ``launch_host`` is the host that a launch can start from, ``None`` where there is none;
    ``failures`` are the logins that failed, ``findings`` the same put together by their causes.
    ``pairs`` are failures for which nobody is out: another node reaches the target.
    """

    launch_host: str | None
    failures: tuple[LoginFailure, ...]
    findings: tuple[LoginFinding, ...]
    pairs: tuple[LoginFailure, ...] = ()


def prove(
    visit: Visit,
    facts: Mapping[str, NodeFacts],
    addresses: AddressPlan,
    verify: VerifyMode,
    wanted: str | None = None,
) -> Proof:
    """Try the nodes' mutual logins and put out who cannot be reached.

    What one node says of another is looked at from a second one. Where that one does reach it nobody
    is out, and a launch starts from a node that reaches all.

    Parameters: ``launch`` tries what the found MPI's launch tree needs, ``full`` every pair;
    ``wanted`` is the node to start from, where not the cluster file's or the first.
    Returns: what came of it.
    """
    ip = addresses.ip
    tried: list[TreeLogin] = []
    looks: list[TreeLogin] = []
    failures: list[LoginFailure] = []
    findings: list[LoginFinding] = []
    weighed = Weighed({}, ())
    for tries_left in reversed(range(_LAUNCH_HOSTS_TRIED)):
        if not visit.good:
            break
        from_head = visit.launcher is not None and wanted == visit.launcher.name
        start = str(wanted) if from_head else _start(visit, facts, weighed, wanted)
        logins = _logins(start, visit.good, facts, verify)
        found = try_logins(visit, logins, ip)
        tried += _answered(visit, logins)
        if not from_head:
            more = second_looks([host.name for host in visit.good], (*failures, *found), tried)
            found += try_logins(visit, more, ip)
            looks += _answered(visit, more)
        found = tuple(_timed(failure, facts) for failure in found)
        failures += found
        weighed = weigh(failures, tried, looks, believed=(start,) if from_head else ())
        together = by_cause(found, [(login.source, login.target) for login in (*logins, *looks)])
        findings += together
        in_the_way = [pair for pair in weighed.pairs if TreeLogin(pair.source, pair.target) in logins]
        blamed = dict(weighed.blamed)
        if not tries_left and verify != "full":
            # Of all that could start none reaches all of the others: that is more than one node's word.
            blamed = {**{pair.target: pair for pair in in_the_way}, **blamed}
        _put_out(visit, blamed, together)
        if verify == "full" and start not in blamed and visit.good:
            return Proof(
                _start(visit, facts, weighed, wanted), tuple(failures), tuple(findings), weighed.pairs
            )
        if start not in blamed and (not in_the_way or not tries_left):
            return Proof(start, tuple(failures), tuple(findings), _of_good(visit, weighed.pairs))
        if from_head:
            break
    return Proof(None, tuple(failures), tuple(findings), _of_good(visit, weighed.pairs))


def _start(visit: Visit, facts: Mapping[str, NodeFacts], weighed: Weighed, wanted: str | None) -> str:
    """Choose the node to start from: not one that does not reach another, if there is a choice."""
    lame = {pair.source for pair in weighed.pairs}
    able = [host for host in visit.good if host.name not in lame]
    return launch_host(able or visit.good, facts, wanted or visit.cluster.options.launch_from)


def _answered(visit: Visit, logins: Iterable[TreeLogin]) -> list[TreeLogin]:
    """Give the logins whose source could say what came of them."""
    good = {host.name for host in visit.machines}
    return [login for login in logins if login.source in good]


def _of_good(visit: Visit, pairs: Iterable[LoginFailure]) -> tuple[LoginFailure, ...]:
    good = {host.name for host in visit.good}
    return tuple(pair for pair in pairs if {pair.source, pair.target} <= good)


def _put_out(visit: Visit, blamed: Mapping[str, LoginFailure], together: Iterable[LoginFinding]) -> None:
    explained = {finding.host: finding for finding in reversed(tuple(together))}
    for name, failure in blamed.items():
        whole = explained.get(name)
        cause = whole.text if whole and whole.kind != "pair" else failure.reason
        if failure.cause == "pin":
            visit.ledger.fail(name, TrustError(cause, stage="verify", remedy=failure.remedy))
        else:
            visit.ledger.fail(name, UnfitError("ssh", cause, stage="verify", remedy=failure.remedy))


def _timed(failure: LoginFailure, facts: Mapping[str, NodeFacts]) -> LoginFailure:
    """Read a refused certificate by the clocks of the two; where one is not known, they are as one."""
    skews = [facts[name].clock_skew_s if name in facts else None for name in (failure.source, failure.target)]
    source_s, target_s = (skew or 0.0 for skew in skews)
    return timed(failure, target_s - source_s, -source_s)


def seek_start(
    visit: Visit, facts: Mapping[str, NodeFacts], addresses: AddressPlan, wanted: str | None
) -> tuple[str, bool]:
    """Choose a node that logs in to all others, or to most: one dead link must not cost a node.

    Nobody is put out. Parameters: ``wanted`` is tried first.
    Returns: the node, and whether all its logins worked.
    """
    ip = addresses.ip
    candidates = [host for host in visit.good if facts[host.name].mpi]
    candidates.sort(key=lambda host: host.name != wanted)
    failed: dict[str, int] = {}
    for host in candidates[:_LAUNCH_HOSTS_TRIED]:
        logins = _logins(host.name, visit.good, facts, "launch")
        failed[host.name] = len(try_logins(visit, logins, ip))
        if failed[host.name] == 0:
            return host.name, True
    return min(failed, key=lambda name: failed[name]), False


def launch_host(good: Sequence[Host], facts: Mapping[str, NodeFacts], wanted: str | None) -> str:
    """Choose the node that a launch starts from: the one asked for, else the first that has an MPI."""
    names = [host.name for host in good]
    if wanted in names:
        return str(wanted)
    return next((name for name in names if facts[name].mpi), names[0])


def _logins(
    start: str, good: Sequence[Host], facts: Mapping[str, NodeFacts], verify: VerifyMode
) -> tuple[TreeLogin, ...]:
    names = [host.name for host in good]
    if verify == "full":
        # Each source begins with its neighbour, so that no target has all of them at its door.
        return tuple(
            TreeLogin(source, target)
            for at, source in enumerate(names)
            for target in (*names[at + 1 :], *names[:at])
        )
    found = facts[start].mpi
    return launch_logins(found[0].kind if found else None, start, names)


def prove_ring(
    visit: Visit, ip: Mapping[str, str], with_what: Mapping[str, str] | None = None, then: str | None = None
) -> tuple[LoginFailure, ...]:
    """Let each node log in to the next one.

    Parameters: each host's address; ``with_what`` as for :func:`try_logins`; ``then`` is what a
    failure means for the command.
    """
    names = [host.name for host in visit.good]
    if len(names) < 2:
        return ()
    ring = [TreeLogin(source, target) for source, target in zip(names, names[1:] + names[:1], strict=True)]
    found = try_logins(visit, ring, ip, with_what)
    looks = second_looks([host.name for host in visit.good], found, ring)
    found += try_logins(visit, looks, ip, with_what)
    failures = tuple(timed(one) for one in found)
    good = {host.name for host in visit.good}
    weighed = weigh(failures, ring, [look for look in looks if look.source in good])
    for name, failure in weighed.blamed.items():
        cause = f"{failure.reason}; {then}" if then else failure.reason
        visit.ledger.fail(name, PartialError(cause, stage="verify", remedy=failure.remedy))
    return failures


def try_logins(
    visit: Visit,
    logins: Iterable[TreeLogin],
    ip: Mapping[str, str],
    with_what: Mapping[str, str] | None = None,
) -> tuple[LoginFailure, ...]:
    """Try logins between nodes, every source at once.

    Parameters: the logins; each host's address; ``with_what`` has the key file that each source
    is to use, and no other, where that is not what its configuration says.
    Returns: those that failed.
    """
    targets: dict[str, dict[str, str]] = defaultdict(dict)
    for login in logins:
        targets[login.source][login.target] = ip[login.target]
    if not targets:
        return ()
    cluster = visit.cluster.name

    def attempt(session: Session) -> tuple[LoginFailure, ...]:
        mine = targets[session.name]
        identity = (cluster, with_what[session.name]) if with_what else None
        # The head's ssh knows of the nodes from clusterboot's own file alone.
        from_head = visit.launcher is not None and session.name == visit.launcher.name
        config = config_path(cluster) if from_head else None
        crowded = len(targets) > 8
        return session.ask(verify.logins(session.name, mine, identity, crowded=crowded, config=config))

    hosts = [host for host in visit.machines if host.name in targets]
    counts = {source: len(mine) for source, mine in targets.items()}
    outcomes = visit.stage(f"logins from {fold(counts)}", hosts, attempt, parts=counts, failed=len)
    return tuple(failure for found in outcomes.values() for failure in found)
