"""The matrix of a link map: a heat map for the eye, and the slowest pairs as a table for all."""

from __future__ import annotations

import base64
import zlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from clusterboot.linkmap.inference.picture import draw
from clusterboot.linkmap.pair_matrix import PairMatrix

from ..saved import SavedRun, slowest_pairs
from .html import Html, data, el, folded, join, number, section, table

_LISTED = 20
# Up to so many nodes the whole matrix is a table that people can read.
_TABLE_NODES = 32
# The ratio of neighbouring codes: what is read is within half of it, 0.05 %.
STEP = 0.001
_NOT_MEASURED, _DEAD, _MOST = 65535, 65534, 65533

Cells = NDArray[np.float64]


def link_matrix(run: SavedRun) -> Html | None:
    """Show a run's matrix."""
    if run.matrix is None:
        return None
    tables = _pairs_table(run, run.matrix), _whole_table(run.matrix)
    return section("Every pair", map_of("matrix", run), *tables, id_="map")


def common_scale(runs: Sequence[SavedRun]) -> dict[str, float]:
    """Give the far end of the colours for each view that any of several runs has: the best of their own."""
    scale: dict[str, float] = {}
    for view in (each for run in runs for each in _views(run)):
        best = min if view["low"] else max
        scale[view["label"]] = best(view["full"], scale.get(view["label"], view["full"]))
    return scale


def map_of(name: str, run: SavedRun, scale: Mapping[str, float] | None = None) -> Html:
    """Place a run's heat map, with the nodes and links that its findings name marked.

    Parameters: ``scale`` has the far end of the colours for views that are seen beside others.
    """
    nodes = run.matrix.nodes if run.matrix is not None else ()
    findings = run.inference.findings if run.inference is not None else ()
    at = {node: index for index, node in enumerate(nodes)}
    named = {host for found in findings for host in found.hosts}
    # One cell of a million is easily missed.
    links = []
    for finding in findings:
        if finding.kind == "link" and len(finding.hosts) == 2 and at.keys() >= set(finding.hosts):
            a, b = (at[host] for host in finding.hosts)
            links += [[a, b]] if finding.direction in ("out", "both") else []
            links += [[b, a]] if finding.direction in ("in", "both") else []
    views = [{**view, "full": (scale or {}).get(view["label"], view["full"])} for view in _views(run)]
    return heat_map(name, nodes, views, [index for node, index in at.items() if node in named], links)


def heat_map(
    name: str,
    nodes: Sequence[str],
    views: Sequence[dict[str, Any]],
    bad: Sequence[int] = (),
    links: Sequence[Sequence[int]] = (),
) -> Html:
    """Place a heat map: its nodes, its views, and the indices of the nodes and cells to mark."""
    described = {"nodes": list(nodes), "views": list(views), "bad": list(bad), "links": list(links)}
    return join(el("div", class_="heat", data_heat=name), data(name, described))


def _views(run: SavedRun) -> list[dict[str, Any]]:
    """Describe what the heat map can show of a run, the most telling first.

    A view has its cells, packed; ``full``, the value of the far end of its colours, which is what is
    expected or the median, so that no single pair moves a colour; and whether
    ``low`` values are the good ones.
    """
    if run.matrix is None:
        return []
    found = [_view("bandwidth", "GB/s", run.matrix.bandwidth_gb_s)]
    picture = draw(run.matrix)
    if len(picture.tiers) > 1:
        # Where a fabric has tiers, bandwidth alone would paint all of the slower one as bad.
        share: Cells = np.exp(np.minimum(picture.residuals, 1.0))
        share[run.matrix.bandwidth_gb_s == 0] = 0.0
        found.insert(0, {**_view("share of the expected", "%", share * 100), "full": 100.0})
    if run.both_gb_s is not None and np.isfinite(run.both_gb_s).any():
        found.append(_view("bandwidth, both directions at once", "GB/s", run.both_gb_s))
    latency = run.matrix.latency_us
    if latency is not None and np.isfinite(latency).any():
        found.append(_view("latency", "µs", latency, low=True))
    return found


def _view(label: str, unit: str, cells: Cells, *, low: bool = False) -> dict[str, Any]:
    known = cells[np.isfinite(cells) & (cells > 0)]
    full = float(np.median(known)) if known.size else 1.0
    return {"label": label, "unit": unit, "full": full, "low": low, **packed(cells)}


def packed(cells: Cells) -> dict[str, Any]:
    """Pack a matrix for the page's script: a million numbers as codes of two bytes.

    Parameters: cells of any unit at or above 0, NaN for not measured, 0 for dead.
    Returns: ``floor``, the value of code 0; ``step``: code c is ``floor * exp(c * step)``; ``codes``,
    deflated and in base64: all low bytes, row by row, then all high bytes. Code 65534 is 0, 65535
    not measured. Values are kept to 0.05 %; those above ``exp(65)`` times the lowest are cut to that.
    """
    known = cells[np.isfinite(cells) & (cells > 0)]
    low = float(known.min()) if known.size else 1.0
    with np.errstate(divide="ignore", invalid="ignore"):
        codes = np.rint(np.log(cells / low) / STEP)
    codes = np.where(np.isfinite(codes), np.clip(codes, 0, _MOST), _NOT_MEASURED)
    codes[cells == 0] = _DEAD
    words = codes.astype("<u2").reshape(-1)
    planes = np.concatenate([words & 0xFF, words >> 8]).astype(np.uint8)
    content = base64.b64encode(zlib.compress(planes.tobytes(), 6)).decode("ascii")
    return {"floor": low, "step": STEP, "codes": content}


def _pairs_table(run: SavedRun, matrix: PairMatrix) -> Html | None:
    slowest = slowest_pairs(run, _LISTED)
    if not slowest:
        return None
    at = {node: index for index, node in enumerate(matrix.nodes)}
    rows = [
        [sender, receiver, _rate(value), _rate(float(matrix.bandwidth_gb_s[at[receiver], at[sender]]))]
        for sender, receiver, value in slowest
    ]
    told = f"The {len(rows)} slowest pairs"
    return folded(told, table(("from", "to", "GB/s", "back, GB/s"), rows, caption=told, numbers=2))


def _rate(value: float) -> str:
    return "dead" if value == 0 else "not measured" if np.isnan(value) else number(value)


def _whole_table(matrix: PairMatrix) -> Html | None:
    if len(matrix.nodes) > _TABLE_NODES:
        return None
    rows = [
        [node, *("" if at == to else _rate(cell) for to, cell in enumerate(row))]
        for at, (node, row) in enumerate(zip(matrix.nodes, matrix.bandwidth_gb_s.tolist(), strict=True))
    ]
    heads, caption = ("from \\ to", *matrix.nodes), "Bandwidth in GB/s; a row sends, a column receives"
    return folded("The matrix as a table", table(heads, rows, caption=caption, numbers=len(matrix.nodes)))
