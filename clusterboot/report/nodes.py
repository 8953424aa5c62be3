"""What the nodes are, for people: a table with equal ones in one row, and each difference."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from rich.console import Console
from rich.table import Table
from rich.text import Text

from clusterboot.facts.differences import differences
from clusterboot.facts.node import NodeFacts
from clusterboot.folding import by_value, fold
from clusterboot.inventory.cluster import MpiOptions
from clusterboot.mpi.launchers import LAUNCHERS
from clusterboot.printable import printable

from .ending import say


def show_nodes(console: Console, facts: Mapping[str, NodeFacts]) -> None:
    """Print what the nodes are, equal ones in one row, then every difference between them."""
    found = differences(facts)
    odd = {(host.host, difference.fact) for difference in found for host in difference.odd}
    rows = {
        name: tuple((column(node), (name, fact) in odd) for fact, column in _COLUMNS.items())
        for name, node in facts.items()
    }
    table = Table("nodes", *_COLUMNS, box=None, pad_edge=False, header_style="bold")
    for cells, names in by_value(rows):
        table.add_row(Text(fold(names), style="bold"), *(_cell(value, odd=is_odd) for value, is_odd in cells))
    console.print(table)
    for difference in found:
        values = {host.host: host.value for host in difference.odd}
        told = "; ".join(f"{fold(names)} {printable(value)}" for value, names in by_value(values))
        usual = printable(difference.usual)
        say(console, Text(f"* {difference.fact}: {told} (others {usual})", style="yellow"))
    show_clocks(console, facts)


def mpi_to_install(facts: Mapping[str, NodeFacts], options: MpiOptions) -> str | None:
    """Say what to do before anything can be launched where nodes have no MPI.

    Parameters: the facts of the usable nodes by name; which MPI the cluster file asks for.
    Returns: ``None`` where each node has an MPI.
    """
    lacking = [name for name, node in facts.items() if not node.mpi]
    if not lacking:
        return None
    where = fold(lacking)
    problem = next((facts[name].mpi_problem for name in lacking if facts[name].mpi_problem), None)
    if problem:
        return f"correct clusterboot.mpi.module for {where} ({printable(problem)})"
    if options.prefix:
        return f"install the MPI of clusterboot.mpi.prefix, {options.prefix}, on {where}, or correct it"
    first = {name: node.mpi[0] for name, node in facts.items() if node.mpi}
    having = by_value({name: f"{mpi.kind} {mpi.version}" for name, mpi in first.items()})
    if having:
        return f"install {having[0][0]} on {where}, as on {fold(having[0][1])}"
    system = facts[lacking[0]].os
    packages = [each for launcher in LAUNCHERS.values() for each in launcher.packages]
    command = next((each for names, each in packages if system.startswith(names)), None)
    *others, last = [each.name for each in LAUNCHERS.values()]
    how = f" ({command})" if command else f" ({', '.join(others)} or {last}, the same on each)"
    return f"install an MPI on {where}{how}, or name its folder as clusterboot.mpi.prefix in the cluster file"


def _cell(value: str, *, odd: bool) -> Text:
    return Text(f"{value} *", style="yellow") if odd else Text(value)


def show_clocks(console: Console, facts: Mapping[str, NodeFacts]) -> None:
    """Name the nodes whose clock is surely more than a second off the operator's."""
    for name, node in facts.items():
        skew_s, error_s = node.clock_skew_s, node.clock_error_s or 0.0
        if skew_s is not None and abs(skew_s) - error_s > _SKEW_S:
            console.print(Text(f"* clock: {name} is {skew_s:+.1f} s off this machine's", style="yellow"))


# Certificates and logs stop making sense beyond it; NTP keeps far below.
_SKEW_S = 1.0


def _gpus(node: NodeFacts) -> str:
    counts = by_value({str(gpu.index): printable(gpu.name) for gpu in node.gpu.gpus})
    return ", ".join(f"{len(indices)} x {name}" for name, indices in counts) or "-"


# The facts of the table by the names that differences have for them.
_COLUMNS: Mapping[str, Callable[[NodeFacts], str]] = {
    "CPUs": lambda node: str(node.cpus),
    "memory": lambda node: f"{node.memory_mib / 1024:.0f} GiB",
    "GPUs": _gpus,
    "MPI": lambda node: f"{node.mpi[0].kind} {node.mpi[0].version}" if node.mpi else "none",
    "os": lambda node: printable(node.os),
}
