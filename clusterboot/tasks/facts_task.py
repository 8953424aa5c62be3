"""The command that tabulates what nodes are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from rich.console import Console

from clusterboot.report import ending as report

from .command import Call, Outcome, command
from .options import SHARED, context

if TYPE_CHECKING:
    from .documents import FactsJson


@command("facts", shared=SHARED)
def facts_task(call: Call, shared: Mapping[str, Any]) -> Outcome:
    """Collect and tabulate what the nodes are, every difference between them marked."""
    from clusterboot.commands.facts import inventory
    from clusterboot.report.nodes import show_nodes

    result = inventory(context(call, shared))

    def show(to: Console) -> None:
        if result.facts:
            show_nodes(to, result.facts)
        report.show_failures(to, result.hosts)

    more: FactsJson = {"facts": result.facts}
    return Outcome(result.exit_code, result.hosts, more, show)
