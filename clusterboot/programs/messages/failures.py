"""Messages of failure in the lines of a log, however their launchers and programs wrap them.

A message is a run of words: where its lines break, what tag each line carries and what else was
printed between them says nothing. Lines of one process are kept in a window of a few thousand
characters, with single blanks, and the texts in ``texts/`` are looked for in it across line breaks.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from ..nccl_tests.drafts import Place
from ..nccl_tests.log_lines import Line
from ..records import Problem
from .frames import GOES_ON, LONGEST, MARK, RULE, ends_a_run, frames, gives_up
from .nccl_warnings import WARNING, is_fatal, remedy_for
from .pattern import SPEAKER, WORD, Pattern
from .texts import PATTERNS
from .texts.open_mpi import FAMILIES, GENERAL
from .where import host_before, host_in, host_of

# Another rule ends a paragraph.
_OTHER_RULE = re.compile(r"[-=]{20,}")
# No message names its host farther from its first words.
_REACH = 1500
_WINDOW = 40000
_SPOKEN = 200
_LONGEST_TEXT = 400
_SENTENCE = re.compile(r"[.!](?=\s|$)|:(?=\n\n)|\n\n|\f")
_ALL = re.compile(rf"\S[^{MARK}]*")

_HINTED: dict[str, list[tuple[int, Pattern]]] = {}
for _order, _pattern in enumerate((WARNING, *PATTERNS, *GENERAL)):
    _HINTED.setdefault(_pattern.hint, []).append((_order, _pattern))
_HINTS = frozenset(_HINTED)
_LAST = len(PATTERNS)
_BEGINNING = 250


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

    def drop(self, before: int) -> None:
        """Forget the lines that end before a place in the text."""
        at = bisect_right(self.starts, before) - 1
        cut = self.starts[at]
        del self.parts[:at], self.lines[:at]
        self.starts = [start - cut for start in self.starts[at:]]
        self.size -= cut
        self.done = max(0, self.done - cut)


class _Hit(NamedTuple):
    """A pattern's words, where their message ends, and where it begins if it stands between two rules."""

    match: re.Match[str]
    pattern: Pattern
    stop: int
    framed: int | None = None

    @property
    def start(self) -> int:
        return self.match.start() if self.framed is None else self.framed


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
        if _OTHER_RULE.fullmatch(words):
            words = MARK if words == RULE else ""
        if alone:
            window.add("", line, place)
        window.add(words, line, place)
        if alone:
            window.add("", line, place)
        if window.size > _WINDOW:
            yield from self._scan(window, window.size - LONGEST)

    def finish(self) -> Iterator[Found]:
        """Give what is left when the log has ended."""
        for window in self._windows.values():
            yield from self._scan(window, window.size + 1)

    def _scan(self, window: _Window, end: int) -> Iterator[Found]:
        """Find what begins before ``end`` and was not found before, and forget what nothing refers to."""
        text = "\n".join(window.parts)
        framed = frames(text, whole=end > len(text))
        for hit in _distinct(text, window.done, framed):
            if hit.start >= end:
                break
            if _ends_a_run(text, hit):
                yield _found(window, text, hit)
            window.done = max(hit.match.end(), hit.stop if hit.framed is not None else 0)
        window.done = max(window.done, min(end, len(text)))
        keep = max(0, end - _REACH)
        window.drop(min(keep, *(start - 2 for start, stop in framed if stop > keep), keep))


def _distinct(text: str, start: int, framed: list[tuple[int, int]]) -> list[_Hit]:
    """Find all messages of a text: of two that overlap, or stand in one frame, the table's first counts."""
    hints = sorted(
        (hinted for hint in _HINTS.intersection(WORD.findall(text)) for hinted in _HINTED[hint]),
        key=lambda hinted: hinted[0],
    )
    known = [pattern for order, pattern in hints if order <= _LAST]
    general = [pattern for order, pattern in hints if order > _LAST]
    free = bytearray(b"\1") * (len(text) + 1)
    hits: list[_Hit] = []

    def take(match: re.Match[str], pattern: Pattern) -> None:
        span = next((each for each in framed if each[0] <= match.start() < each[1]), None)
        begin, end = span or match.span()
        if 0 not in free[begin:end]:
            free[begin:end] = bytes(end - begin)
            hits.append(_Hit(match, pattern, end, begin if span else None))

    for pattern in known:
        for match in pattern.regex.finditer(text, start):
            take(match, pattern)
    for begin, end in framed:
        whole = _ALL.match(text, begin, end) if begin >= start else None
        if whole:
            take(whole, _family(whole[0]))
    for pattern in general:
        for match in pattern.regex.finditer(text, start):
            take(match, _family(text[match.start() :].partition("\n\n")[0]))
    hits.sort(key=lambda hit: hit.start)
    following = [*(hit.start for hit in hits), len(text)][1:]
    return [
        hit if hit.framed is not None else hit._replace(stop=_stop(text, hit.stop, limit))
        for hit, limit in zip(hits, following, strict=True)
    ]


def _stop(text: str, end: int, following: int) -> int:
    """Say how far a message without rules may go on: to the next one or to a rule."""
    rule = text.find(MARK, end, end + _REACH)
    return max(end, min(following, end + _REACH if rule < 0 else rule))


def _family(said: str) -> Pattern:
    """Choose what a message between two rules is about that no text is known of."""
    family = next(each for each in FAMILIES if each.regex.search(said[:_BEGINNING]))
    return replace(family, strength="weak") if gives_up(said) else family


def _ends_a_run(text: str, hit: _Hit) -> bool:
    """Tell whether a message is no remark on a run that goes on."""
    end = -1 if hit.framed is not None else text.find("\n\n", hit.match.end(), hit.stop)
    said = text[hit.start : end if end >= 0 else hit.stop]
    return GOES_ON.search(said) is None if hit.pattern.hint else ends_a_run(said)


def _found(window: _Window, text: str, hit: _Hit) -> Found:
    match, pattern, start, stop = hit.match, hit.pattern, hit.start, hit.stop
    while text[start] in "\n" + MARK:
        start += 1
    first = bisect_right(window.starts, start) - 1
    line, place = window.lines[first]
    named = host_of(match)
    if pattern.spoken:
        paragraph = text[max(0, start - _SPOKEN) : start].rpartition("\n\n")[2].rpartition(MARK)[2]
        named = next((host_of(tag) for tag in reversed([*SPEAKER.finditer(paragraph)])), None)
    named = named or host_in(text[start:stop]) or host_before(text[max(0, start - _REACH) : start])
    rank = match.groupdict().get("rank")
    told = int(rank) if rank else (line.rank if named in (None, line.host) else None)
    if hit.framed is not None:
        shown = _sentence(text[start:stop])
    else:
        last = text.find("\n", max(start, match.end() - 1))
        shown = _short(text[window.starts[first] : last if last >= 0 else len(text)])
    problem = Problem(pattern.kind, shown, pattern.remedy, named or line.host, line.number, told)
    if pattern is not WARNING:
        return Found(problem, pattern, match, place)
    ended = text.find("\n\n", start, stop)
    words = " ".join(text[match.start("said") : ended if ended >= 0 else stop].split())
    shown = shown[shown.find(match["host"] + ":") :]
    problem = replace(problem, text=shown, remedy=remedy_for(shown), rank=None, ends_a_run=is_fatal(words))
    return Found(problem, pattern, match, place, words)


def _sentence(said: str) -> str:
    """Give the first sentence of a message between two rules, with what its colon announces."""
    ended = _SENTENCE.search(said)
    stop = ended.end() if ended else len(said)
    if said[stop - 1 : stop] == ":":
        paragraph = said.find("\n\n", stop + 2)
        stop = len(said) if paragraph < 0 else paragraph
    return _short(said[:stop])


def _short(text: str) -> str:
    words = " ".join(text.replace(MARK, " ").split())
    return words if len(words) <= _LONGEST_TEXT else words[: _LONGEST_TEXT - 1].rstrip() + "\u2026"
