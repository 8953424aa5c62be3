"""What a command came to, in one line: the terminal, each document, format and page have this same line."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from .errors import ExitCode, HostResult
from .folding import by_value, fold
from .printable import one_line

#: What ended a command before it had done all that was asked for.
CutShort = Literal["interrupted", "deadline", "budget"]
#: ``ok`` is for a command that did all of it on every host.
State = Literal["ok", "partial", "bad", "inconclusive", "dry run"]

_LONGEST = 600
_CUT: dict[CutShort, str] = {
    "interrupted": "interrupted",
    "deadline": "--deadline ended it",
    "budget": "--budget ended it",
}
_NOT_REACHED = ("unreachable", "untrusted")


@dataclass(frozen=True)
class Ending:
    """How a command ended, beside its exit code and what became of each host.

    ``verdict`` and ``reason`` are a benchmark's, a map's or a log's; ``found`` has in a few words what is at
    fault. ``measured`` says how far it came, ``12 of 28 pairs measured``. ``error`` is why the whole command
    failed.
    """

    verdict: str | None = None
    reason: str = ""
    found: tuple[str, ...] = ()
    measured: str = ""
    cut_short: CutShort | None = None
    dry_run: bool = False
    error: str | None = None


@dataclass(frozen=True)
class Headline:
    """One line, and what kind of ending it tells of."""

    state: State
    text: str


def headline(hosts: Sequence[HostResult], exit_code: int, ending: Ending) -> Headline:
    """Say what a command came to.

    Parameters: what became of each host; the exit code; the rest of how it ended.
    Returns: ``ok`` only with exit code 0 and every host done. What was cut short says so first, and a host
    that is not done is always named.
    """
    lost = [host for host in hosts if host.status not in ("ok", "skipped")]
    not_reached = bool(hosts) and all(host.status in _NOT_REACHED for host in hosts)
    where = f" on {len(hosts) - len(lost)} of {len(hosts)} nodes" if lost else _on_all(len(hosts))
    state: State
    late = "interrupted when all was done" if exit_code == ExitCode.INTERRUPTED else ""
    if ending.cut_short or ending.error is not None:
        state, parts = _broken_off(ending)
    elif not_reached:
        state, parts = "bad", ["no node was reached"]
    elif ending.dry_run:
        state, parts = _dry_run(ending, where, is_whole=not lost)
    elif ending.verdict not in (None, "ok"):
        state, parts = _judged(ending, late)
    elif hosts and len(lost) == len(hosts):
        state, parts = "bad", ["failed on every node"]
    elif exit_code and not lost and not late:
        state, parts = "partial", [f"partly done{where}", ending.reason]
    else:
        state = "partial" if lost or late else "ok"
        parts = [f"ok{where}", late, ending.measured]
    missing = [f"{fold(names)} {status}" for status, names in _by_status(lost)]
    return Headline(state, one_line("; ".join(filter(None, (*parts, *missing))), _LONGEST))


def _broken_off(ending: Ending) -> tuple[State, list[str]]:
    if ending.cut_short is None:
        return "bad", [f"failed: {ending.error}"]
    first = f"{'inconclusive' if ending.verdict else 'not finished'}: {_CUT[ending.cut_short]}"
    error = "" if ending.cut_short == "interrupted" else ending.error or ""
    # Not by whoever reads this, then: by somebody on a node, or for want of a sign of life.
    by_others = (
        ending.reason if ending.cut_short == "interrupted" and "interrupted" not in ending.reason else ""
    )
    return "inconclusive", [first, by_others, error, ending.measured, *ending.found]


def _dry_run(ending: Ending, where: str, *, is_whole: bool) -> tuple[State, list[str]]:
    if ending.verdict not in (None, "ok"):
        return "bad", [f"dry run: {ending.verdict}: {ending.reason}"]
    return "dry run" if is_whole else "partial", [f"dry run{where}: nothing was changed"]


def _judged(ending: Ending, late: str) -> tuple[State, list[str]]:
    told = "; ".join(ending.found) or ending.reason
    state: State = "inconclusive" if ending.verdict == "inconclusive" else "bad"
    return state, [f"{ending.verdict}: {told}" if told else str(ending.verdict), late, ending.measured]


def _by_status(hosts: Sequence[HostResult]) -> list[tuple[str, list[str]]]:
    return by_value({host.name: host.status for host in hosts})


def _on_all(count: int) -> str:
    return f" on all {count} nodes" if count > 1 else " on 1 node" if count else ""
