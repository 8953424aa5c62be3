"""What the nodes are: each fact once, and who differs in it."""

from __future__ import annotations

from ..saved import SavedRun
from .html import Child, Html, el, table


def nodes(run: SavedRun) -> Html | None:
    """Show the facts of a run's nodes, every difference marked."""
    if not run.facts:
        return None
    rows: list[list[Child]] = []
    for line in sorted(run.facts, key=lambda line: not line.odd):
        marked = [
            el("div", el("strong", f"▲ {odd.hosts}"), f": {odd.value}", class_="odd") for odd in line.odd
        ]
        usual = line.usual if line.clear else f"{line.usual} (as many have another)"
        rows.append([line.fact, usual, marked])
    count = sum(bool(line.odd) for line in run.facts)
    told = f"{count} fact{'s differ' if count != 1 else ' differs'}" if count else "no fact differs"
    return el(
        "section",
        el("h2", "Nodes"),
        el("p", f"Of {len(run.facts)} facts that were compared, {told} between the nodes."),
        table(("fact", "most nodes", "differs on"), rows, caption="Facts of the nodes, differences first"),
        id="nodes",
    )
