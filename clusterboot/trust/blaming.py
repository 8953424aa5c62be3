"""Failed logins read together: by their causes, and whom they speak against. Pure.

One node's word is not enough to have another one left out.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from clusterboot.mpi.launcher import TreeLogin

from .verify import LoginFailure, meaning


@dataclass(frozen=True)
class Weighed:
    """What failures come to.

    ``blamed`` has whom they speak against, with a failure that says so. ``pairs`` are those that may be
    either node's, or the network's between them: somebody else does reach the target.
    """

    blamed: Mapping[str, LoginFailure]
    pairs: tuple[LoginFailure, ...]


def second_looks(
    names: Sequence[str], failures: Sequence[LoginFailure], tried: Sequence[TreeLogin]
) -> tuple[TreeLogin, ...]:
    """Choose who else is to try what failed: one other node for each target that one node alone tried.

    Parameters: the nodes that are still in; what failed; all that was tried.
    """
    lost = reach_nobody(failures, tried)
    sources = _by_target(tried)
    failed = {failure.target for failure in failures}
    chosen = []
    for target in dict.fromkeys(failure.target for failure in failures if failure.source not in lost):
        others = [name for name in names if name not in {target, *sources[target]} | lost]
        others.sort(key=lambda name: name in failed)
        if len(sources[target] - lost) == 1 and others:
            chosen.append(TreeLogin(others[0], target))
    return tuple(chosen)


def weigh(
    failures: Sequence[LoginFailure],
    tried: Sequence[TreeLogin],
    looks: Sequence[TreeLogin] = (),
    *,
    believed: Collection[str] = (),
) -> Weighed:
    """Weigh failed logins.

    A node that reaches nobody says so of itself. Another is blamed where two do not reach it, or the only
    one that could be asked.

    Parameters: what failed; all that was tried, and that as a second look; ``believed`` are sources whose
    word is enough: the operator's own head.
    """
    lost = reach_nobody(failures, tried)
    asked = _by_target((*tried, *looks))
    against: dict[str, set[str]] = defaultdict(set)
    for failure in failures:
        against[failure.target].add(failure.source)
    blamed: dict[str, LoginFailure] = {}
    pairs = []
    for failure in failures:
        source, target = failure.source, failure.target
        if source in lost:
            blamed.setdefault(source, failure)
        elif source in believed or len(against[target] - lost) > 1 or len(asked[target] - lost) == 1:
            blamed.setdefault(target, failure)
        else:
            pairs.append(failure)
    return Weighed(blamed, tuple(pair for pair in pairs if not {pair.source, pair.target} & set(blamed)))


def pair_in_words(failure: LoginFailure) -> str:
    """Say of a pair what is wrong with it, without saying whose fault that is."""
    return (
        f"{failure.source} does not reach {failure.target}, which another node reaches: {meaning(failure)}; "
        "either may be at fault, or what lies between them"
    )


def reach_nobody(failures: Sequence[LoginFailure], tried: Sequence[TreeLogin]) -> set[str]:
    """Name the sources of which several logins were tried, and none worked."""
    logins: dict[str, set[str]] = defaultdict(set)
    failed: dict[str, set[str]] = defaultdict(set)
    for login in tried:
        logins[login.source].add(login.target)
    for failure in failures:
        failed[failure.source].add(failure.target)
    return {source for source, all_ in logins.items() if len(all_) > 1 and all_ <= failed[source]}


def _by_target(logins: Sequence[TreeLogin]) -> dict[str, set[str]]:
    sources: dict[str, set[str]] = defaultdict(set)
    for login in logins:
        sources[login.target].add(login.source)
    return sources


@dataclass(frozen=True)
class LoginFinding:
    """Failed logins that have one cause.

    ``kind`` is ``target`` where ``host`` cannot be reached by anyone, ``source`` where it
    reaches nobody, ``pair`` for one login among good ones; ``logins`` are the failures, each from and to.
    """

    kind: str
    host: str
    cause: str
    text: str
    remedy: str
    logins: tuple[tuple[str, str], ...]


def by_cause(
    failures: Sequence[LoginFailure], tried: Collection[tuple[str, str]]
) -> tuple[LoginFinding, ...]:
    """Put failures together by what explains most of them.

    Parameters: the logins that failed; all that were tried, as (from, to).
    Returns: hosts that nobody reaches, then hosts that reach nobody, then single pairs; each
    failure is in one finding. A host of whom one login was tried explains nothing but that.
    """
    out: list[LoginFinding] = []
    left = list(failures)
    for kind, end in (("target", 1), ("source", 0)):
        asked = Counter(login[end] for login in tried)
        # Of all failures, also those explained already: who reaches nobody does not reach a dead host either.
        failed = Counter((failure.source, failure.target)[end] for failure in failures)
        for host in [name for name, count in failed.items() if count == asked[name] and count > 1]:
            mine = [failure for failure in left if (failure.source, failure.target)[end] == host]
            left = [failure for failure in left if failure not in mine]
            if mine:
                out.append(_finding(kind, host, mine))
    return (*out, *(_finding("pair", failure.target, [failure]) for failure in left))


def _finding(kind: str, host: str, failures: Sequence[LoginFailure]) -> LoginFinding:
    first = next(failure for failure in failures if failure.cause == _commonest(failures))
    subject = {
        "target": f"{host} cannot be reached by anyone",
        "source": f"{host} reaches nobody",
        "pair": f"{first.source} does not reach {host}",
    }[kind]
    logins = tuple((failure.source, failure.target) for failure in failures)
    return LoginFinding(kind, host, first.cause, f"{subject}: {meaning(first)}", first.remedy, logins)


def _commonest(failures: Iterable[LoginFailure]) -> str:
    return Counter(failure.cause for failure in failures).most_common(1)[0][0]
