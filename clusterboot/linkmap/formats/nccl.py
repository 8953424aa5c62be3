"""Logs of nccl-tests or rccl-tests between two hosts."""

from __future__ import annotations

import re

from clusterboot.programs.collectives import COLLECTIVES
from clusterboot.programs.nccl_tests.parser import parse_log
from clusterboot.programs.records import BenchTest, Judgement, ParsedLog
from clusterboot.verdict.bandwidth import plateaus
from clusterboot.verdict.verdict import judge

from .cells import bad
from .stored import Format, PairFigure

_TRACES = re.compile(
    r"nccl-tests version|# ?nThread|Avg bus bandwidth|Using devices|algbw +busbw|\bNCCL (?:INFO|WARN)\b"
    r"|Test NCCL failure|Collective test starting|\"busBw\"|\"busbw\""
)
# AWS's nccom-test prints a table much like it.
_OTHER = re.compile(r"time:avg\(us\)|\bnccom-test\b")
_PAIR = 2
_MEASURED = ("ok", "slow", "wrong-data")
# Of these the pair was at work, and did not get through.
_DEAD = ("failed", "hung")
_LINKS_OWN = ("nccl-error", "timeout")


def _recognises(text: str) -> bool:
    return bool(_TRACES.search(text)) and not _OTHER.search(text)


def _read(text: str, path: str) -> list[PairFigure]:
    """Give each test's busbw where it is at its best, the same in both directions.

    Errors: :class:`UsageError` for a log of one host, or of more than two.
    """
    log = parse_log(text)
    judged = judge(log)
    if not log.tests:
        return [unbegun(log, path)]
    figures = []
    whole = next((test for test in log.tests if len(_hosts(test)) == _PAIR), None)
    for test, judgement in zip(log.tests, judged.tests, strict=True):
        # A test that was cut off among its first lines ran where the others of its log did.
        place = whole if whole and not test.rows and len(_hosts(test)) < _PAIR else test
        hosts = _hosts(place)
        if hosts and len(hosts) != _PAIR:
            where = "one host" if len(hosts) == 1 else f"{len(hosts)} hosts"
            raise bad(path, f"it is a log of nccl-tests on {where}, not a pair", "read it with nccl-parse")
        ends = (hosts[0], hosts[1]) if hosts else None
        rate, why = _rate(test, judgement)
        figures.append(PairFigure(_what(test, len(place.ranks)), path, ends, rate, why=why))
    return figures


def unbegun(log: ParsedLog, path: str) -> PairFigure:
    """Make the figure of a log in which no test began: of a pair that was not measured."""
    return PairFigure("", path, _only_pair(log), None, why=_words(judge(log).overall))


def why_nothing(text: str, otherwise: str) -> str:
    """Say why a log of whatever benchmark has no figures: by what its launcher or libraries said."""
    problems = judge(parse_log(text)).overall.problems
    return problems[0].text if problems else otherwise


def _hosts(test: BenchTest) -> tuple[str, ...]:
    return tuple(dict.fromkeys(rank.host for rank in test.ranks if rank.host))


def _only_pair(log: ParsedLog) -> tuple[str, str] | None:
    hosts = tuple(dict.fromkeys(problem.host for problem in log.problems if problem.host))
    return (hosts[0], hosts[1]) if len(hosts) == _PAIR else None


def _what(test: BenchTest, ranks: int) -> str:
    collective = COLLECTIVES.get(test.collective or "")
    name = collective.program if collective else "nccl-tests"
    return f"{name}, {ranks} ranks" if ranks else name


def _rate(test: BenchTest, judgement: Judgement) -> tuple[float | None, str | None]:
    """Give the rate and, where that is not plainly measured, why."""
    if judgement.verdict in _MEASURED:
        found = plateaus(test)
        rate = max((plateau.busbw_gb_s for plateau in found), default=None)
        return rate, _words(judgement) if judgement.verdict == "wrong-data" or rate is None else None
    dead = judgement.verdict == "hung" or (
        judgement.verdict in _DEAD and any(problem.kind in _LINKS_OWN for problem in judgement.problems)
    )
    return (0.0 if dead else None), _words(judgement)


def _words(judgement: Judgement) -> str:
    return f"{judgement.verdict}: {judgement.reason}"


NCCL_TESTS = Format("a log of nccl-tests", _recognises, _read)
