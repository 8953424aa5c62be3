"""Matrices that anybody made: JSON, CSV, or what mpiGraph prints."""

from __future__ import annotations

from clusterboot.diagnose.matrix.checks import Rows, bad, matrix_of
from clusterboot.diagnose.matrix.csvform import read_csv
from clusterboot.diagnose.matrix.jsonform import read_json
from clusterboot.diagnose.matrix.mpigraph import is_mpigraph, read_mpigraph
from clusterboot.diagnose.matrix.records import PairMatrix

# 4,096 nodes with twenty characters a cell.
_MOST_BYTES = 400_000_000


def read_matrix(data: bytes, path: str) -> PairMatrix:
    """Read a matrix, in whichever of the known forms it is.

    Parameters: the file's bytes; ``path`` names it in errors.
    Errors: :class:`~clusterboot.errors.UsageError` that says what is wrong, for anything that
    is no square matrix of bandwidths above or at 0 with a name for each node.
    """
    if len(data) > _MOST_BYTES:
        raise bad(path, f"it has {len(data)} bytes, more than {_MOST_BYTES}")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise bad(path, "it is not text") from None
    if not text.strip():
        raise bad(path, "it is empty")
    return matrix_of(path, _rows(text, path))


def _rows(text: str, path: str) -> Rows:
    if text.lstrip()[0] in "{[":
        return read_json(text, path)
    if is_mpigraph(text):
        return read_mpigraph(text, path)
    return read_csv(text, path)
