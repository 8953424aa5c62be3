"""Benchmarks and link maps as CSV: a line for each figure, then one for each host. Source: RFC 4180."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from clusterboot.linkmap.pair_matrix import Inference, PairMatrix
from clusterboot.printable import one_line
from clusterboot.programs.records import PLACEMENTS, LogReport

from .about import About
from .measured_cells import figure, measured

#: What the lines of hosts have, in all tables; the run's own words are in each of them.
HOST_COLUMNS = (
    *("host", "status", "stage", "cause", "cluster", "started", "duration_s", "backend", "exit_code"),
    "headline",
)
CSV_COLUMNS = (
    *("path", "test", "collective", "layout", "verdict", "ranks", "size_bytes", "count", "dtype", "redop"),
    *("root", "placement", "time_us", "algbw_gb_s", "busbw_gb_s", "wrong", "error", "library", "shares_gpus"),
    *HOST_COLUMNS,
)
MATRIX_COLUMNS = ("sender", "receiver", "bandwidth_gb_s", "one_way_gb_s", "latency_us", *HOST_COLUMNS)
# What a cell may not begin with, because spreadsheets would run it.
_FORMULA = ("=", "+", "-", "@")


def to_csv(about: About, report: LogReport | None) -> str:
    """Write a log's rows as CSV, one line a size and placement, with one line of column names.

    Columns: ``path``; ``test``, counted from 1; ``collective``, ``layout``, ``verdict`` and
    ``ranks`` of the test; ``size_bytes``, ``count``, ``dtype``, ``redop``, ``root``;
    ``placement`` (``out_of_place``, ``in_place``); ``time_us``; ``algbw_gb_s`` and
    ``busbw_gb_s`` in 10^9 bytes a second; ``wrong``, a count; ``error``. What the log does not
    say is empty. ``library`` is what carried the data where the log names it; ``shares_gpus`` is
    ``yes`` where several ranks used one GPU, whose bandwidth measures nothing. A test without
    rows has one line without figures. Text that a spreadsheet would take for a formula is preceded by ``'``.
    After them comes a line for each host, with :data:`HOST_COLUMNS` and no figures.
    """
    lines = []
    for number, test in enumerate(report.tests if report else (), 1):
        head = [report.path if report else "", number, test.collective, test.layout, test.verdict]
        head.append(len(test.ranks))
        tail = [test.library, "yes" if test.shares_gpus else "", *_of_no_host()]
        cells: list[list[object]] = [
            [
                *(row.size_bytes, row.count, row.dtype, row.redop, row.root, name),
                *(place.time_us, place.algbw_gb_s, place.busbw_gb_s, place.wrong, place.error),
            ]
            for row in test.rows
            for name in PLACEMENTS
            if (place := row.placement(name)) is not None
        ]
        cells = cells if test.rows else [[None] * (len(CSV_COLUMNS) - len(head) - len(tail))]
        lines += [[_cell(value) for value in (*head, *each, *tail)] for each in cells]
    return _csv(CSV_COLUMNS, [*lines, *_hosts(about, CSV_COLUMNS)])


def matrix_to_csv(about: About, mapped: tuple[PairMatrix, Inference] | None) -> str:
    """Write each measured direction of each pair on a line, then each host, under one line of column names.

    ``bandwidth_gb_s`` and ``one_way_gb_s`` are 10^9 bytes a second, 0 for dead; what is not known
    is empty. The lines of hosts have :data:`HOST_COLUMNS` alone. The findings are in the other formats.
    """
    return _csv(MATRIX_COLUMNS, [*(_pairs(mapped[0]) if mapped else ()), *_hosts(about, MATRIX_COLUMNS)])


def _pairs(matrix: PairMatrix) -> Iterator[tuple[object, ...]]:
    of_pair = (matrix.bandwidth_gb_s, matrix.one_way_gb_s, matrix.latency_us)
    names = [_cell(node) for node in matrix.nodes]
    nothing = _of_no_host()
    for at, to in measured(matrix):
        figures = (figure(rates, at, to) for rates in of_pair)
        cells = ("" if np.isnan(each) else f"{each:.10g}" for each in figures)
        yield (names[at], names[to], *cells, *nothing)


def _of_no_host() -> list[str]:
    return [""] * len(HOST_COLUMNS)


def _hosts(about: About, columns: Sequence[str]) -> Iterator[list[object]]:
    """Give a line for each host; for a run that never came to any, one without a host."""
    if not about.hosts and about.ending.error is None:
        return
    words = dict(about.words())
    of_run = [words.get(name, "") for name in HOST_COLUMNS[4:]]
    rows = [[host.name, host.status, host.stage or "", host.cause or ""] for host in about.hosts]
    for row in rows or [[""] * 4]:
        cells = [*row, *of_run]
        yield [*[""] * (len(columns) - len(cells)), *map(_cell, cells)]


def _csv(columns: Sequence[str], rows: Iterable[Iterable[object]]) -> str:
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(columns)
    writer.writerows(rows)
    return out.getvalue()


def _cell(value: object) -> object:
    if not isinstance(value, str):
        return value
    clean = one_line(value, 4000)
    return f"'{clean}" if clean.startswith(_FORMULA) else clean
