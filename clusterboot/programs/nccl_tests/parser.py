"""A whole benchmark log, made into records: tests, their rows, and what went wrong."""

from __future__ import annotations

import re
from dataclasses import replace

from ..collectives import mentions, of_program
from ..messages.failures import Found, MessageReader
from ..messages.nccl_warnings import WARNING, WarnedProcess, is_harmless, process_of, rank_said
from ..messages.texts.transports import TRANSPORTS
from ..records import BenchTest, ParsedLog, Problem, Row, Tool
from . import headers
from .drafts import Draft, Place, without_single_rank_jobs
from .log_lines import Line, decode, split
from .own_json import read_own_json
from .rccl_json import read_rccl_json
from .rows import RowReader, is_library_chatter
from .table import finite, read_columns

# printf's %g gives six digits at most: fewer at the very end of a log may be a number cut short.
_ALL_DIGITS = 6
_LONGEST_RANK = 300
_SENTENCE = 400


class _LogReader:
    def __init__(self) -> None:
        self.reader = RowReader()
        self.drafts: list[Draft] = []
        self.around = Draft()  # What is said before, between and after the tests.
        self.weak: list[Found] = []
        self.prelude: set[str] = set()
        self.everywhere: set[str] = set()
        self.began = False
        self.column_header = 0
        self.hosts: set[str] = set()
        self.ranks: dict[WarnedProcess, int] = {}
        self.messages = MessageReader()
        self.warned: set[tuple[int, WarnedProcess]] = set()
        self.begun_ranks: dict[int, str] = {}

    @property
    def current(self) -> Draft | None:
        """The test that is being read; ``None`` before the first."""
        return self.drafts[-1] if self.drafts else None

    def feed(self, line: Line) -> None:
        line = self._joined(line)
        text = line.text
        if is_library_chatter(text):
            self._library(text)
            return
        known = headers.may_be(text)
        if known and headers.begins(text):
            self._begin(line)
        rows = self.reader.feed(line)
        if "_perf" in text:
            self._mention(text)
        draft = self.current
        if known and read_columns(text) is not None:
            self.column_header = line.number
        if rows or (known and headers.rank(text)):
            draft = self._open(rows)
        if draft is not None and (rows or known):
            self._fill(draft, line, rows)
        self._note(line, draft, alone=bool(rows) or headers.is_remark(text))
        if draft is not None and known and not draft.test.concluded:
            self._conclude(draft, line)

    def _joined(self, line: Line) -> Line:
        """Put a line of the list of devices together where ``srun --label`` gave each piece its own."""
        if line.rank is None:
            return line
        begun = self.begun_ranks.pop(line.rank, None)
        whole = line.text if begun is None else begun + line.text
        if headers.begins_rank(whole) and len(whole) < _LONGEST_RANK:
            if headers.rank(whole) is not None:
                return line._replace(text=whole)
            self.begun_ranks[line.rank] = whole
        return line

    def _library(self, text: str) -> None:
        self.began = True
        self.reader.know_host(text.partition(":")[0])
        if (said := rank_said(text)) is not None:
            self.ranks.setdefault(*said)

    def _mention(self, text: str) -> None:
        if headers.said(text, "concluded"):
            return
        names = mentions(text)
        self.everywhere |= names
        if self.current is None or self.current.test.concluded:
            self.prelude |= names

    def _begin(self, line: Line) -> None:
        text = line.text
        draft = self.current
        fresh = draft is not None and not draft.begun and not draft.test.concluded
        # A first line that says what the draft has already heard is another's.
        repeated = draft is not None and draft.test.version and headers.said(text, "version")
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

    def _open(self, rows: tuple[Row, ...]) -> Draft:
        """Give the test that a row or rank belongs to, also where its first lines are lost."""
        draft = self.current
        return self._new() if draft is None or draft.test.concluded or self._anew(draft, rows) else draft

    def _anew(self, draft: Draft, rows: tuple[Row, ...]) -> bool:
        """Tell whether a row begins another table: below its own column header, from the first size again."""
        if not rows or not draft.rows or rows[0].line is None or draft.rows[-1].line is None:
            return False
        between = draft.rows[-1].line < self.column_header < rows[0].line
        return between and rows[0].size_bytes <= draft.rows[0].size_bytes and not self._goes_on(draft)

    def _goes_on(self, draft: Draft) -> bool:
        """Tell whether the open test's own parameters promise more rows."""
        return draft.test.sweep is not None and draft.rows[-1].size_bytes * 2 < draft.test.sweep.end_bytes

    def _fill(self, draft: Draft, line: Line, rows: tuple[Row, ...]) -> None:
        draft.rows += rows
        if draft.test.concluded:
            return
        if rank := headers.rank(line.text):
            # A name at the very end of a log may be cut short.
            draft.ranks.append(replace(rank, name=None) if line.cut else rank)
            if rank.host is not None:
                self.hosts.add(rank.host)
            if rank.host is not None and rank.pid is not None:
                self.ranks[WarnedProcess(rank.host, rank.pid, rank.device)] = rank.rank
        if self.reader.columns and draft.test.layout != self.reader.columns.layout:
            draft.set(layout=self.reader.columns.layout)
        if (reduced := headers.count(line.text, "reduced-to")) is not None:
            draft.set(reduced_to_bytes=reduced)
        if headers.said(line.text, "rccl-tests"):
            draft.set(tool="rccl-tests")
        if (sharing := headers.count(line.text, "ranks-on-a-gpu")) is not None:
            draft.set(ranks_on_a_gpu=sharing)

    def _note(self, line: Line, draft: Draft | None, *, alone: bool) -> None:
        known = draft is not None and not draft.test.concluded
        place = Place(draft if known else None, begun=draft is not None and draft.begun and known)
        for found in self.messages.feed(line, place, alone=alone):
            self._keep(found)

    def _keep(self, found: Found) -> None:
        """Keep a problem where it belongs: with the test that it stands in, or outside all."""
        problem, pattern, place = found.problem, found.pattern, found.place
        if self.drafts and place.draft is None and _is_quoted(found.match):
            return
        if pattern is WARNING:
            self._keep_warning(found, place)
            return
        if pattern.in_midrun and place.begun:
            problem = replace(problem, kind=pattern.in_midrun)
        host = problem.host or _host_of(problem.rank, self.drafts)
        problem = replace(problem, host=self._known(host) if host else None)
        if pattern.strength != "sure":
            self.weak.append(replace(found, problem=problem))
            return
        self.began = self.began or pattern.running
        (place.draft or self.around).problems.append(problem)

    def _keep_warning(self, found: Found, place: Place) -> None:
        self.began = True
        process = process_of(found.match)
        if is_harmless(found.words) or (id(place.draft), process) in self.warned:
            return
        self.warned.add((id(place.draft), process))
        host = self._known(process.host)
        problem = replace(found.problem, host=host, rank=self.ranks.get(replace(process, host=host)))
        (place.draft or self.around).warnings.append(problem)

    def _known(self, host: str) -> str:
        """Take off a host's name what is glued to its front: the end of a row that was broken off."""
        if host in self.hosts:
            return host
        return max((known for known in self.hosts if host.endswith(known)), key=len, default=host)

    def _conclude(self, draft: Draft, line: Line) -> None:
        if (wrong := headers.count(line.text, "out-of-bounds")) is not None:
            draft.set(out_of_bounds=wrong, footer_line=line.number)
        average = headers.said(line.text, "average")
        if average is not None and not (line.cut and _may_lack_digits(line.text)):
            self._close_rows(self.reader.abandon())
            draft.set(avg_busbw_gb_s=finite(average), concluded=draft.test.out_of_bounds is not None)

    def _close_rows(self, rows: tuple[Row, ...] = ()) -> None:
        draft = self.current
        if draft is not None:
            draft.rows += rows
            draft.set(broken_rows=draft.test.broken_rows + self.reader.broken)
        self.reader.broken = 0

    def finish(self) -> ParsedLog:
        self.reader.drop_unended()
        self._close_rows()
        for found in self.messages.finish():
            self._keep(found)
        for draft in (self.around, *self.drafts):
            draft.problems.sort(key=_line_of)
            draft.warnings.sort(key=_line_of)
        drafts = without_single_rank_jobs(self.drafts)
        if len(drafts) == 1 and drafts[0].test.collective is None and len(self.everywhere) == 1:
            drafts[0].set(collective=next(iter(self.everywhere)))
        explained = any(draft.problems or draft.test.out_of_bounds for draft in drafts)
        outside = self.around.problems
        if not outside and not explained:
            self._explain_by_what_is_left(drafts)
        elif not explained and all(problem.kind == "mpi-launch" for problem in outside):
            # Daemons that could not be started: a login that failed is why. What names no host may be
            # explained by what its processes or their transport said on one.
            nameless = not any(problem.host for problem in outside)
            outside += [found.problem for found in self.weak if _may_explain(found, nameless=nameless)]
            outside.sort(key=_line_of)
        around, *tests = (draft.finish() for draft in (self.around, *drafts))
        began = self.began or any(draft.begun for draft in drafts)
        return ParsedLog(tuple(tests), around.problems, around.warnings, began)

    def _explain_by_what_is_left(self, drafts: list[Draft]) -> None:
        """Let the strongest of the texts count that prove nothing beside others."""
        unfinished = bool(drafts) and not drafts[-1].test.concluded
        last = drafts[-1].rows[-1].line or 0 if unfinished and drafts[-1].rows else 0
        # What the runtime remarks does not end a run that then goes on to print rows.
        faint = [
            found
            for found in self.weak
            if found.pattern.strength == "faint" and _line_of(found.problem) > last
        ]
        left = [found for found in self.weak if found.pattern.strength == "weak"]
        if not drafts and not self.began:
            # Before anything began, what the runtime said may be why the launcher saw an exit code.
            left += faint
        left = left or (faint if unfinished or not drafts else [])
        self.began = self.began or any(found.pattern.running for found in left)
        told = sorted((found.problem for found in left), key=_line_of)
        (drafts[-1] if unfinished else self.around).problems.extend(told)


def parse_log(data: bytes | str) -> ParsedLog:
    """Read a log of nccl-tests, rccl-tests or collbench, whatever its version, launcher and damage.

    Parameters: the file as it is: what was printed, the JSON of nccl-tests' ``-J`` or of rccl-tests'
    ``-Z json``.
    Returns: every test with every row that is whole; nothing is guessed. A log that is no
    such log gives no tests.
    """
    text = decode(data)
    if (own := read_own_json(text) or read_rccl_json(text)) is not None:
        return own
    reader = _LogReader()
    for line in split(text):
        reader.feed(line)
    return reader.finish()


def _may_explain(found: Found, *, nameless: bool) -> bool:
    """Tell whether a weak text is why a launch failed of which all else is known, but perhaps no host."""
    if found.problem.kind == "ssh" or not nameless or found.problem.host is None:
        return found.problem.kind == "ssh"
    spoken = found.pattern.strength == "weak" and found.problem.kind == "mpi-launch"
    return spoken or found.pattern in TRANSPORTS


def _read_first_lines(draft: Draft, line: Line) -> None:
    text = line.text
    tool: Tool = "collbench" if headers.said(text, "collbench") else draft.test.tool
    name = None if line.cut else headers.said(text, "starting")
    version = None if line.cut else headers.said(text, "version")
    draft.set(
        tool=tool,
        version=version or draft.test.version,
        library=headers.said(text, "library") or draft.test.library,
        collective=(of_program(name) if name else None) or draft.test.collective,
        sweep=headers.sweep(text) or draft.test.sweep,
    )


def _is_quoted(match: re.Match[str]) -> bool:
    """Tell whether a message stands between backticks or quotes in somebody's sentence."""
    before = re.split(r"\n\n|\f", match.string[max(0, match.start() - _SENTENCE) : match.start()])[-1]
    after = re.split(r"\n\n|\f", match.string[match.end() : match.end() + _SENTENCE])[0]
    return any(
        before.partition(mark)[0].strip() and before.count(mark) % 2 == 1 and mark in after for mark in '`"'
    )


def _line_of(problem: Problem) -> int:
    return problem.line or 0


def _host_of(rank: int | None, drafts: list[Draft]) -> str | None:
    if rank is None or not drafts:
        return None
    return next((known.host for known in drafts[-1].ranks if known.rank == rank), None)


def _may_lack_digits(text: str) -> bool:
    """Tell whether a log that ends in its average may have lost that number's end."""
    value = text.rpartition(":")[2]
    return value == value.rstrip() and len(re.sub(r"\D", "", value).lstrip("0")) < _ALL_DIGITS
