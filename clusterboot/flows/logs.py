"""Logs that anybody made: found, read, judged."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from clusterboot.bench.parser import parse_log
from clusterboot.bench.records import LogReport
from clusterboot.diagnose.verdict import LogJudgement, judge, report_of
from clusterboot.errors import UsageError


@dataclass(frozen=True)
class Reading:
    """One log's report, and the judgement behind it."""

    report: LogReport
    judgement: LogJudgement


def read_logs(where: str, stdin: BinaryIO) -> tuple[Reading, ...]:
    """Read the logs that ``where`` means.

    Parameters: a file, a folder (every file directly in it, by name), a glob pattern, or
    ``-`` for standard input, which is ``stdin``.
    Errors: :class:`UsageError` where there is nothing, or a file cannot be read.
    """
    if where == "-":
        return (_read("-", stdin.read()),)
    return tuple(_read(str(path), _bytes(path)) for path in find_files(where))


def find_files(where: str) -> tuple[Path, ...]:
    """List the files that a path, a folder or a glob pattern means, in order.

    Errors: :class:`UsageError` where there is none.
    """
    path = Path(where)
    if path.is_dir():
        found = sorted(each for each in path.iterdir() if each.is_file())
    elif path.exists():
        found = [path]
    else:
        found = sorted(each for each in _matching(path) if each.is_file())
    if not found:
        cause = f"{where}: no such file, and nothing matches it"
        raise UsageError(cause, remedy="give a file, a folder, a glob or -")
    return tuple(found)


def _matching(pattern: Path) -> Iterable[Path]:
    return Path(pattern.anchor or ".").glob(str(pattern.relative_to(pattern.anchor)))


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as problem:
        raise UsageError(f"{path}: {problem.strerror}", remedy="check its permissions") from None


def _read(path: str, data: bytes) -> Reading:
    log = parse_log(data)
    judgement = judge(log)
    return Reading(report_of(log, judgement, path), judgement)
