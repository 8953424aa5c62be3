"""One file onto every node, its digest proven there."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib import resources

from clusterboot import nodes
from clusterboot.errors import ExitCode, HostResult, PartialError
from clusterboot.nodes.collector import Collector
from clusterboot.nodes.payload import Payload
from clusterboot.nodes.script import new_nonce
from clusterboot.nodes.sessions import Session
from clusterboot.printable import one_line
from clusterboot.session.context import Context
from clusterboot.session.visit import exit_code

# Without a deadline a host may take this long, and a second more for each of so many bytes.
_TIMEOUT_S, _SLOWEST_BYTES_S = 600.0, 1_000_000


@dataclass(frozen=True)
class LocalFile:
    """A regular file that is open for reading: its name, size, permission bits and SHA-256."""

    descriptor: int
    name: str
    size_bytes: int
    mode: int
    digest: str


@dataclass(frozen=True)
class Received:
    """Where a file is on one node; ``changed`` is false where it was there already."""

    path: str
    changed: bool


@dataclass(frozen=True)
class FileCopy:
    """What became of a file on every host; ``received`` has those where it is now, by name."""

    hosts: tuple[HostResult, ...]
    exit_code: ExitCode
    received: Mapping[str, Received] = field(default_factory=dict)


def copy_file(context: Context, file: LocalFile, destination: str) -> FileCopy:
    """Copy a file to every host: beside its place, then renamed, and read again there.

    Parameters: the file; a path on the nodes, seen from the home where it is relative, which may be a folder.
    Returns: what became of it. Nothing is written through a symbolic link, and a file of which the
    digest is another there is removed.
    """
    timeout_s = context.deadline_s or _TIMEOUT_S + file.size_bytes / _SLOWEST_BYTES_S
    with context.visit() as visit:
        received = visit.stage(
            "file copied",
            context.cluster.hosts,
            lambda session: _send(session, file, destination, timeout_s),
        )
        for name, each in received.items():
            if each.changed:
                visit.ledger.changed(name)
        rows = visit.ledger.rows
    return FileCopy(rows, exit_code(rows), received)


def _send(session: Session, file: LocalFile, destination: str, timeout_s: float) -> Received:
    mark = new_nonce()
    payload = Payload(file.descriptor, file.size_bytes)
    answer, errors = _Answer(mark, payload), Collector()
    call = ["cb_receive", mark, destination, file.name, f"{file.mode:04o}", file.digest]
    # One compound command is read to its end before it begins: what follows is the file alone.
    script = f"{{\n{_receive()}\n{shlex.join(call)}\n}}\n".encode("utf-8", "surrogateescape")
    label = f"copy {file.name} sha256 {file.digest} to {destination}"
    session.stream(script, answer, errors, "run", timeout_s=timeout_s, payload=payload, label=label)
    word, told = answer.last()
    if word in ("same", "copied"):
        return Received(told, word == "copied")
    cause = told or one_line(bytes(errors.data)) or "it said nothing"
    raise PartialError(
        f"not copied: {cause}", stage="run", remedy="see the place and its disk; nothing was replaced"
    )


class _Answer(Collector):
    """What the receiving script says, which asks for the payload."""

    def __init__(self, mark: str, payload: Payload) -> None:
        super().__init__(f"\n{mark} wanted".encode())
        self._mark, self._payload = mark, payload

    def __call__(self, data: bytes) -> None:
        begun = self.begun
        super().__call__(data)
        if self.begun and not begun:
            self._payload.ask_for()

    def last(self) -> tuple[str, str]:
        """Give the last word that was said, and what was told with it."""
        lines = bytes(self.data).decode("utf-8", "replace").split("\n")
        said = [line.split(" ", 2)[1:] for line in lines if line.startswith(f"{self._mark} ")]
        word, *more = said[-1] if said else [""]
        return word, one_line(more[0], 4096) if more else ""


@cache
def _receive() -> str:
    return resources.files(nodes).joinpath("receive.sh").read_text(encoding="utf-8")
