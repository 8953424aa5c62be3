"""ssh_config files taken apart into directives, as OpenSSH takes them apart.

Only what a cluster file may leave out is kept; every other keyword is skipped unread.
Source: ssh_config(5); ``process_config_line_depth`` in OpenSSH's ``readconf.c`` and
``strdelim`` and ``argv_split`` in its ``misc.c``, whose rules for quotes differ.
"""

from __future__ import annotations

import glob
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from clusterboot.inventory.locations import Operator
from clusterboot.inventory.problems import Problems, RuleError, shown

from .ssh_patterns import PatternSet

_MAX_DEPTH = 16
_MAX_FILES = 1024
_SPACE = " \t\r\n"
_FIX = "correct the line; 'ssh -G HOST' tells whether OpenSSH reads it"

# What they say of completing names is read in :mod:`clusterboot.inventory.openssh.ssh_canonical`.
CANONICAL_KEYWORDS = frozenset(
    {
        "canonicaldomains",
        "canonicalizefallbacklocal",
        "canonicalizehostname",
        "canonicalizemaxdots",
        "canonicalizepermittedcnames",
    }
)
_KEPT = CANONICAL_KEYWORDS | frozenset(
    {
        "certificatefile",
        "host",
        "hostkeyalias",
        "hostname",
        "identitiesonly",
        "identityagent",
        "identityfile",
        "include",
        "match",
        "port",
        "proxycommand",
        "proxyjump",
        "user",
        "userknownhostsfile",
    }
)
# These take a line's whole rest, whatever is in it.
_RAW = frozenset({"match", "proxycommand", "proxyjump"})
_SEVERAL = frozenset(
    {"canonicaldomains", "canonicalizepermittedcnames", "host", "include", "userknownhostsfile"}
)


@dataclass(frozen=True)
class Directive:
    """A line: its keyword in small letters, its arguments, its rest as written, and where it stands."""

    keyword: str
    args: tuple[str, ...]
    rest: str
    file: Path
    line: int

    @cached_property
    def patterns(self) -> PatternSet:
        """The arguments of a ``Host`` line, ready to be tried on many names."""
        return PatternSet(self.args)


@dataclass(frozen=True)
class Value:
    """A setting's text, and the line that set it."""

    text: str
    file: Path
    line: int


class BadLineError(RuleError):
    """A line whose value OpenSSH would refuse."""

    def __init__(self, directive: Directive | Value, cause: str, remedy: str) -> None:
        super().__init__(cause, remedy)
        self.file, self.line = directive.file, directive.line


@dataclass(frozen=True)
class Included:
    """What an ``Include`` brought in: the blocks of each file, in the files' order."""

    files: tuple[tuple[HostBlock, ...], ...]


@dataclass(frozen=True)
class HostBlock:
    """A ``Host`` or ``Match`` line and what follows it; no such line at a file's beginning."""

    head: Directive | None
    body: tuple[Directive | Included, ...]

    @cached_property
    def includes(self) -> tuple[Included, ...]:
        """What in the block is an ``Include``."""
        return tuple(entry for entry in self.body if isinstance(entry, Included))


def next_word(text: str) -> tuple[str | None, str | None]:
    """Take one word off a line: words end at space, ``=`` or a double quote.

    Returns: the word and the rest; no rest at the line's end, no word where a quote stays open.
    Source: ``strdelim`` in OpenSSH's ``misc.c``.
    """
    at = next((i for i, char in enumerate(text) if char in _SPACE or char in '"='), None)
    if at is None:
        return text, None
    if text[at] == '"':
        end = text.find('"', at + 1)
        if end < 0:
            return None, None
        return text[:at] + text[at + 1 : end], text[end + 1 :].lstrip(_SPACE)
    rest = text[at + 1 :].lstrip(_SPACE)
    if text[at] != "=" and rest.startswith("="):
        rest = rest[1:].lstrip(_SPACE)
    return text[:at], rest


def split_arguments(text: str) -> tuple[str, ...] | None:
    """Split a line's rest into arguments, quotes and backslashes resolved, up to a comment.

    Returns: the arguments; ``None`` where a quote stays open.
    Source: ``argv_split`` in OpenSSH's ``misc.c``.
    """
    args: list[str] = []
    at = 0
    while at < len(text) and text[at] != "#":
        if text[at] in " \t":
            at += 1
            continue
        word, quote = "", ""
        while at < len(text) and (quote or text[at] not in " \t"):
            char, after = text[at], text[at + 1 : at + 2]
            if char == "\\" and after and (after in "'\"\\" or (after == " " and not quote)):
                word += after
                at += 1
            elif (quote and char == quote) or (not quote and char in "'\""):
                quote = "" if quote else char
            else:
                word += char
            at += 1
        if quote:
            return None
        args.append(word)
    return tuple(args)


class Reader:
    """Reads ssh_config files and what they include; what OpenSSH would refuse becomes a problem.

    Parameters: whose files they are; where to note problems.
    """

    def __init__(self, operator: Operator, problems: Problems) -> None:
        self._operator = operator
        self._problems = problems
        self._files_read = 0

    def read(self, path: Path, *, system: bool = False, trusted: bool = True) -> tuple[HostBlock, ...]:
        """Read one file; one that is not there has no blocks.

        Parameters: ``system`` for the machine's file, whose includes are relative to
        ``/etc/ssh`` and not to ``~/.ssh``; ``trusted`` false for files that, like OpenSSH
        for ``~/.ssh/config``, may only be read where nobody else can write to them.
        """
        return self._read(path, system=system, trusted=trusted, depth=0)

    def _read(self, path: Path, *, system: bool, trusted: bool, depth: int) -> tuple[HostBlock, ...]:
        self._files_read += 1
        if depth > _MAX_DEPTH or self._files_read > _MAX_FILES:
            self._problems.add(None, "too many files include each other", "take an Include out", file=path)
            return ()
        try:
            with path.open("rb") as file:
                status = os.fstat(file.fileno())
                raw = file.read()
        except (FileNotFoundError, NotADirectoryError):  # a service's home may be /dev/null
            return ()
        except OSError as error:
            self._problems.add(None, f"cannot be read: {error.strerror}", "check its permissions", file=path)
            return ()
        if not trusted and (status.st_uid not in (0, self._operator.uid) or status.st_mode & 0o022):
            self._problems.add(None, "others can write to it, so ssh refuses it", "chmod go-w it", file=path)
            return ()
        return _blocks(self._entries(raw.decode("utf-8", "surrogateescape"), path, system, depth))

    def _entries(self, text: str, path: Path, system: bool, depth: int) -> Iterator[Directive | Included]:
        for number, line in enumerate(text.split("\n"), 1):
            try:
                directive = _directive(line, path, number)
                if directive and directive.keyword == "include":
                    yield self._include(directive, system, depth)
                elif directive:
                    yield directive
            except RuleError as error:
                self._problems.add(number, error.cause, error.remedy, file=path)

    def _include(self, directive: Directive, system: bool, depth: int) -> Included:
        files: list[tuple[HostBlock, ...]] = []
        for pattern in directive.args:
            if system and pattern.startswith("~"):
                raise RuleError(f"Include of {shown(pattern)} in a system file", "write the path in full")
            base = Path("/etc/ssh") if system else self._operator.home / ".ssh"
            for name in sorted(glob.glob(str(self._operator.path(pattern, base=base)))):  # noqa: PTH207 - ssh's globs skip dot files, as this one does
                files.append(self._read(Path(name), system=system, trusted=False, depth=depth + 1))
        return Included(tuple(files))


def _blocks(entries: Iterable[Directive | Included]) -> tuple[HostBlock, ...]:
    """Put what a file says into its blocks."""
    blocks: list[tuple[Directive | None, list[Directive | Included]]] = [(None, [])]
    for entry in entries:
        if isinstance(entry, Directive) and entry.keyword in ("host", "match"):
            blocks.append((entry, []))
        else:
            blocks[-1][1].append(entry)
    return tuple(HostBlock(head, tuple(body)) for head, body in blocks)


def _directive(line: str, path: Path, number: int) -> Directive | None:
    """Take a line apart; blank lines, comments and keywords that are not kept give ``None``."""
    line = line.partition("\0")[0].rstrip(_SPACE + "\f")
    keyword, rest = next_word(line)
    if keyword == "" and rest is not None:
        keyword, rest = next_word(rest)
    if not keyword or keyword.startswith("#"):
        return None
    keyword = keyword.lower()
    if keyword not in _KEPT:
        return None
    rest = (rest or "").lstrip(_SPACE)
    args = split_arguments(rest)
    if args is None:
        raise RuleError(f"{keyword}: a quote stays open", _FIX)
    if not rest:
        raise RuleError(f"{keyword}: its value is missing", _FIX)
    if keyword not in _RAW and ("" in args or (keyword not in _SEVERAL and len(args) != 1)):
        raise RuleError(f"{keyword}: its value is missing or not the only one", _FIX)
    return Directive(keyword, args, rest, path, number)
