"""Tables with a line a pair that other programs write: which columns are the hosts, which the bandwidth."""

from __future__ import annotations

import re
from collections.abc import Sequence

from .cells import ABSENT, bad, bandwidth
from .pairnames import pair_in_name, two_names
from .stored import PairFigure, sustained

# Names of columns, in small letters without anything between: two for the ends, and whether the data
# goes from the first to the second; or one for both.
_ENDS = (
    ("sender", "receiver", True),
    ("src", "dst", True),
    ("source", "destination", True),
    ("source", "target", True),
    ("from", "to", True),
    ("client", "server", True),
    *(
        (f"{word}{one}", f"{word}{other}", None)
        for word in ("node", "host", "hostname")
        for one, other in ("12", "ab", "01")
    ),
    ("srchost", "dsthost", True),
    ("srcnode", "dstnode", True),
    ("sourcehost", "destinationhost", True),
    ("sourcenode", "destinationnode", True),
)
_BOTH = ("nodes", "hosts", "pair", "nodelist", "hostlist", "hostpair", "nodepair", "hostnames")
_SIZES = frozenset({"size", "msgsize", "messagesize", "bytes", "sizebytes", "sizeb"})
# What makes figures different measurements.
_APART = frozenset(
    {"test", "collective", "op", "operation", "benchmark", "program", "g", "gpus", "gpuspernode", "ngpus"}
    | {"ranks", "np", "device", "hca", "dtype"}
    | _SIZES
)
_RATE = re.compile(r"busbw|bus_?bw|bandwidth|throughput|\bbw\b|_bw|bw_|^bw|rate", re.IGNORECASE)
_NO_RATE = re.compile(r"msg|message", re.IGNORECASE)
# Units by what a column's name ends with; capitals tell bits from bytes. MB/sec is perftest's word for 2^20.
_UNITS = (
    (re.compile(r"(?:GB/?ps|GBs|GB/s(?:ec)?|gb_s|GB_s)\W*$"), 1.0),
    (re.compile(r"(?:Gbps|Gb/s(?:ec)?|Gbit/s|gbit_s|gbits?|Gbits(?:/s(?:ec)?)?|gbps)\W*$"), 1 / 8),
    (re.compile(r"(?:Mbps|Mb/s(?:ec)?|Mbit/s|mbit_s|mbits?|Mbits(?:/s(?:ec)?)?|mbps)\W*$"), 1 / 8000),
    (re.compile(r"(?:MiB/s|MiBs|mib_s|MB/sec)\W*$"), 2**20 / 1e9),
    (re.compile(r"(?:MBps|MBs|MB/s|mb_s)\W*$"), 1e-3),
)
# What stands for a figure where there is none: FAILED, timeout, not measured.
_WORDS = re.compile(r"(?!(?i:inf|infinity|nan)$)[A-Za-z]+(?:[ _-][A-Za-z]+)*")


def is_pair_table(header: Sequence[str]) -> bool:
    """Tell whether a table's first line names two ends and a bandwidth."""
    return _ends(header) is not None and _rate(header) is not None


def read_pair_table(header: Sequence[str], lines: Sequence[Sequence[str]], path: str) -> list[PairFigure]:
    """Read such a table, one figure a line; lines of no pair are left out.

    A word in a figure's place, as ``FAILED``, is why a pair was not measured.
    Errors: :class:`UsageError` for a line with too many or too few cells, a bandwidth that is neither a
    number nor a word, or where no line is of a pair or has a figure.
    """
    columns, rate = _ends(header), _rate(header)
    if columns is None or rate is None:
        raise bad(path, "it has no two columns of hosts and one of bandwidths")
    places, one_way = columns
    at, factor, has_unit = rate
    apart = [place for place, name in enumerate(header) if _plain(name) in _APART and place not in places]
    size = _swept(header, lines)
    apart = [place for place in apart if place != size]
    sweeps: dict[tuple[str, tuple[str, str]], dict[int, float]] = {}
    figures = []
    for line in lines:
        if len(line) != len(header):
            raise bad(path, f"a line has {len(line)} cells for {len(header)} columns")
        ends = (line[places[0]], line[places[1]]) if len(places) > 1 else _two(line[places[0]])
        if ends is None or ends[0] == ends[1]:
            continue
        told = [f"{header[place]} {line[place]}" for place in apart]
        what = ", ".join(told if size is None else [*told, "at the large end of its sizes"])
        words = f"{header[at]}{'' if has_unit else ' (taken as GB/s)'}{': ' if what else ''}{what}"
        value = _number(line[at], path)
        said = "" if line[at].lower() in ABSENT else f" but '{line[at][:40]}'"
        why = None if value is not None else f"its line has no figure{said}"
        if size is not None and value is not None:
            sweeps.setdefault((words, ends), {})[int(line[size])] = value * factor
        else:
            rate_gb_s = None if value is None else value * factor
            figures.append(PairFigure(words, path, ends, rate_gb_s, one_way, why))
    figures += [
        PairFigure(words, path, ends, sustained(points), one_way) for (words, ends), points in sweeps.items()
    ]
    if not figures:
        raise bad(path, "none of its lines is of a pair of two hosts")
    if all(figure.rate_gb_s is None for figure in figures):
        raise bad(path, f"its column '{header[at][:40]}' has no figure")
    return figures


def _swept(header: Sequence[str], lines: Sequence[Sequence[str]]) -> int | None:
    """Find the column of sizes in bytes, where lines have several: they are steps of one measurement."""
    places = [place for place, name in enumerate(header) if _plain(name) in _SIZES]
    if len(places) != 1:
        return None
    cells = {line[places[0]] for line in lines if len(line) == len(header)}
    is_sweep = len(cells) > 1 and all(re.fullmatch(r"[0-9]{1,18}", cell) for cell in cells)
    return places[0] if is_sweep else None


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


def _ends(header: Sequence[str]) -> tuple[tuple[int, ...], bool | None] | None:
    names = [_plain(name) for name in header]
    for one, other, one_way in _ENDS:
        if names.count(one) == 1 and names.count(other) == 1:
            return (names.index(one), names.index(other)), one_way
    both = next((names.index(name) for name in _BOTH if names.count(name) == 1), None)
    return None if both is None else ((both,), None)


def _two(cell: str) -> tuple[str, str] | None:
    return two_names(cell) or pair_in_name(cell)


def _rate(header: Sequence[str]) -> tuple[int, float, bool] | None:
    """Find the column of the bandwidth: a peak before all others, an average over sizes last."""
    found = [
        place
        for place, name in enumerate(header)
        if (_RATE.search(name) or _unit(name)) and not _NO_RATE.search(name)
    ]
    if not found:
        return None

    def order(place: int) -> int:
        name = header[place].lower()
        if re.search(r"alg", name):  # of one collective's data; what links carry is the bus's
            return 3
        return 0 if re.search(r"peak|max", name) else 2 if re.search(r"av(?:era)?ge?|mean|min", name) else 1

    at = min(found, key=order)
    unit = _unit(header[at])
    return at, 1.0 if unit is None else unit, unit is not None


def _unit(name: str) -> float | None:
    return next((factor for pattern, factor in _UNITS if pattern.search(name)), None)


def _number(cell: str, path: str) -> float | None:
    return None if cell.lower() in ABSENT or _WORDS.fullmatch(cell) else bandwidth(cell, path)
