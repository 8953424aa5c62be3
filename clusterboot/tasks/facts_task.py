"""The command that tabulates what nodes are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from rich.console import Console

from clusterboot.report import ending as report

from .cli.command import Call, Outcome, command
from .cli.options import SHARED, context, writer

if TYPE_CHECKING:
    from clusterboot.report.about import About

    from .documents import FactsJson


@command("facts", shared=SHARED)
def facts_task(call: Call, shared: Mapping[str, Any]) -> Outcome:
    """Collect and tabulate what the nodes are, every difference between them marked."""
    from clusterboot.commands.facts import inventory
    from clusterboot.report.next_steps import mend_hosts
    from clusterboot.report.nodes import show_nodes

    result = inventory(context(call, shared))

    def show(to: Console, about: About) -> None:
        if result.facts:
            show_nodes(to, result.facts)
        report.show_failures(to, result.hosts)
        if about.headline.state != "ok":
            report.show_headline(to, about.headline)

    more: FactsJson = {"facts": result.facts}
    step = mend_hosts(result.hosts, "facts", writer(shared))
    return Outcome(result.exit_code, result.hosts, more, next_step=step, show=show)
