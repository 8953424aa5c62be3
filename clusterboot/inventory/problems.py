"""What is wrong with a cluster file: every problem with its line, all told at once."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from clusterboot.errors import UsageError

_SHOWN_CHARACTERS = 80
# Linux's PATH_MAX.
_PATH_CHARACTERS = 4096


class RuleError(ValueError):
    """A single value that breaks a rule; whoever knows its line makes a :class:`Problem` of it.

    Parameters: ``cause`` says what is wrong; ``remedy`` what to write instead.
    """

    def __init__(self, cause: str, remedy: str) -> None:
        super().__init__(cause, remedy)
        self.cause = cause
        self.remedy = remedy


@dataclass(frozen=True)
class FileProblem:
    """One thing wrong in one file. ``line`` counts from 1; ``None`` where the whole file is meant."""

    file: Path
    line: int | None
    cause: str
    remedy: str

    def __str__(self) -> str:
        """Give file, line, cause and remedy in one line, as compilers do."""
        where = f"{self.file}:{self.line}" if self.line else f"{self.file}"
        return _flat(f"{where}: {self.cause}; {self.remedy}")


class ConfigError(UsageError):
    """A cluster file that cannot be used. ``problems`` has everything that is wrong with it."""

    def __init__(self, problems: tuple[FileProblem, ...]) -> None:
        super().__init__(problems[0].cause, remedy=problems[0].remedy)
        self.problems = problems

    def __str__(self) -> str:
        """Give each problem on a line of its own."""
        return "\n".join(str(problem) for problem in self.problems)


class Problems:
    """The problems found so far while ``file`` is read; the same one is kept once."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self._found: dict[FileProblem, None] = {}

    def add(self, line: int | None, cause: str, remedy: str, *, file: Path | None = None) -> None:
        """Note a problem of the cluster file, or of another ``file`` that it depends on."""
        self._found[FileProblem(file or self.file, line, cause, remedy)] = None

    def raise_if_any(self) -> None:
        """Raise one :class:`ConfigError` with every problem in the order of its line, or do nothing."""
        if self._found:
            in_order = sorted(self._found, key=lambda p: (p.file != self.file, str(p.file), p.line or 0))
            raise ConfigError(tuple(in_order))


def shown(text: object) -> str:
    """Quote a value for a message: one line, no control characters, not endless; a path is whole."""
    flat, longest = _flat(str(text)), _PATH_CHARACTERS if isinstance(text, Path) else _SHOWN_CHARACTERS
    return f"'{flat}'" if len(flat) <= longest else f"'{flat[:longest]}…'"


def _flat(text: str) -> str:
    """Write out what is not printable: a file's words never steer a terminal."""
    return "".join(char if char.isprintable() else f"\\u{ord(char):04x}" for char in text)
