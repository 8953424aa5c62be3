"""Logs that anybody made: found, read, judged."""

from __future__ import annotations

from dataclasses import dataclass
from typing import BinaryIO

from clusterboot.bench.parser import parse_log
from clusterboot.bench.records import LogReport
from clusterboot.diagnose.verdict import LogJudgement, judge, report_of
from clusterboot.flows.inputs import read_inputs


@dataclass(frozen=True)
class Reading:
    """One log's report, and the judgement behind it."""

    report: LogReport
    judgement: LogJudgement


def read_logs(where: str, stdin: BinaryIO) -> tuple[Reading, ...]:
    """Read and judge the logs that ``where`` means: see :func:`clusterboot.flows.inputs.read_inputs`."""
    return tuple(_read(path, data) for path, data in read_inputs(where, stdin))


def _read(path: str, data: bytes) -> Reading:
    log = parse_log(data)
    judgement = judge(log)
    return Reading(report_of(log, judgement, path), judgement)
