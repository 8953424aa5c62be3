"""What LLNL's mpiGraph prints: two matrices of MiB/s, seen by the senders and by the receivers."""

from __future__ import annotations

import re
from collections.abc import Iterator

from .cells import Rows, bad, bandwidth
from .stored import Format, Table

# mpiGraph.c divides by 1024*1024 and prints "MB/s".
_GB_S = 1024 * 1024 / 1e9
_START = re.compile(r"^.*START mpiGraph", re.MULTILINE)
_HEADER = re.compile(r"^(Send|Recv)\s*\t(.*:\d+.*)$")
_ROW = re.compile(r"^(\S+):(\d+)\s+(to|from)\s+(.*)$")


def _recognises(text: str) -> bool:
    return bool(_START.search(text)) or any(_HEADER.match(line) for line in text.splitlines()[:1])


def _read(text: str, path: str) -> list[Table]:
    """Read the Send table, and the Recv table where it is there, the lower of both for each pair.

    A node is called by its host's name; with several ranks a host by ``host:rank``.
    Errors: :class:`UsageError` where a table is cut off.
    Source: mpiGraph.c of LLNL/mpiGraph: a row of Send is the sender, a row of Recv the receiver.
    """
    tables = {which: (names, rows) for which, names, rows in _tables(text, path)}
    if "Send" not in tables:
        raise bad(path, "it is mpiGraph's output without its table of Send bandwidths")
    names, send = tables["Send"]
    if "Recv" in tables and tables["Recv"][0] == names:
        receive = tables["Recv"][1]
        send = [[min(value, receive[to][at]) for to, value in enumerate(row)] for at, row in enumerate(send)]
    return [Table(Rows(_short(names), [[value * _GB_S for value in row] for row in send]))]


def _tables(text: str, path: str) -> Iterator[tuple[str, list[str], list[list[float]]]]:
    lines = iter(text.splitlines())
    for line in lines:
        header = _HEADER.match(line)
        if not header:
            continue
        names = header[2].split()
        rows = []
        for name in names:
            row = _ROW.match(next(lines, ""))
            if not row or f"{row[1]}:{row[2]}" != name:
                raise bad(path, f"mpiGraph's table {header[1]} has no row of {name}")
            words = row[4].split()
            if len(words) != len(names):
                raise bad(path, f"mpiGraph's row of {name} has {len(words)} cells for {len(names)} nodes")
            rows.append([bandwidth(word, f"{path}: mpiGraph's row of {name}") for word in words])
        yield header[1], names, rows


def _short(names: list[str]) -> list[str]:
    hosts = [name.rpartition(":")[0] for name in names]
    return hosts if len(set(hosts)) == len(hosts) else names


MPIGRAPH = Format("mpiGraph's output", _recognises, _read)
