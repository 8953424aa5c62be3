"""What ``srun --label`` prints, taken apart again into what each task wrote, byte for byte."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from clusterboot.nodes.collector import TooMuchError

# A line that is longer comes in pieces of exactly so many bytes, each with a label and an end of its own.
# Source: SLURM_IO_MAX_MSG_LEN in Slurm's io_hdr.h, _task_build_message() in slurmstepd's io.c,
# write_labelled_message().
_PIECE_BYTES = 1024
_LABEL = re.compile(rb" *([0-9]{1,7}): ")
_EXITED = re.compile(r"srun: error: \S+ tasks? ([0-9,-]+): Exited with exit code ([0-9]+)")
# Of srun's own words so much is kept.
_MOST_WORDS = 64 * 1024


class LabelledOutput:
    """One stream of a step. Each task's bytes go to its receiver; what has no label is srun's own.

    Parameters: the receivers, in the order of tasks. One that refuses more has ``overflowed``.
    """

    def __init__(self, receivers: Sequence[Callable[[bytes], None]]) -> None:
        self._receivers = receivers
        self._rest = b""
        self._own: list[str] = []
        self._own_bytes = 0
        self.overflowed: set[int] = set()

    def __call__(self, data: bytes) -> None:
        """Take what came."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            self._take(line)

    @property
    def words(self) -> tuple[str, ...]:
        """What srun itself said, by lines."""
        return tuple(self._own)

    def _take(self, line: bytes) -> None:
        label = _LABEL.match(line)
        task = int(label[1]) if label else len(self._receivers)
        if label is None or task >= len(self._receivers):
            self._own_bytes += len(line)
            if self._own_bytes <= _MOST_WORDS:
                self._own.append(line.decode("utf-8", "replace"))
            return
        piece = line[label.end() :]
        if task in self.overflowed:
            return
        try:
            self._receivers[task](piece if len(piece) == _PIECE_BYTES else piece + b"\n")
        except TooMuchError:
            self.overflowed.add(task)


def exit_codes(words: Sequence[str]) -> dict[int, int]:
    """Read which tasks srun says ended with another status than 0, and with which."""
    found: dict[int, int] = {}
    for line in words:
        match = _EXITED.match(line)
        for part in match[1].split(",") if match else ():
            first, _, last = part.partition("-")
            if match is not None and first.isdecimal() and (last or first).isdecimal():
                # A range of ten million tasks is nothing that srun says.
                found |= dict.fromkeys(range(int(first), min(int(last or first), 10**6) + 1), int(match[2]))
    return found
