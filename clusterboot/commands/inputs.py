"""What a user means by a file, a folder, a quoted glob, or ``-``."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

from clusterboot.errors import UsageError


def read_inputs(where: str, stdin: BinaryIO, most_bytes: int | None = None) -> Iterator[tuple[str, bytes]]:
    """Read the files that ``where`` means, each with the name by which messages call it.

    Parameters: a file, a folder (every file directly in it, by name), a glob pattern, or
    ``-`` for standard input, which is ``stdin``; how much of each is read at most, all where that is
    ``None``. One file is read after the other.
    Errors: :class:`UsageError` where there is nothing, or a file cannot be read.
    """
    if where == "-":
        yield "-", stdin.read(-1 if most_bytes is None else most_bytes)
        return
    for path in _find(where):
        yield str(path), _bytes(path, most_bytes)


def _find(where: str) -> tuple[Path, ...]:
    """List the files that a path, a folder or a glob pattern means, in order.

    Errors: :class:`UsageError` where there is none.
    """
    path = Path(where)
    if path.is_dir():
        found = sorted(each for each in path.iterdir() if each.is_file())
    elif path.exists():
        found = [path]
    else:
        found = sorted(each for each in _matching(path) if each.is_file())
    if not found and path.is_dir():
        raise UsageError(f"{where}: no file lies directly in it", remedy=f"give a quoted glob: '{where}/*/*'")
    if not found:
        cause = f"{where}: no such file, and nothing matches it"
        raise UsageError(cause, remedy="give a file, a folder, a glob or -")
    return tuple(found)


def _matching(pattern: Path) -> Iterable[Path]:
    return Path(pattern.anchor or ".").glob(str(pattern.relative_to(pattern.anchor)))


def _bytes(path: Path, most_bytes: int | None) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(-1 if most_bytes is None else most_bytes)
    except OSError as problem:
        raise UsageError(f"{path}: {problem.strerror}", remedy="check its permissions") from None
