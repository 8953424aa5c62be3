"""A whole benchmark log, made into records: tests, their rows, and what went wrong."""

from __future__ import annotations

import math
import re
from dataclasses import replace

from clusterboot.bench import headers
from clusterboot.bench.collectives import mentions, of_program
from clusterboot.bench.drafts import Draft, distinct, distinct_warnings, without_single_rank_jobs
from clusterboot.bench.lines import Line, decode, split
from clusterboot.bench.own_json import read_own_json
from clusterboot.bench.problems import Found, HostFinder, Process, rank_said, scan, warning
from clusterboot.bench.records import BenchTest, ParsedLog, Problem, Row, Tool
from clusterboot.bench.rows import RowReader, is_library_chatter

# printf's %g gives six digits at most: fewer at the very end of a log may be a number cut short.
_ALL_DIGITS = 6


class _LogReader:
    def __init__(self) -> None:
        self.reader = RowReader()
        self.drafts: list[Draft] = []
        self.outside: list[Problem] = []
        self.outside_warnings: list[Problem] = []
        self.weak: list[Problem] = []
        self.prelude: set[str] = set()
        self.everywhere: set[str] = set()
        self.began = False
        self.hosts: set[str] = set()
        self.ranks: dict[Process, int] = {}
        self.finder = HostFinder()
        self.warned: set[tuple[int, Process]] = set()
        self.found: tuple[list[Problem], int] | None = None

    @property
    def current(self) -> Draft | None:
        """The test that is being read; ``None`` before the first."""
        return self.drafts[-1] if self.drafts else None

    def feed(self, line: Line) -> None:
        text = line.text
        if is_library_chatter(text):
            self._library(text)
            return
        known = headers.may_be(text)
        if known and headers.begins(text):
            self._begin(line)
        rows = self.reader.feed_all(line)
        if "_perf" in text:
            self._mention(text)
        draft = self.current
        if rows or (known and headers.rank(text)):
            draft = self._open()
        if draft is not None and (rows or known):
            self._fill(draft, line, rows)
        self._note_problem(line, draft)
        if draft is not None and known:
            self._conclude(draft, line)

    def _library(self, text: str) -> None:
        self.began = True
        self.reader.know_host(text.partition(":")[0])
        if (said := rank_said(text)) is not None:
            self.ranks.setdefault(*said)

    def _mention(self, text: str) -> None:
        if headers.concluded(text):
            return
        names = mentions(text)
        self.everywhere |= names
        if self.current is None or self.current.test.concluded:
            self.prelude |= names

    def _begin(self, line: Line) -> None:
        text = line.text
        draft = self.current
        fresh = draft is not None and not draft.begun and not draft.test.concluded
        repeated = headers.sweep(text) is None and fresh and draft is not None and _says_again(draft, text)
        if draft is None or not fresh or repeated:
            self._close_rows(self.reader.abandon())
            self.reader.columns = None
            draft = self._new()
        _read_first_lines(draft, line)

    def _new(self) -> Draft:
        collective = next(iter(self.prelude)) if len(self.prelude) == 1 else None
        self.prelude = set()
        self.drafts.append(Draft(BenchTest(collective=collective)))
        return self.drafts[-1]

    def _open(self) -> Draft:
        """Give the test that a row or rank belongs to, also where its first lines are lost."""
        draft = self.current
        return self._new() if draft is None or draft.test.concluded else draft

    def _fill(self, draft: Draft, line: Line, rows: tuple[Row, ...]) -> None:
        draft.rows += rows
        if rank := headers.rank(line.text):
            # A name at the very end of a log may be cut short.
            draft.ranks.append(replace(rank, name=None) if line.cut else rank)
            self.hosts.add(rank.host)
            if rank.pid is not None:
                self.ranks[Process(rank.host, rank.pid, rank.device)] = rank.rank
        if self.reader.columns and not draft.test.concluded:
            draft.test = _with_layout(draft.test, self.reader)
        if (reduced := headers.reduced_to(line.text)) is not None:
            draft.set(reduced_to_bytes=reduced)
        if headers.rccl(line.text):
            draft.set(tool="rccl-tests")
        if (sharing := headers.ranks_on_a_gpu(line.text)) is not None:
            draft.set(ranks_on_a_gpu=sharing)

    def _note_problem(self, line: Line, draft: Draft | None) -> None:
        if (warned := warning(line.text, line.number)) is not None:
            self._note_warning(*warned, draft)
            return
        host = self.finder.look(line.text, line.number)
        if host and self.found:
            problems, at = self.found
            problems[at] = replace(problems[at], host=self._known(host))
        own = _host_of(line.rank, self.drafts) or line.host
        found = scan(line.text, line.number, own, line.rank)
        if found is not None:
            self._place(found, draft, line.number)

    def _note_warning(self, problem: Problem, process: Process, draft: Draft | None) -> None:
        self.began = True
        if (len(self.drafts), process) in self.warned:
            return
        self.warned.add((len(self.drafts), process))
        host = self._known(process.host)
        rank = self.ranks.get(replace(process, host=host))
        problem = replace(problem, host=host, rank=rank)
        open_draft = draft is not None and not draft.test.concluded
        (draft.warnings if draft is not None and open_draft else self.outside_warnings).append(problem)

    def _place(self, found: Found, draft: Draft | None, line: int) -> None:
        """Keep a problem where it belongs: with the test that it stands in, or outside all."""
        problem, pattern = found.problem, found.pattern
        inside = draft is not None and draft.begun and not draft.test.concluded
        self.began = self.began or pattern.running
        if pattern.in_midrun and inside:
            problem = replace(problem, kind=pattern.in_midrun)
        if problem.host:
            problem = replace(problem, host=self._known(problem.host))
        open_draft = draft is not None and not draft.test.concluded
        to = (
            self.weak
            if pattern.weak
            else draft.problems
            if draft is not None and open_draft
            else self.outside
        )
        to.append(problem)
        self.found = None
        if problem.host is None:
            self._look_for_host(to, line)

    def _look_for_host(self, problems: list[Problem], line: int) -> None:
        """Have the last problem's host found in the lines around it."""
        self.found = (problems, len(problems) - 1)
        if (host := self.finder.expect(line)) is not None:
            problems[-1] = replace(problems[-1], host=self._known(host))

    def _known(self, host: str) -> str:
        """Take off a host's name what is glued to its front: the end of a row that was broken off."""
        if host in self.hosts:
            return host
        return max((known for known in self.hosts if host.endswith(known)), key=len, default=host)

    def _conclude(self, draft: Draft, line: Line) -> None:
        if (wrong := headers.out_of_bounds(line.text)) is not None:
            draft.set(out_of_bounds=wrong, footer_line=line.number)
        average = headers.average_busbw(line.text)
        if average is not None and not (line.cut and _may_lack_digits(line.text)):
            self._close_rows(self.reader.abandon())
            known = None if math.isnan(average) else average
            draft.set(avg_busbw_gbps=known, concluded=draft.test.out_of_bounds is not None)

    def _close_rows(self, rows: tuple[Row, ...] = ()) -> None:
        draft = self.current
        if draft is not None:
            draft.rows += rows
            draft.set(broken_rows=draft.test.broken_rows + self.reader.broken)
        self.reader.broken = 0

    def finish(self) -> ParsedLog:
        self.reader.drop_unended()
        self._close_rows()
        drafts = without_single_rank_jobs(self.drafts)
        if len(drafts) == 1 and drafts[0].test.collective is None and len(self.everywhere) == 1:
            drafts[0].set(collective=next(iter(self.everywhere)))
        explained = any(draft.problems or draft.test.out_of_bounds for draft in drafts)
        if not self.outside and not explained:
            unfinished = bool(drafts) and not drafts[-1].test.concluded
            (drafts[-1].problems if unfinished else self.outside).extend(self.weak)
        tests = tuple(draft.finish() for draft in drafts)
        began = self.began or any(draft.begun for draft in drafts)
        return ParsedLog(tests, distinct(self.outside), distinct_warnings(self.outside_warnings), began)


def parse_log(data: bytes | str) -> ParsedLog:
    """Read a log of nccl-tests, rccl-tests or collbench, whatever its version, launcher and damage.

    Parameters: the file as it is: what was printed, or the JSON of nccl-tests' ``-J``.
    Returns: every test with every row that is whole; nothing is guessed. A log that is no
    such log gives no tests.
    """
    text = decode(data)
    if (own := read_own_json(text)) is not None:
        return own
    reader = _LogReader()
    for line in split(text):
        reader.feed(line)
    return reader.finish()


def _read_first_lines(draft: Draft, line: Line) -> None:
    text = line.text
    tool: Tool = "collbench" if headers.collbench(text) else draft.test.tool
    name = None if line.cut else headers.starting(text)
    version = None if line.cut else headers.version(text)
    draft.set(
        tool=tool,
        version=version or draft.test.version,
        library=headers.library(text) or draft.test.library,
        collective=(of_program(name) if name else None) or draft.test.collective,
        sweep=headers.sweep(text) or draft.test.sweep,
    )


def _says_again(draft: Draft, text: str) -> bool:
    """Tell whether a first line says what the draft has already heard: then it is another's."""
    return headers.version(text) is not None and draft.test.version is not None


def _with_layout(test: BenchTest, reader: RowReader) -> BenchTest:
    layout = reader.columns.layout if reader.columns else None
    return test if test.layout == layout else replace(test, layout=layout)


def _host_of(rank: int | None, drafts: list[Draft]) -> str | None:
    if rank is None or not drafts:
        return None
    return next((known.host for known in drafts[-1].ranks if known.rank == rank), None)


def _may_lack_digits(text: str) -> bool:
    """Tell whether a log that ends in its average may have lost that number's end."""
    value = text.rpartition(":")[2]
    return value == value.rstrip() and len(re.sub(r"\D", "", value).lstrip("0")) < _ALL_DIGITS
