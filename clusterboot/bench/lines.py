"""A log as lines of plain text: without byte order marks, escape codes and launchers' tags."""

from __future__ import annotations

import codecs
import re
from dataclasses import dataclass

_BOMS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)

# ECMA-48: CSI sequences, OSC strings up to BEL or ST, and two-character escapes.
_ESCAPES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[@-Z\\-_])")
_CONTROLS = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")

# `[1,0]<stdout>:` of Open MPI's --tag-output, and its form since Open MPI 5, which names the
# job before it. Standard input's side is never printed.
_MPI_TAG = re.compile(r"\[(?:[\w.@-]*@)?(?P<job>\d+),(?P<rank>\d+)\](?:\[[^\]]*\])?<std(?:out|err|diag)>: ?")
# `srun --label` and Hydra's -prepend-rank, at the start of a line only.
_LABEL = re.compile(r"(?:(?P<label>\d{1,5}): |\[(?P<bracket>\d{1,5})\] )(?=[#\s]|\S+:\d+:\d+ \[)")
# A row is printed in pieces, and Hydra labels each piece.
_ROW_LIKE = re.compile(r"\s*\d+\s+\d+\s+[a-z]")

# No line of interest is longer; output without line ends must not cost minutes.
_LONGEST = 2000


@dataclass(frozen=True)
class Line:
    """One line of a log: its number, counted from 1, its text without tags, the rank they named.

    ``ended`` is false for a last line without a line end.
    """

    number: int
    text: str
    rank: int | None = None
    ended: bool = True


def decode(data: bytes | str) -> str:
    """Read a log's bytes as text; what is not in its encoding becomes U+FFFD."""
    if isinstance(data, str):
        return data.removeprefix("\ufeff")
    for bom, encoding in _BOMS:
        if data.startswith(bom):
            return data[len(bom) :].decode(encoding, "replace")
    return data.decode("utf-8", "replace")


def clean(number: int, text: str, *, ended: bool = True) -> Line:
    """Take escape codes, control characters and launchers' tags out of one line.

    A tag in mid-line is where a launcher joined two pieces of one line: it is dropped there.
    """
    plain = _CONTROLS.sub("", _ESCAPES.sub("", text[:_LONGEST].rstrip("\r\n")))
    rank = None
    if tag := _MPI_TAG.search(plain):
        rank = int(tag["rank"])
        plain = _MPI_TAG.sub("", plain)
    elif label := _LABEL.match(plain):
        rank = int(label["label"] or label["bracket"])
        plain = plain[label.end() :]
        if _ROW_LIKE.match(plain):
            plain = plain.replace(f"[{rank}]", " ")
    return Line(number, plain, rank, ended)


def split(data: bytes | str) -> list[Line]:
    """Cut a whole log into cleaned lines; a carriage return within a line ends it too."""
    pieces = re.split(r"\r\n|\n|\r", decode(data))
    unended = pieces.pop()
    lines = [clean(number, piece) for number, piece in enumerate(pieces, 1)]
    if unended:
        lines.append(clean(len(pieces) + 1, unended, ended=False))
    return lines
