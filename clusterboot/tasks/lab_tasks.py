"""The tasks on a lab: a virtual cluster on this machine.

The lab's own code is imported when one of them runs, as nothing else needs it.
"""

from __future__ import annotations

from rich.console import Console
from rich.text import Text

from clusterboot.errors import UsageError
from clusterboot.report.about import About
from clusterboot.report.ending import say, show_lines

from .cli.command import Call, Outcome, command
from .cli.options import next_command, whole

_NAME = "the lab's name (default lab); several can run side by side"


@command(
    "lab.up",
    nodes="how many compute nodes (default 8)",
    rate="each node's link rate, as tc writes it (default 1gbit)",
    shared_home="one home directory for all nodes",
    user="who logs in to the nodes: ubuntu or root (default ubuntu)",
    slurm="a real Slurm has the nodes, and their sshd refuses the user",
    gpus="with --slurm, GPUs a node that are none, for Slurm to give away (default 0)",
    name=_NAME,
)
def up(  # noqa: PLR0917 - each is an option of the command line
    call: Call,
    nodes: str = "8",
    rate: str = "1gbit",
    shared_home: bool = False,
    user: str = "ubuntu",
    slurm: bool = False,
    gpus: str = "0",
    name: str = "lab",
) -> Outcome:
    """Start a virtual cluster: a head and N nodes, each with its own real sshd."""
    from clusterboot import lab

    count = whole("--nodes", nodes, 1)
    made = lab.up(name, count or 8, rate, shared_home, user, slurm=slurm, gpus=whole("--gpus", gpus, 0) or 0)
    path = lab.cluster_file(made.name)
    call.cluster = made.name

    def show(to: Console, _: About) -> None:
        word = "already runs" if made.already_running else "is up"
        line = f"Lab '{made.name}' {word}: {len(made.nodes)} nodes behind a head, {rate} links"
        show_lines(to, [line, f"Cluster file: {path}"])

    more = {"cluster_file": str(path), "nodes": len(made.nodes), "already_running": made.already_running}
    which = "lab" if made.name == "lab" else str(path)
    step = lab.login_command(made.name) if slurm else next_command("bootstrap", which)
    return Outcome(more=more, next_step=step, show=show)


@command("lab.down", name=_NAME)
def down(call: Call, name: str = "lab") -> Outcome:
    """Stop a lab and remove all of it."""
    from clusterboot import lab

    call.cluster = name
    was = lab.down(name)
    line = f"Lab {name} is gone" if was else f"There is no lab {name}"
    return Outcome(more={"removed": was}, show=lambda to, _: to.print(line))


@command("lab.status", name="only the lab of this name")
def status(call: Call, name: str = "") -> Outcome:
    """Show the labs that run on this machine, and the faults that were made in them."""
    from rich.table import Table

    from clusterboot import lab

    call.cluster = name or None
    found = lab.status(name or None)

    def show(to: Console, _: About) -> None:
        if not found:
            show_lines(to, ["No lab runs here"])
        for each in found:
            show_lines(to, [f"Lab {each.name} is {each.state}; cluster file {each.cluster_file}"])
            table = Table("node", "address", "state", "faults", box=None, pad_edge=False)
            for node in each.machines:
                table.add_row(node.name, node.address, "up" if node.alive else "dead", ", ".join(node.faults))
            to.print(table)

    return Outcome(more={"labs": found}, next_step=None if found else next_command("lab.up"), show=show)


@command(
    "lab.break",
    node="the node, head, or switch",
    fault="what to do to it; help lists them",
    name=_NAME,
)
def break_node(call: Call, node: str, fault: str, name: str = "lab") -> Outcome:
    """Inject a fault into a node of a lab."""
    from clusterboot import lab

    call.cluster = name
    if fault == "help":
        return Outcome(show=_show_faults, more={"faults": list(lab.FAULTS)})
    lab.break_node(name, node, fault)
    mending = next_command(f"lab.mend {node}" + ("" if name == "lab" else f" --name {name}"))
    return Outcome(next_step=mending, show=lambda to, _: show_lines(to, [f"{node}: fault {fault} made"]))


def _show_faults(to: Console, _: About) -> None:
    from rich.table import Table

    from clusterboot import lab

    table = Table("fault", "of", "what it does", box=None, pad_edge=False)
    for fault, kind in lab.FAULTS.items():
        of = "switch" if kind.on_switch else "node"
        if to.is_terminal:
            table.add_row(fault + kind.form, of, kind.summary)
        else:
            say(to, Text(f"{fault + kind.form:<20} {of:<6} {kind.summary}"))
    if table.rows:
        to.print(table)


@command("lab.mend", node="the node, head, or switch", name=_NAME)
def mend(call: Call, node: str, name: str = "lab") -> Outcome:
    """Take back every fault that was injected into a node of a lab."""
    from clusterboot import lab

    call.cluster = name
    if not node:
        raise UsageError("name the node to mend")
    undone = lab.mend(name, node)
    told = ", ".join(f"fault {fault.text} removed" for fault in undone) if undone else "it has no fault"
    return Outcome(show=lambda to, _: to.print(Text(f"{node}: {told}")))
