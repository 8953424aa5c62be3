"""A whole benchmark log, made into records: tests, their rows, and what went wrong."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace

from clusterboot.bench import headers
from clusterboot.bench.collectives import mentioned, of_program
from clusterboot.bench.lines import Line, split
from clusterboot.bench.problems import scan
from clusterboot.bench.records import BenchTest, ParsedLog, Problem, Rank, Row, Tool
from clusterboot.bench.rows import RowReader, is_library_chatter

_NOT_MPI_REMEDY = "build nccl-tests with MPI=1 and the mpirun's own MPI"


@dataclass
class _Draft:
    """A test while it is being read."""

    test: BenchTest = field(default_factory=BenchTest)
    ranks: list[Rank] = field(default_factory=list)
    rows: list[Row] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)

    @property
    def begun(self) -> bool:
        """Whether so much was seen of it that another first line belongs to another test."""
        return bool(self.test.sweep or self.ranks or self.rows)

    def set(self, **changes: object) -> None:
        self.test = replace(self.test, **changes)  # type: ignore[arg-type]

    def finish(self) -> BenchTest:
        return replace(
            self.test, ranks=tuple(self.ranks), rows=tuple(self.rows), problems=_distinct(self.problems)
        )


class _LogReader:
    def __init__(self) -> None:
        self.reader = RowReader()
        self.drafts: list[_Draft] = []
        self.outside: list[Problem] = []
        self.weak: list[Problem] = []
        self.prelude: list[str] = []

    def feed(self, line: Line) -> None:
        if is_library_chatter(line.text):
            return
        if headers.begins(line.text):
            self._begin(line.text)
        row = self.reader.feed(line)
        draft = self.drafts[-1] if self.drafts else None
        if draft is None or draft.test.concluded:
            self.prelude.append(line.text)
        if row is not None or headers.rank(line.text):
            draft = self._open()
        if draft is not None:
            self._fill(draft, line.text, row)
        self._note_problem(line, draft)
        if draft is not None:
            self._conclude(draft, line.text)

    def _begin(self, text: str) -> None:
        draft = self.drafts[-1] if self.drafts else None
        fresh = draft is not None and not draft.begun and not draft.test.concluded
        repeated = headers.sweep(text) is None and fresh and draft is not None and _says_again(draft, text)
        if not fresh or repeated:
            self._close_rows()
            self.reader.columns = None
            collective = mentioned(self.prelude)
            self.prelude = []
            draft = _Draft(BenchTest(collective=collective))
            self.drafts.append(draft)
        if draft is not None:
            _read_first_lines(draft, text)

    def _open(self) -> _Draft:
        """Give the test that a row or rank belongs to, also where its first lines are lost."""
        if not self.drafts or self.drafts[-1].test.concluded:
            self.drafts.append(_Draft(BenchTest(collective=mentioned(self.prelude))))
            self.prelude = []
        return self.drafts[-1]

    def _fill(self, draft: _Draft, text: str, row: Row | None) -> None:
        if row is not None:
            draft.rows.append(row)
        if rank := headers.rank(text):
            draft.ranks.append(rank)
        if self.reader.columns and not draft.test.concluded:
            draft.set(layout=self.reader.columns.layout)
        if (reduced := headers.reduced_to(text)) is not None:
            draft.set(reduced_to_bytes=reduced)

    def _note_problem(self, line: Line, draft: _Draft | None) -> None:
        found = scan(line.text, line.number, _host_of(line.rank, self.drafts))
        if found is None:
            return
        problem, weak = found
        if weak:
            self.weak.append(problem)
        elif draft is not None and not draft.test.concluded:
            draft.problems.append(problem)
        else:
            self.outside.append(problem)

    def _conclude(self, draft: _Draft, text: str) -> None:
        if (wrong := headers.out_of_bounds(text)) is not None:
            draft.set(out_of_bounds=wrong)
        average = headers.average_busbw(text)
        if average is not None:
            self._close_rows()
            known = None if math.isnan(average) else average
            draft.set(avg_busbw_gbps=known, concluded=draft.test.out_of_bounds is not None)

    def _close_rows(self) -> None:
        self.reader.abandon()
        if self.drafts:
            self.drafts[-1].set(broken_rows=self.drafts[-1].test.broken_rows + self.reader.broken)
        self.reader.broken = 0

    def finish(self) -> ParsedLog:
        self._close_rows()
        drafts = _single_rank_jobs(self.drafts)
        explained = any(draft.problems or draft.test.out_of_bounds for draft in drafts)
        if not self.outside and not explained:
            unfinished = bool(drafts) and not drafts[-1].test.concluded
            (drafts[-1].problems if unfinished else self.outside).extend(self.weak)
        tests = tuple(draft.finish() for draft in drafts)
        return ParsedLog(tests, _distinct(self.outside))


def parse_log(data: bytes | str) -> ParsedLog:
    """Read a log of nccl-tests or collbench, whatever its version, launcher and damage.

    Parameters: the file as it is.
    Returns: every test with every row that is whole; nothing is guessed. A log that is no
    such log gives no tests.
    """
    reader = _LogReader()
    for line in split(data):
        reader.feed(line)
    return reader.finish()


def _read_first_lines(draft: _Draft, text: str) -> None:
    tool: Tool = "collbench" if headers.collbench(text) else draft.test.tool
    name = headers.starting(text)
    draft.set(
        tool=tool,
        version=headers.version(text) or draft.test.version,
        collective=(of_program(name) if name else None) or draft.test.collective,
        sweep=headers.sweep(text) or draft.test.sweep,
    )


def _says_again(draft: _Draft, text: str) -> bool:
    """Tell whether a first line says what the draft has already heard: then it is another's."""
    return headers.version(text) is not None and draft.test.version is not None


def _host_of(rank: int | None, drafts: list[_Draft]) -> str | None:
    if rank is None or not drafts:
        return None
    return next((known.host for known in drafts[-1].ranks if known.rank == rank), None)


def _distinct(problems: list[Problem]) -> tuple[Problem, ...]:
    """Keep the first of each kind on each host: all ranks of a job tell the same story."""
    kept: dict[tuple[str, str | None], Problem] = {}
    for problem in problems:
        kept.setdefault((problem.kind, problem.host), problem)
    return tuple(kept.values())


def _single_rank_jobs(drafts: list[_Draft]) -> list[_Draft]:
    """Recognise tests that are one job started N times, each with one rank.

    A program built without MPI, started by mpirun, prints N tables of rank 0 at once: where
    they ran into each other, which row is whose cannot be told, and they are made one.
    """
    ranks = [rank for draft in drafts for rank in draft.ranks]
    places = {(rank.host, rank.device) for rank in ranks}
    processes = {(rank.host, rank.pid) for rank in ranks}
    if len(processes) < 2 or any(rank.rank != 0 for rank in ranks):
        return drafts
    text = f"{len(ranks)} jobs of one rank each instead of one job"
    problem = Problem("not-mpi-build", text, _NOT_MPI_REMEDY)
    if all(draft.test.concluded and len(draft.ranks) == 1 for draft in drafts):
        same = len({(draft.test.collective, draft.test.sweep) for draft in drafts}) == 1
        for draft in drafts if same and len(places) < len(ranks) else ():
            draft.problems.insert(0, problem)
        return drafts
    if all(draft.test.concluded for draft in drafts[:-1]) and len(ranks) <= len(drafts):
        return drafts
    layout = next((draft.test.layout for draft in drafts if draft.test.layout), None)
    merged = _Draft(replace(drafts[0].test, layout=layout), problems=[problem])
    for draft in drafts:
        merged.ranks += draft.ranks
        merged.rows += draft.rows
        merged.problems += draft.problems
    return [merged]
