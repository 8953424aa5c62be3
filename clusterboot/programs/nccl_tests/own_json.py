"""The JSON file that nccl-tests writes with ``-J``, made into records.

Source: ``src/util.cu`` of nccl-tests 2.17.3 to 2.19: numbers as printed by ``%lf`` (also
``inf``), booleans as strings, the root as a padded string, the whole environment, one entry of
the device list a process. A run that was killed leaves the document open.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..collectives import of_program
from ..messages.texts.benchmarks import MIN_BANDWIDTH_REMEDY
from ..records import BenchTest, Layout, ParsedLog, Placement, Problem, Rank, Row, Sweep
from .json_text import load_json, number

_HALVES = ("out_of_place", "in_place")
# Beside "args", what such a document has; any other JSON is no benchmark's.
_KEYS = frozenset({"env", "nccl_version", "config", "results"})


def read_own_json(text: str) -> ParsedLog | None:
    """Read a ``-J`` file.

    Returns: its one test with every row that is whole; ``None`` for any other text.
    """
    if '"args"' not in text or (loaded := load_json(text)) is None:
        return None
    document: Mapping[str, Any] = loaded[0]
    if "args" not in document or not _KEYS & document.keys():
        return None
    return ParsedLog((_test(document, whole=loaded[1]),), began="config" in document)


def _test(document: Mapping[str, Any], *, whole: bool) -> BenchTest:
    config = _mapping(document.get("config"))
    results = [_mapping(entry) for entry in _list(document.get("results"))]
    rows = [_row(entry) for entry in results]
    bounds, average = _mapping(document.get("out_of_bounds")), _mapping(document.get("average_bus_bandwidth"))
    out_of_bounds = _integer(bounds.get("count"))
    ranks = tuple(rank for entry in _list(config.get("devices")) if (rank := _rank(_mapping(entry))))
    return BenchTest(
        collective=_collective(document.get("args")),
        layout=_layout(config, results),
        ranks=ranks,
        rank_count=_rank_count(config, ranks),
        sweep=_sweep(config),
        rows=tuple(row for row in rows if row is not None),
        avg_busbw_gb_s=number(average.get("bandwidth")),
        out_of_bounds=out_of_bounds,
        concluded=whole and out_of_bounds is not None and bool(average),
        broken_rows=sum(row is None for row in rows),
        problems=_problems(average),
    )


def _problems(average: Mapping[str, Any]) -> tuple[Problem, ...]:
    if average.get("okay") not in ("false", False):
        return ()
    text = f"average_bus_bandwidth {average.get('bandwidth')}: okay false"
    return (Problem("min-bandwidth", text, MIN_BANDWIDTH_REMEDY),)


def _layout(config: Mapping[str, Any], results: list[Mapping[str, Any]]) -> Layout | None:
    if config.get("per_iter_timing") == "true" or any("out_of_place_per_iter" in row for row in results):
        return "2.19"
    return "2.13" if config or results else None


def _collective(args: object) -> str | None:
    words = _list(args)
    return of_program(words[0]) if words and isinstance(words[0], str) else None


def _sweep(config: Mapping[str, Any]) -> Sweep | None:
    begin, end = _integer(config.get("minimum_bytes")), _integer(config.get("maximum_bytes"))
    factor, step = _integer(config.get("step_factor")), _integer(config.get("step_bytes"))
    if begin is None or end is None or (factor is None and step is None):
        return None
    return Sweep(
        begin,
        end,
        factor if factor is not None else step or 0,
        factor is not None,
        _integer(config.get("iterations")),
        _integer(config.get("warmup_iters")),
        _integer(config.get("validation")),
    )


def _rank_count(config: Mapping[str, Any], ranks: tuple[Rank, ...]) -> int | None:
    """Count the ranks of processes with several GPUs each, of which the list has only the first."""
    each = (_integer(config.get("nthreads")) or 1) * (_integer(config.get("ngpus")) or 1)
    groups = [rank.group for rank in ranks]
    return max(groups.count(group) for group in groups) * each if ranks and each > 1 else None


def _rank(entry: Mapping[str, Any]) -> Rank | None:
    rank, host = _integer(entry.get("rank")), entry.get("hostname")
    if rank is None or not isinstance(host, str):
        return None
    return Rank(
        rank,
        host,
        _integer(entry.get("device")),
        _integer(entry.get("group")),
        _integer(entry.get("pid")),
        _text(entry.get("device_hex")),
        _text(entry.get("device_info")),
    )


def _row(entry: Mapping[str, Any]) -> Row | None:
    """Read one result; ``None`` for one that was cut off before its end."""
    size, count, dtype = _integer(entry.get("size")), _integer(entry.get("count")), _text(entry.get("type"))
    if size is None or count is None or dtype is None or "in_place" not in entry:
        return None
    first, second = (_placement(entry.get(half)) for half in _HALVES)
    # "null" stands for a half that was not run; anything else that cannot be read was cut off.
    cut = any(
        entry.get(half) is not None and not found
        for half, found in zip(_HALVES, (first, second), strict=True)
    )
    if cut or (first is None and second is None):
        return None
    redop, root = _text(entry.get("redop")), entry.get("root")
    return Row(size, count, dtype, None if redop == "none" else redop, _integer(root), first, second)


def _placement(entry: object) -> Placement | None:
    if not isinstance(entry, Mapping) or "nwrong" not in entry:
        return None
    wrong = number(entry.get("nwrong"))
    time = entry.get("time", entry.get("cpu_time"))
    return Placement(
        number(time),
        number(entry.get("alg_bw")),
        number(entry.get("bus_bw")),
        wrong=None if wrong is None else int(wrong),
    )


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _text(value: object) -> str | None:
    return value.strip() or None if isinstance(value, str) else None


def _integer(value: object) -> int | None:
    try:
        return int(value) if isinstance(value, (int, str)) and not isinstance(value, bool) else None
    except ValueError:
        return None
