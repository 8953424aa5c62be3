"""Matrices and logs of pairs that anybody made: which format a file has, and what is in it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from clusterboot.errors import UsageError
from clusterboot.printable import one_line
from clusterboot.programs.nccl_tests.log_lines import by_speaker, decode, undressed
from clusterboot.programs.nccl_tests.parser import parse_log

from ..pair_matrix import PairMatrix
from .cells import bad, matrix_of
from .csv import CSV
from .devices import NVBANDWIDTH, P2P
from .figures import matrices_of_pairs
from .json import JSON
from .mpigraph import MPIGRAPH
from .nccl import NCCL_TESTS, unbegun
from .osu import OSU
from .othertools import kind_of, kind_of_bytes
from .perftest import PERFTEST
from .stored import Format, Found, PairFigure, StoredMatrix, Table

# The formats of text, in the order in which they are tried: what says plainly what it is comes first. What
# none of them recognises, and no other tool's, is taken for a table.
_FORMATS: tuple[Format, ...] = (JSON, MPIGRAPH, NVBANDWIDTH, P2P, OSU, PERFTEST, NCCL_TESTS)
# Tables of the GPUs of one machine.
_OF_ONE_HOST = (NVBANDWIDTH, P2P)
# What a text is shows at its beginning; what goes on without telling is a table.
_BEGINNING = 4_000_000
# No log is longer; of a table that is, no line is cleaned.
_LONGEST_LOG = 64_000_000
# A log of a launch that failed is no longer.
_SHORT = 300_000
# More than this share of bytes outside its encoding, and a file is no text.
_MOST_FOREIGN = 0.01
# 4,096 nodes with twenty characters a cell.
MOST_BYTES = 400_000_000


def read_matrix(data: bytes, path: str) -> PairMatrix:
    """Read one matrix, in whichever of the known forms it is.

    Parameters: the file's bytes; ``path`` names it in errors.
    Errors: :class:`~clusterboot.errors.UsageError` that says what is wrong, for anything that
    is not one square matrix of bandwidths above or at 0 with a name for each node.
    """
    found = read_matrices([(path, data)], path)
    if len(found) > 1:
        raise bad(path, f"it has {len(found)} matrices: {', '.join(each.caption or '' for each in found)}")
    return found[0].matrix


def read_matrices(files: Iterable[tuple[str, bytes]], where: str) -> list[StoredMatrix]:
    """Read the matrices of files, and those that logs of single pairs make together.

    Parameters: each file's name and bytes; what the whole set is called.
    Returns: the matrices in the order of the files, then those of pairs, one for each measurement. Where
    there are pairs, a file that is not one of theirs is a note of every one of their matrices.
    Errors: :class:`~clusterboot.errors.UsageError` that says what the first file is that is neither.
    """
    tables: list[StoredMatrix] = []
    figures: list[PairFigure] = []
    unread: list[tuple[str, UsageError]] = []
    paths = []
    for path, data in files:
        paths.append(path)
        try:
            found = _read(data, path)
        except UsageError as error:
            unread.append((path, error))
            continue
        for each in found:
            if isinstance(each, Table):
                caption = None if each.caption is None else one_line(each.caption, 200)
                tables.append(StoredMatrix(path, matrix_of(path, each.rows), caption, each.notes))
            else:
                figures.append(each)
    if unread and not figures:
        raise unread[0][1]
    pairs = matrices_of_pairs(figures, where if len(paths) > 1 else paths[0], unread) if figures else []
    return [*tables, *pairs]


def _read(data: bytes, path: str) -> Sequence[Found]:
    if len(data) > MOST_BYTES:
        raise bad(path, f"it has more than {MOST_BYTES} bytes")
    text = _text(data, path)
    is_log = len(text) <= _LONGEST_LOG and not JSON.recognises(text[:_BEGINNING])
    plain = undressed(text) if is_log else text
    beginning = plain[:_BEGINNING]
    form = next((each for each in _FORMATS if each.recognises(beginning)), None)
    if form is not None:
        parts = by_speaker(text) if form in _OF_ONE_HOST else {}
        parts = {who: part for who, part in parts.items() if form.recognises(part)}
        return form.read(plain, path) if len(parts) < 2 else list(_of_each(form, parts, path))
    if kind := kind_of(beginning):
        raise bad(path, f"it is {kind}")
    problem = None
    # A table's first column may be a time, which stands on a log's lines as well.
    for each in dict.fromkeys((plain, text)):
        try:
            return (JSON if each.lstrip()[:1] in ("{", "[") else CSV).read(each, path)
        except UsageError as error:
            problem = problem or error
    if len(text) <= _SHORT and (log := parse_log(text)).problems:
        return [unbegun(log, path)]
    raise problem or bad(path, "it is empty")


def _of_each(form: Format, parts: Mapping[str, str], path: str) -> Iterator[Found]:
    """Read what several machines, or ranks, printed into one file, each for itself."""
    for who, part in parts.items():
        for each in form.read(part, path):
            yield replace(each, caption=f"{who}: {each.caption}") if isinstance(each, Table) else each


def _text(data: bytes, path: str) -> str:
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = decode(data)
        if text.count("\ufffd") > len(text) * _MOST_FOREIGN:
            kind = kind_of_bytes(data)
            raise bad(path, f"it is {kind}" if kind else "it is not text") from None
    if not text.strip():
        raise bad(path, "it is empty")
    return text
