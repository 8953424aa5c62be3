"""The matrix of a link map: a heat map for the eye, and the slowest pairs as a table for all."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from clusterboot.linkmap.inference.picture import draw
from clusterboot.linkmap.pair_matrix import PairMatrix

from ..saved import SavedRun, slowest_pairs
from .html import Html, data, el, join, table
from .packed import Cells, packed
from .phrases import number

_LISTED = 20
# Up to so many nodes the whole matrix is a table that people can read.
_TABLE_NODES = 32


def link_matrix(run: SavedRun) -> Html | None:
    """Show a run's matrix."""
    if run.matrix is None:
        return None
    return el(
        "section",
        el("h2", "Every pair"),
        heat_map("matrix", run.matrix.nodes, views(run), flagged(run), bad_links(run)),
        _pairs_table(run),
        _whole_table(run.matrix),
        id="map",
    )


def heat_map(
    name: str,
    nodes: Sequence[str],
    shown: Sequence[dict[str, Any]],
    bad: Sequence[int] = (),
    links: Sequence[Sequence[int]] = (),
) -> Html:
    """Place a heat map: its nodes, its views, and the indices of the nodes and cells to mark."""
    described = {"nodes": list(nodes), "views": list(shown), "bad": list(bad), "links": list(links)}
    return join(el("div", class_="heat", data_heat=name), data(name, described))


def bad_links(run: SavedRun) -> list[list[int]]:
    """List the cells that findings on links name: one cell of a million is easily missed."""
    if run.matrix is None or run.inference is None:
        return []
    at = {node: index for index, node in enumerate(run.matrix.nodes)}
    found = []
    for finding in run.inference.findings:
        if finding.kind != "link" or len(finding.hosts) != 2 or not all(host in at for host in finding.hosts):
            continue
        a, b = (at[host] for host in finding.hosts)
        found += [[a, b]] if finding.direction in ("out", "both") else []
        found += [[b, a]] if finding.direction in ("in", "both") else []
    return found


def flagged(run: SavedRun) -> list[int]:
    """List the indices of the nodes that findings name."""
    if run.matrix is None or run.inference is None:
        return []
    named = {host for found in run.inference.findings for host in found.hosts}
    return [at for at, node in enumerate(run.matrix.nodes) if node in named]


def views(run: SavedRun) -> list[dict[str, Any]]:
    """Describe what the heat map can show of a run, the most telling first.

    A view has its cells, packed; ``full``, the value of the far end of its colours, which is what is
    expected or the median, so that no single pair moves a colour; and whether
    ``low`` values are the good ones.
    """
    if run.matrix is None:
        return []
    cells = run.matrix.bandwidth_gbps
    found = [_view("bandwidth", "GB/s", cells)]
    share = _of_expected(run.matrix)
    if share is not None:
        # Where a fabric has tiers, bandwidth alone would paint all of the slower one as bad.
        found.insert(0, {**_view("share of the expected", "%", share * 100), "full": 100.0})
    if run.both_gbps is not None and np.isfinite(run.both_gbps).any():
        found.append(_view("bandwidth, both directions at once", "GB/s", run.both_gbps))
    latency = run.matrix.latency_us
    if latency is not None and np.isfinite(latency).any():
        found.append(_view("latency", "µs", latency, low=True))
    return found


def _view(label: str, unit: str, cells: Cells, *, low: bool = False) -> dict[str, Any]:
    known = cells[np.isfinite(cells) & (cells > 0)]
    full = float(np.median(known)) if known.size else 1.0
    return {"label": label, "unit": unit, "full": full, "low": low, **packed(cells)}


def _of_expected(matrix: PairMatrix) -> Cells | None:
    """Give measured over expected, where the fabric has tiers; ``None`` where it is of one kind."""
    picture = draw(matrix)
    if len(picture.tiers) < 2:
        return None
    share: Cells = np.exp(np.minimum(picture.residuals, 1.0))
    share[matrix.bandwidth_gbps == 0] = 0.0
    return share


def _pairs_table(run: SavedRun) -> Html | None:
    slowest = slowest_pairs(run, _LISTED)
    if run.matrix is None or not slowest:
        return None
    at = {node: index for index, node in enumerate(run.matrix.nodes)}
    cells = run.matrix.bandwidth_gbps
    rows = []
    for sender, receiver, value in slowest:
        back = float(cells[at[receiver], at[sender]])
        rows.append([sender, receiver, _rate(value), "not measured" if np.isnan(back) else _rate(back)])
    told = f"The {len(rows)} slowest pairs"
    return el(
        "details",
        el("summary", told),
        table(("from", "to", "GB/s", "back, GB/s"), rows, caption=told, numbers=2),
    )


def _rate(value: float) -> str:
    return "dead" if value == 0 else number(value)


def _whole_table(matrix: PairMatrix) -> Html | None:
    if len(matrix.nodes) > _TABLE_NODES:
        return None
    rows = [
        [
            node,
            *(
                "" if at == to else "not measured" if np.isnan(cell) else _rate(cell)
                for to, cell in enumerate(row)
            ),
        ]
        for at, (node, row) in enumerate(zip(matrix.nodes, matrix.bandwidth_gbps.tolist(), strict=True))
    ]
    return el(
        "details",
        el("summary", "The matrix as a table"),
        table(
            ("from \\ to", *matrix.nodes),
            rows,
            caption="Bandwidth in GB/s; a row sends, a column receives",
            numbers=len(matrix.nodes),
        ),
    )
