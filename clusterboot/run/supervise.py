"""The script that holds a run's life on the launching node, and what it says at the end."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from shlex import quote
from typing import Literal, cast, get_args

from clusterboot.mpi.launcher import SSH_AGENT, Command
from clusterboot.mpi.script_names import run_folder, token

# Time for a launcher to end its ranks in order after SIGTERM. Open MPI 4.1 needs about a
# second; while its ssh clients still connect it does not react at all.
GRACE_S = 5
# What clearing the other nodes may take where the operator is gone.
CLEAR_S = 10
# So many logins do it at once, and a node that does not answer is given up soon.
_LANES = 32
_HURRY = ("-o", "ConnectTimeout=3", "-o", "ServerAliveInterval=2", "-o", "ServerAliveCountMax=2")
_SWEEP = "sweep"
STDIN = "stdin"

How = Literal["exited", "deadline", "gone", "stopped", "not-started"]
_END = re.compile(rf"({'|'.join(get_args(How))}) (\d+) (\d+) (\d+)\n".encode())


@dataclass(frozen=True)
class SupervisedEnd:
    """How a run ended, as the launching node tells it.

    ``how`` is ``exited`` where the launcher ended by itself, ``deadline`` where its time was
    up, ``gone`` where the operator's end of the line closed, ``stopped`` where the script was
    told to stop by a signal, and ``not-started`` where the node's home could not be written.
    ``exit_code`` is the launcher's in the shell's convention, above 128 for a signal.
    ``killed`` counts processes of the run on the launching node that had to be killed after
    the launcher was gone, ``left`` those that even so remained.
    """

    how: How
    exit_code: int
    killed: int = 0
    left: int = 0


def shell_text(name: str) -> str:
    """Give one of this room's own shell fragments, ``sweep.sh`` or ``supervise.sh``."""
    return resources.files("clusterboot.run").joinpath(name).read_text("utf-8")


def render_supervisor(
    command: Command,
    *,
    cluster: str,
    run_id: str,
    nonce: str,
    deadline_s: int,
    grace_s: int = GRACE_S,
    silence_s: int = 0,
    clear_s: int = CLEAR_S,
    files: Mapping[str, str] | None = None,
    others: Sequence[str] = (),
    agent: Sequence[str] = SSH_AGENT,
) -> str:
    """Write the script that starts a launcher, streams it, and ends it when it has to end.

    The script goes to the standard input of ``/bin/sh -s`` on the launching node, whose
    standard input then stays open: its end is taken as the operator's. The launcher's own
    streams are passed through; around its standard output stand a ``begin`` and an ``end``
    line with the nonce, which :class:`Stream` takes off again. While the run lives its folder,
    :func:`~clusterboot.mpi.script_names.run_folder`, is there, with ``files``.

    Parameters: the launcher's command; the cluster's name; the run's name; the word that marks
    the frame; the time the run may take and the time between SIGTERM and SIGKILL, in whole
    seconds; after ``silence_s`` seconds without a line on standard input the operator counts as
    gone, 0 for never; the run's other nodes then have ``clear_s`` seconds to be cleared from
    here: ``others`` are these as ssh is to dial them, ``agent`` is the ssh command; text files
    for the run's folder by name, the hostfile above all; one called :data:`STDIN` is the launcher's
    standard input, which every MPI gives to rank 0, wherever that runs.
    Returns: POSIX ``sh`` text. Errors: ``ValueError`` for a name that is not one.
    """
    if deadline_s < 1 or grace_s < 1:
        raise ValueError("a run needs a deadline and a grace of at least a second")
    if silence_s < 0:
        raise ValueError("a silence lasts at least 0 seconds")
    folder = run_folder(cluster, run_id)
    files = {**(files or {}), _SWEEP: f"{shell_text('sweep.sh')}sweep {run_id}\n"}
    exports = [f"{name}={quote(value)}; export {name}" for name, value in command.env.items()]
    writes = [
        f'printf %s {quote(text)} >"$folder"/{quote(token(name, "a file"))} || return 1'
        for name, text in files.items()
    ]
    # A shell may read its script ahead or line by line; one compound command is read to its
    # end before it begins, so that nothing of it is left on the watched standard input.
    lines = [
        "{",
        f"nonce={quote(token(nonce, 'a nonce'))} run_id={quote(run_id)} folder={quote(folder)}",
        f"deadline_s={deadline_s} grace_s={grace_s} silence_s={silence_s} clear_s={clear_s}",
        "write_files() {",
        *writes,
        "return 0",
        "}",
        "launch() {",
        *exports,
        f"set -- {' '.join(map(quote, command.argv))}",
        *([f'exec <"$folder"/{STDIN}'] if STDIN in files else []),
        'exec ${setsid:+"$setsid"} "$@"',
        "}",
        *_sweep_others(others, agent),
        shell_text("sweep.sh"),
        shell_text("supervise.sh"),
        "}",
    ]
    return "\n".join(lines) + "\n"


def _sweep_others(targets: Sequence[str], agent: Sequence[str]) -> list[str]:
    """Write the function that ends what is left of the run on other nodes."""
    ssh = " ".join(map(quote, [*agent, *_HURRY]))
    dialled = [token(target, "a node") for target in targets]
    lanes = [dialled[lane::_LANES] for lane in range(min(_LANES, len(dialled)))]
    return [
        "sweep_lane() {",
        "trap 'kill $!; exit 0' TERM",
        f'for target; do {ssh} -- "$target" "exec /bin/sh -s" <"$folder/{_SWEEP}" & wait $!; done',
        "}",
        "sweep_others() {",
        "lanes=",
        "trap 'kill $lanes; exit 0' TERM",
        *(f'sweep_lane {" ".join(lane)} & lanes="$lanes $!"' for lane in lanes),
        "wait",
        "}",
    ]


class SupervisedStream:
    """Standard output of a supervised run, taken out of its frame as it comes.

    ``begun`` is true once the script has been read and is at work. ``end`` is set once the end line has
    come; a stream that closes before has been cut off.
    """

    def __init__(self, nonce: str) -> None:
        # The end line may follow an unfinished one of the launcher's. It has no newline of its
        # own before it, or the last line of a table would wait here for the next.
        mark = nonce.encode() + b" "
        self._begin = mark + b"begin\n"
        self._last = mark + b"end "
        self.begun = False
        self._pending = b""
        self.end: SupervisedEnd | None = None

    def feed(self, data: bytes) -> bytes:
        """Take what came; give what of it the launcher wrote.

        A few bytes that may be the start of the end line are held back until more comes.
        """
        self._pending += data
        if not self.begun:
            _, found, rest = self._pending.partition(self._begin)
            if not found:
                return b""
            self.begun, self._pending = True, rest
        written, found, rest = self._pending.partition(self._last)
        if found:
            self._read_end(rest)
            self._pending = found + rest
            return written
        cut = len(self._pending) - _overlap(self._pending, self._last)
        written, self._pending = self._pending[:cut], self._pending[cut:]
        return written

    def _read_end(self, rest: bytes) -> None:
        match = _END.match(rest)
        if match:
            code, killed, left = map(int, match.groups()[1:])
            self.end = SupervisedEnd(cast(How, match[1].decode()), code, killed, left)


def _overlap(data: bytes, mark: bytes) -> int:
    """Count the bytes at the end of ``data`` that may be the beginning of ``mark``."""
    return next((n for n in range(min(len(data), len(mark) - 1), 0, -1) if mark.startswith(data[-n:])), 0)
