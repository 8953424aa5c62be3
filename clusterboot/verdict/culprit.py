"""Which host spoils data, found by running smaller and smaller groups of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from clusterboot.programs.records import Judgement

# More than so many suspects are no help to anybody.
_MOST_NAMED = 4
_CHECK = (
    "check its memory, processors and network adapters (ECC counters, dmesg, dcgmi diag), and keep it out"
)


def narrow(hosts: Sequence[str], is_wrong: Callable[[Sequence[str]], bool]) -> tuple[str, ...]:
    """Narrow down who is at fault, by halves.

    Parameters: hosts that together show the fault; whether a part of them shows it too.
    Returns: the smallest group found that shows it. It stays with a group where both of its
    halves show the fault, or where neither does: there it takes some of either.
    """
    suspects = tuple(hosts)
    while len(suspects) > 1:
        middle = (len(suspects) + 1) // 2
        wrong = [half for half in (suspects[:middle], suspects[middle:]) if is_wrong(half)]
        if len(wrong) != 1:
            break
        suspects = wrong[0]
    return suspects


def with_culprits(judgement: Judgement, suspects: Sequence[str], of_hosts: int) -> Judgement:
    """Name the hosts that wrong data comes from in a judgement, where they are few of all.

    Parameters: the judgement; the smallest group that shows the fault; how many hosts ran.
    """
    if not suspects or len(suspects) > _MOST_NAMED or len(suspects) >= of_hosts > 1:
        return judgement
    together = ", ".join(suspects)
    words = f"it comes from {together}" if len(suspects) == 1 else f"it comes with {together} together"
    found = [problem for problem in judgement.problems if problem.kind == "wrong-data"][:1]
    rest = tuple(problem for problem in judgement.problems if problem not in found)
    told = tuple(
        replace(problem, text=f"{problem.text}; {words}", remedy=_CHECK, host=host)
        for problem in found
        for host in suspects
    )
    return replace(judgement, reason=f"{judgement.reason}; {words}", problems=(*told, *rest))
