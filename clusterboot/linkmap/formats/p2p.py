"""What CUDA's sample p2pBandwidthLatencyTest prints: tables of GPUs, each below its caption.

Source: p2pBandwidthLatencyTest.cu of NVIDIA/cuda-samples. A row is the GPU that a copy is queued on and
a column its peer; the bandwidth of the bidirectional tables is that of both copies together.
"""

from __future__ import annotations

import re

from .cells import Rows, bad
from .stored import Format, Table
from .tables import CAPTION_LENGTH, Cells, numbered_table

_CAPTION = re.compile(
    r"\s*(?:(?P<ways>Uni|Bi)directional )?P2P=(?P<mode>Enabled|Disabled) (?P<what>Bandwidth|Latency)"
    r"(?: \(P2P (?P<how>Writes|Reads)\))? Matrix \((?P<unit>[^)]*)\)"
)
_UNITS = {"GB/s": 1.0}


def _caption(line: str) -> re.Match[str] | None:
    return _CAPTION.match(line[:CAPTION_LENGTH])


def _recognises(text: str) -> bool:
    return "P2P=" in text and any(map(_caption, text.splitlines()))


def _read(text: str, path: str) -> list[Table]:
    """Read every table of bandwidths, and beside a one-way table the latencies of its mode."""
    lines = text.splitlines()
    captions = [(at, match) for at, line in enumerate(lines) if (match := _caption(line))]
    latencies: dict[tuple[str, str | None], Cells] = {}
    for at, match in captions:
        if match["what"] == "Latency" and match["unit"] == "us":
            key = (match["mode"], match["how"])
            latencies.setdefault(key, numbered_table(lines, at + 1, "GPU", path)[2])
    tables = []
    for at, match in captions:
        if match["what"] != "Bandwidth" or match["unit"] not in _UNITS:
            continue
        columns, rows, cells = numbered_table(lines, at + 1, "D\\D", path)
        if columns != rows:
            raise bad(path, f"its table in line {at + 2} has {len(rows)} rows for {len(columns)} columns")
        latency = latencies.get((match["mode"], match["how"])) if match["ways"] == "Uni" else None
        rows_of = Rows([f"gpu{number}" for number in columns], cells, latency)
        tables.append(Table(rows_of, " ".join(match[0].split()), _notes(match["ways"])))
    if not tables:
        raise bad(path, "it is p2pBandwidthLatencyTest's output without a table of bandwidths")
    return tables


def _notes(ways: str | None) -> tuple[str, ...]:
    return ("each figure is that of both directions together",) if ways == "Bi" else ()


P2P = Format("p2pBandwidthLatencyTest's output", _recognises, _read)
