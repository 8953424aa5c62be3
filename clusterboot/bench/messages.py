"""Messages of failure in the lines of a log, however their launchers and programs wrap them.

A message is a run of words: where its lines break, what tag each line carries and what else was
printed between them says nothing. Lines of one process are kept in a window of a few thousand
characters, with single blanks, and the texts of :mod:`clusterboot.bench.texts` are looked for in it
across line breaks.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from clusterboot.bench.drafts import Place
from clusterboot.bench.lines import Line
from clusterboot.bench.nccl_warnings import WARNING, is_fatal, remedy_for
from clusterboot.bench.pattern import SPEAKER, WORD, Pattern
from clusterboot.bench.records import Problem
from clusterboot.bench.texts import PATTERNS
from clusterboot.bench.texts.open_mpi import FRAMED
from clusterboot.bench.where import host_before, host_in, host_of, over_lines

# A rule of dashes frames one message; in a window it is a form feed.
_RULE = re.compile(r"[-=]{20,}")
_FRAME = "\f"
# No message is longer, and none names its host farther from its first words.
_REACH = 1500
_WINDOW = 16000
_SPOKEN = 200
_LONGEST_TEXT = 400
_GOES_ON = re.compile(
    over_lines(
        "(?:job|[Ww]e|[Oo]peration|program) will continue|ill continue attempting|ly a warning|warning only"
    )
)
_SENTENCE = re.compile(r"[.!](?=\s|$)|:(?=\n\n)|\n\n|\f")

_HINTED: dict[str, list[tuple[int, Pattern]]] = {}
for _order, _pattern in enumerate((WARNING, *PATTERNS)):
    _HINTED.setdefault(_pattern.hint, []).append((_order, _pattern))
_HINTS = frozenset(_HINTED)


@dataclass(frozen=True)
class Found:
    """A problem, the pattern that found it, where, and which test was open there.

    ``words`` are a warning's own, as far as they can be told from what follows it.
    """

    problem: Problem
    pattern: Pattern
    match: re.Match[str]
    place: Place
    words: str = ""


@dataclass
class _Window:
    """The last lines of one process: their words, and of each line where it begins."""

    parts: list[str] = field(default_factory=list)
    starts: list[int] = field(default_factory=list)
    lines: list[tuple[Line, Place]] = field(default_factory=list)
    size: int = 0
    done: int = 0

    def add(self, part: str, line: Line, place: Place) -> None:
        self.parts.append(part)
        self.starts.append(self.size)
        self.lines.append((line, place))
        self.size += len(part) + 1

    def drop(self, keep: int) -> None:
        """Forget what lies more than ``keep`` characters before the end."""
        at = bisect_right(self.starts, self.size - keep) - 1
        cut = self.starts[at]
        del self.parts[:at], self.lines[:at]
        self.starts = [start - cut for start in self.starts[at:]]
        self.size -= cut
        self.done = max(0, self.done - cut)


class MessageReader:
    """Gives the problems that a log's lines tell of; feed it every line."""

    def __init__(self) -> None:
        self._windows: dict[int | None, _Window] = {}

    def feed(self, line: Line, place: Place, *, alone: bool) -> Iterator[Found]:
        """Take the next cleaned line.

        Parameters: the line; where in the log it stands, to be given back with what is found in it;
        whether it is a line of a table or of the benchmark's own, that no message goes over.
        """
        window = self._windows.setdefault(line.rank, _Window())
        words = " ".join(line.text.split())
        if _RULE.fullmatch(words):
            words = _FRAME
        if alone:
            window.add("", line, place)
        window.add(words, line, place)
        if alone:
            window.add("", line, place)
        if window.size > _WINDOW:
            yield from self._scan(window, window.size - _REACH)
            window.drop(2 * _REACH)

    def finish(self) -> Iterator[Found]:
        """Give what is left when the log has ended."""
        for window in self._windows.values():
            yield from self._scan(window, window.size + 1)

    def _scan(self, window: _Window, end: int) -> Iterator[Found]:
        """Find what begins before ``end`` and was not found before."""
        text = "\n".join(window.parts)
        matches = _distinct(text, window.done)
        for at, (match, pattern) in enumerate(matches):
            if match.start() >= end:
                break
            following = matches[at + 1][0].start() if at + 1 < len(matches) else len(text)
            if not _only_warns(text, match, following):
                yield _found(window, text, match, pattern, following)
            window.done = match.end()
        window.done = max(window.done, min(end, len(text)))


def _distinct(text: str, start: int) -> list[tuple[re.Match[str], Pattern]]:
    """Find all messages of a text, each once: where two texts overlap, the first of the table counts."""
    hits = sorted(
        (hinted for hint in _HINTS.intersection(WORD.findall(text)) for hinted in _HINTED[hint]),
        key=lambda hinted: hinted[0],
    )
    taken: list[tuple[re.Match[str], Pattern]] = []
    free = bytearray(b"\1") * (len(text) + 1)
    framed = [FRAMED] if text.count(_FRAME) > 1 else []
    for pattern in [*(pattern for _, pattern in hits), *framed]:
        for match in pattern.regex.finditer(text, start):
            span = slice(match.start(), match.end())
            if 0 not in free[span]:
                free[span] = bytes(match.end() - match.start())
                taken.append((match, pattern))
    return sorted(taken, key=lambda each: each[0].start())


def _only_warns(text: str, match: re.Match[str], following: int) -> bool:
    """Tell whether a message says of itself that the run goes on."""
    break_ = _FRAME if _is_framed(text, match.start()) else "\n\n"
    stop = min(following, match.end() + _REACH)
    end = text.find(break_, match.end(), stop)
    return _GOES_ON.search(text, match.start(), max(end if end >= 0 else stop, match.end())) is not None


def _is_framed(text: str, at: int) -> bool:
    before, after = text.rfind(_FRAME, max(0, at - _REACH), at), text.find(_FRAME, at, at + 2 * _REACH)
    return before >= 0 and after > 0


def _found(window: _Window, text: str, match: re.Match[str], pattern: Pattern, following: int) -> Found:
    start, end = match.start("said") if pattern is FRAMED else match.start(), match.end()
    while text[start] in "\n\f":
        start += 1
    first = bisect_right(window.starts, start) - 1
    line, place = window.lines[first]
    stop = text.find(_FRAME, start, end + _REACH)
    stop = min(following, end + _REACH if stop < 0 else stop)
    named = host_of(match)
    if pattern.spoken:
        paragraph = text[max(0, start - _SPOKEN) : start].rpartition("\n\n")[2].rpartition(_FRAME)[2]
        named = next((host_of(tag) for tag in reversed([*SPEAKER.finditer(paragraph)])), None)
    named = (
        named or host_in(text[start : max(stop, end)]) or host_before(text[max(0, start - _REACH) : start])
    )
    rank = match.groupdict().get("rank")
    told = int(rank) if rank else (line.rank if named in (None, line.host) else None)
    shown = _shown(text, window.starts[first], end, pattern)
    problem = Problem(pattern.kind, shown, pattern.remedy, named or line.host, line.number, told)
    if pattern is not WARNING:
        return Found(problem, pattern, match, place)
    ended = text.find("\n\n", start, stop)
    words = " ".join(text[match.start("said") : ended if ended >= 0 else stop].split())
    shown = shown[shown.find(match["host"] + ":") :]
    problem = replace(problem, text=shown, remedy=remedy_for(shown), rank=None, ends_a_run=is_fatal(words))
    return Found(problem, pattern, match, place, words)


def _shown(text: str, start: int, end: int, pattern: Pattern) -> str:
    """Give a message's words: its lines, or between two rules its sentence with what a colon announces."""
    last = text.find("\n", max(start, end - 1))
    stop = len(text) if last < 0 else last
    before, after = (
        text.rfind(_FRAME, max(0, start - _REACH), start),
        text.find(_FRAME, start, start + 2 * _REACH),
    )
    if pattern is FRAMED:
        end = start + 1
    if before >= 0 and after > 0:
        ended = _SENTENCE.search(text, end, after + 1)
        stop = min(ended.end() if ended else after, after)
        if text[stop - 1 : stop] == ":":
            paragraph = text.find("\n\n", stop + 2, after)
            stop = after if paragraph < 0 else paragraph
    words = " ".join(text[start:stop].replace(_FRAME, " ").split())
    return words if len(words) <= _LONGEST_TEXT else words[: _LONGEST_TEXT - 1].rstrip() + "\u2026"
