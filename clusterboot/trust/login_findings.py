"""Many failed logins read as few findings: who cannot be reached by anyone, who reaches nobody."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from .verify import LoginFailure, meaning


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


def findings(
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
