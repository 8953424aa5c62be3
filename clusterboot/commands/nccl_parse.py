"""Logs that anybody made: found, read, judged."""

from __future__ import annotations

from typing import BinaryIO

from clusterboot.programs.nccl_tests.parser import parse_log
from clusterboot.programs.records import LogReport
from clusterboot.verdict.verdict import judge, report_of

from .inputs import read_inputs


def read_logs(where: str, stdin: BinaryIO) -> tuple[LogReport, ...]:
    """Read and judge the logs that ``where`` means: see :func:`clusterboot.commands.inputs.read_inputs`."""
    return tuple(_read(path, data) for path, data in read_inputs(where, stdin))


def _read(path: str, data: bytes) -> LogReport:
    log = parse_log(data)
    return report_of(log, judge(log), path)
