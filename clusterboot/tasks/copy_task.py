"""The command that copies one file to every node."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.text import Text

from clusterboot.errors import UsageError
from clusterboot.folding import by_value, fold
from clusterboot.headline import Ending
from clusterboot.report import ending as report

from .cli.command import Call, Outcome, command
from .cli.options import SHARED, context
from .cli.plain_words import PlainWords

if TYPE_CHECKING:
    from clusterboot.commands.copy_file import FileCopy, LocalFile

_BLOCK_BYTES = 1024 * 1024


@command(
    "copy",
    shared=SHARED,
    iterable=("words",),
    words=PlainWords("words", "FILE [DEST]", "what to copy, and where on the nodes (default the home)"),
)
def copy_task(call: Call, shared: Mapping[str, Any], words: Sequence[str] | None = None) -> Outcome:
    """Copy one file to every node, its mode kept and its digest proven there.

    A DEST that does not begin with / is seen from the home. The file is written beside its place and renamed;
    nothing is written through a symbolic link.
    """
    from clusterboot.commands.copy_file import copy_file
    from clusterboot.units import format_size

    if not 1 <= len(words or ()) <= 2:
        raise UsageError("copy takes a file, and where it goes", remedy="clusterboot copy FILE [DEST]")
    source, destination = (*(words or ()), "~")[:2]
    if not destination or "\0" in destination:
        raise UsageError("the place on the nodes is empty", remedy="leave it out for the home")
    with _opened(source) as file:
        at = context(call, shared)
        what = f"{source} ({format_size(file.size_bytes)}, sha256 {file.digest})"
        if at.dry_run:
            names = fold([host.name for host in at.cluster.hosts])
            line = Text(f"Would copy {what} to {destination} on {names}")
            return Outcome(ending=Ending(dry_run=True), show=lambda to, _: report.say(to, line))
        result = copy_file(at, file, destination)
    more = {
        "file": source,
        "size_bytes": file.size_bytes,
        "sha256": file.digest,
        "mode": f"{file.mode:04o}",
        "paths": {name: each.path for name, each in result.received.items()},
    }
    return Outcome(result.exit_code, result.hosts, more, show=lambda to, _: _show(to, result, what))


@contextmanager
def _opened(source: str) -> Iterator[LocalFile]:
    """Hold a regular file open, read once for its digest."""
    from clusterboot.commands.copy_file import LocalFile

    try:
        # A named pipe would be waited for.
        descriptor = os.open(source, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as problem:
        raise UsageError(f"{source}: {problem.strerror}") from None
    try:
        state = os.fstat(descriptor)
        if not stat.S_ISREG(state.st_mode):
            raise UsageError(
                f"{source}: no regular file", remedy="copy takes one file; pack a folder with tar"
            )
        digest, offset = hashlib.sha256(), 0
        while block := os.pread(descriptor, _BLOCK_BYTES, offset):
            digest.update(block)
            offset += len(block)
        yield LocalFile(descriptor, Path(source).name, offset, state.st_mode & 0o777, digest.hexdigest())
    finally:
        os.close(descriptor)


def _show(to: Console, result: FileCopy, what: str) -> None:
    for (path, changed), names in by_value(
        {name: (each.path, each.changed) for name, each in result.received.items()}
    ):
        told = "" if changed else ", where it was already"
        report.say(to, Text.assemble((fold(names), "bold"), f" {path}{told}"))
    report.show_failures(to, result.hosts)
    if result.received:
        report.say(to, Text(f"Copied: {what}, read again on {fold(list(result.received))}"))
