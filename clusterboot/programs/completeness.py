"""Whether a test printed everything that it set out to print."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

from .bench_options import BenchOptions, effective_size, nominal_sizes
from .collectives import COLLECTIVES, DTYPE_BYTES
from .records import BenchTest, Row, Sweep

# What one series of rows has in common.
Part = tuple[str, "str | None", "int | None"]


def what_is_missing(test: BenchTest, options: BenchOptions | None = None) -> str | None:
    """Say in words what a test lacks.

    Parameters: the test; the options it was started with, where they are known, else its own
    line of parameters counts.
    Returns: ``None`` for a complete test: a footer, and for every type, op, root and cycle
    one row at each size of the sweep.
    """
    sweep = _sweep(test, options)
    if sweep is None:
        return "its first lines are missing: what it was to run is not known"
    sizes = nominal_sizes(sweep)
    if not sizes:
        return "its sizes never get from the smallest to the largest"
    parts = _series(test.rows)
    lacks = [_lack_of_series(test, series, sizes) for series in parts.values()]
    lacks.append(_lack_of_parts(parts))
    if not test.rows:
        lacks.append(f"none of {len(sizes)} rows is there")
    if test.broken_rows:
        lacks.append(f"{test.broken_rows} rows are broken off")
    if not test.concluded:
        lacks.append("its footer is missing")
    return next((lack for lack in lacks if lack), None)


def ranks_of(test: BenchTest) -> int:
    """Count the ranks of one communicator: of the largest group, where a test has several."""
    if test.rank_count is not None:
        return test.rank_count
    groups = [rank.group for rank in test.ranks]
    return max((groups.count(group) for group in set(groups)), default=0)


def _sweep(test: BenchTest, options: BenchOptions | None) -> Sweep | None:
    sweep = options.sweep if options else test.sweep
    if sweep is None or test.reduced_to_bytes is None:
        return sweep
    end = min(sweep.end_bytes, test.reduced_to_bytes)
    return replace(sweep, end_bytes=end, begin_bytes=min(sweep.begin_bytes, end))


def _series(rows: tuple[Row, ...]) -> dict[Part, list[Row]]:
    """Part the rows by type, op and root: each part has all its cycles."""
    parts: dict[Part, list[Row]] = {}
    for row in rows:
        parts.setdefault((row.dtype, row.redop, row.root), []).append(row)
    return parts


def _lack_of_parts(parts: dict[Part, list[Row]]) -> str | None:
    """Say which type, op and root is not there though each of them is: a run goes through all combinations.

    Source: the loops of ``RunTest`` in nccl-tests' ``src/*.cu``.
    """
    columns = [list(dict.fromkeys(column)) for column in zip(*parts, strict=True)]
    lost = next((part for part in product(*columns) if part not in parts), None) if columns else None
    if lost is not None:
        return "no row is there of " + " ".join(str(word) for word in lost if word is not None)
    roots = {root for _, _, root in parts if root is not None and root >= 0}
    if len(roots) > 1 and roots != set(range(len(roots))):
        return "some roots have no rows"
    counts = {len(series) for series in parts.values()}
    return "some types, ops or roots have more rows than others" if len(counts) > 1 else None


def _lack_of_series(test: BenchTest, series: list[Row], sizes: tuple[int, ...]) -> str | None:
    if len(series) % len(sizes):
        return f"{len(series) % len(sizes)} of {len(sizes)} rows are there"
    for at, row in enumerate(series):
        allowed = _allowed_sizes(test, row, sizes[at % len(sizes)])
        if allowed is not None and row.size_bytes not in allowed:
            return f"a row of {row.size_bytes} bytes stands where one of {max(allowed)} bytes belongs"
    return None


def _allowed_sizes(test: BenchTest, row: Row, nominal_bytes: int) -> set[int] | None:
    """Give the sizes that a row may show for a nominal one; ``None`` where the rule is not known.

    nccl-tests rounds a rank's share to elements, then to 4 of them (2.13.10), since 2.13.11 to
    16 bytes.
    """
    collective = COLLECTIVES.get(test.collective or "")
    ranks = ranks_of(test)
    if collective is None or not collective.exact_sizes or (collective.split and not ranks):
        return None
    if row.dtype not in DTYPE_BYTES:
        return None
    return {nominal_bytes} | {
        effective_size(nominal_bytes, collective.name, max(1, ranks), row.dtype, share_bytes=share)
        for share in (1, 16, 4 * DTYPE_BYTES[row.dtype])
    }
