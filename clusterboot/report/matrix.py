"""A matrix of pairs for people: what is wrong first, then a heat map that fits a terminal."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from rich.cells import cell_len, set_cell_size
from rich.console import Console
from rich.text import Text

from clusterboot.folding import fold
from clusterboot.headline import Headline
from clusterboot.linkmap.inference.picture import draw
from clusterboot.linkmap.pair_matrix import Finding, Inference, PairMatrix
from clusterboot.printable import one_line

from .ending import say, show_headline

# Two characters a cell and 15 for a row's name: 79 columns.
_MOST_CELLS = 32
_NAME = 10
_LEGEND = "row sends, column receives; X dead, . not measured"
_DIRECTIONS = {"out": "sending", "in": "receiving", "both": "both directions"}
_COLOURS = ((0.2, "white on red3"), (0.5, "black on dark_orange"), (0.8, "black on yellow3"))
_FAST = "black on green3"

Cells = NDArray[np.float64]


def show_matrix(
    to: Console,
    title: str,
    matrix: PairMatrix,
    inference: Inference,
    line: Headline,
) -> None:
    """Print what a matrix came to, its findings, what else to know, and the heat map."""
    say(to, Text(one_line(title, 300), style="bold"))
    show_headline(to, line)
    for finding in inference.findings:
        say(to, _finding(finding))
    for note in inference.notes:
        say(to, Text(f"  note: {one_line(note, 300)}", style="dim"))
    for row in heat_map(matrix):
        to.print(row, soft_wrap=True)


def heat_map(matrix: PairMatrix) -> list[Text]:
    """Draw the matrix, a row a sender, a column a receiver, in at most 80 columns.

    A cell is the bandwidth in tenths of what is expected of its pair, which is what most pairs of
    its tier give: no single one moves a colour. Beyond 32 nodes a cell stands for several
    pairs, and shows the worst of them.
    """
    expected = np.exp(draw(matrix).usual)
    with np.errstate(invalid="ignore"):
        share = matrix.bandwidth_gb_s / expected
    step = -(-len(matrix.nodes) // _MOST_CELLS)
    cells = _folded(share, step)
    heads = _heads(len(cells))
    lines = [Text(f"{'':15}{line}", style="dim") for line in heads]
    bare = _without_domain(matrix.nodes)
    for at, row in enumerate(cells):
        line = Text(f"{at + 1:>4} {_name(bare[at * step : (at + 1) * step])}")
        for to, value in enumerate(row):
            line.append_text(_cell(float(value), is_self=at == to and step == 1))
        lines.append(line)
    if step > 1:
        lines.append(
            Text(f"a cell is the worst of the pairs of {step} nodes with {step} others", style="dim")
        )
    lines.append(Text(_LEGEND, style="dim"))
    lines.append(Text(f"0-9 are tenths of what is expected{_range(expected)}", style="dim"))
    return lines


def _range(expected: Cells) -> str:
    """Say what is expected: one figure, or the least and the most where there are tiers."""
    known = expected[np.isfinite(expected)]
    if not known.size:
        return ""
    least, most = f"{known.min():.3g}", f"{known.max():.3g}"
    return f", {least}{f' to {most}' if least != most else ''} GB/s"


def _finding(finding: Finding) -> Text:
    what = f"{finding.kind} {finding.where}" if finding.where else finding.kind
    hosts = " or ".join(finding.hosts) if finding.next_pairs else fold(finding.hosts)
    if finding.kind == "link":
        sign = {"out": " to ", "in": " from ", "both": " with "}[finding.direction]
        hosts = sign.join(finding.hosts)
    # How slow it is stands in the evidence, except where nothing came through.
    dead = "dead; " if finding.fraction_of_expected == 0 else ""
    style = "yellow" if finding.next_pairs or finding.fraction_of_expected is None else "red"
    line = Text.assemble(
        "  ",
        (what, style),
        " ",
        (one_line(hosts, 200), "bold"),
        f", {_DIRECTIONS[finding.direction]}: {dead}",
    )
    line.append(one_line(finding.evidence, 400))
    if finding.next_pairs:
        pairs = one_line(", ".join(" with ".join(pair) for pair in finding.next_pairs), 200)
        # What was never measured has first to be brought to where it can be.
        unsure = finding.fraction_of_expected is not None
        line.append(f"; {f'not certain: measure {pairs}' if unsure else 'to be measured again'}", style="dim")
    return line


def _folded(cells: Cells, step: int) -> Cells:
    """Put ``step`` rows and columns into one cell each: the worst of its pairs."""
    if step == 1:
        return cells
    size = -(-len(cells) // step)
    padded = np.full((size * step, size * step), np.nan)
    padded[: len(cells), : len(cells)] = cells
    parts = padded.reshape(size, step, size, step)
    slowest = np.where(np.isnan(parts), np.inf, parts).min(axis=(1, 3))
    return np.where(np.isinf(slowest), np.nan, slowest)


def _heads(columns: int) -> list[str]:
    """Number the columns: tens above, ones below."""
    ones = "".join(f" {(at + 1) % 10}" for at in range(columns))
    tens = "".join(f" {(at + 1) // 10 or ' '}" for at in range(columns))
    return [tens, ones] if columns >= 10 else [ones]


def _without_domain(names: Sequence[str]) -> list[str]:
    """Leave out the domain that all names share: the room is for what tells them apart."""
    _, dot, domain = names[0].partition(".")
    shared = dot and all(name.endswith(dot + domain) and len(name) > len(domain) + 1 for name in names)
    return [name.removesuffix(dot + domain) for name in names] if shared else list(names)


def _name(names: Sequence[str]) -> str:
    """Name a row in its few columns: names differ at their ends, so the middle goes first."""
    folded = one_line(fold(names), 300)
    if len(names) == 1 or cell_len(folded) <= _NAME:
        return _cut(folded, _NAME)
    more = f"+{len(names) - 1}"
    return set_cell_size(_cut(one_line(names[0], 300), _NAME - len(more)).rstrip() + more, _NAME)


def _cut(name: str, columns: int) -> str:
    # Some characters are two columns wide.
    if cell_len(name) > columns:
        kept = (columns - 1) * 2 // 3
        end = name[-kept:]
        while cell_len(end) > kept:
            end = end[1:]
        name = f"{set_cell_size(name, columns - 1 - cell_len(end)).rstrip()}…{end}"
    return set_cell_size(name, columns)


def _cell(share: float, *, is_self: bool) -> Text:
    if is_self:
        return Text("  ")
    if math.isnan(share):
        return Text(" .", style="dim")
    if share == 0:
        return Text(" X", style="bold white on red")
    style = next((style for limit, style in _COLOURS if share < limit), _FAST)
    return Text(f" {min(9, int(share * 10))}", style=style)
