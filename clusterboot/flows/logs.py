"""Logs that anybody made: found, read, judged."""

from __future__ import annotations

from typing import BinaryIO

from clusterboot.bench.parser import parse_log
from clusterboot.bench.records import LogReport
from clusterboot.diagnose.verdict import judge, report_of
from clusterboot.flows.inputs import read_inputs


def read_logs(where: str, stdin: BinaryIO) -> tuple[LogReport, ...]:
    """Read and judge the logs that ``where`` means: see :func:`clusterboot.flows.inputs.read_inputs`."""
    return tuple(_read(path, data) for path, data in read_inputs(where, stdin))


def _read(path: str, data: bytes) -> LogReport:
    log = parse_log(data)
    return report_of(log, judge(log), path)
