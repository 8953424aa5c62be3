"""What a lab is: the records that describe it, and how they are kept in a file."""

from __future__ import annotations

import json
import secrets
from dataclasses import asdict, dataclass, replace
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from typing import Any, Literal

HEAD = "head"
SWITCH = "switch"
USER = "ubuntu"
UID = 59_000
ROOT = "root"
# The partition that has all nodes of a lab with Slurm.
PARTITION = "all"
MAX_NODES = 1000


@dataclass(frozen=True)
class Process:
    """A process that cannot be mistaken for a later one with its number.

    ``start_ticks`` is its start in clock ticks since boot. Source: proc_pid_stat(5), field 22.
    """

    pid: int
    start_ticks: int


@dataclass(frozen=True)
class LabNode:
    """One machine of a lab. ``init`` is its process 1, as the outer machine numbers it."""

    name: str
    address: str
    init: Process | None = None


@dataclass(frozen=True)
class Fault:
    """A fault that was made and not yet mended.

    ``other`` is the second node of a pair, or the further ones of a group with commas between;
    ``held`` the processes that undoing it has to free or to end; ``amount`` how much of it there is,
    in its kind's unit, where that was said.
    """

    node: str
    kind: str
    other: str | None = None
    held: tuple[Process, ...] = ()
    amount: float | None = None

    @property
    def nodes(self) -> tuple[str, ...]:
        """All that the fault is of: one node, a pair, or a group."""
        return (self.node, *(self.other.split(",") if self.other else ()))

    @property
    def text(self) -> str:
        """The fault as ``break_node`` takes it: ``frozen``, ``slow-pair:n3``, ``lossy:0.1``."""
        amount = None if self.amount is None else f"{self.amount:g}"
        return ":".join(filter(None, (self.kind, self.other, amount)))


@dataclass(frozen=True)
class Lab:
    """A virtual cluster on this machine.

    ``folder`` has all its files; ``index`` chooses its subnets; ``rate_bps`` is the rate of each
    node's link in bits a second; ``user`` is who logs in to the nodes, ``ubuntu`` or ``root``;
    ``link`` is this machine's end of the link to the head, with a random name, since labs in two root
    directories can share one network; ``already_running`` is true where ``up`` found it as asked for;
    ``slurm`` says that Slurm has the nodes, with ``gpus`` GPUs each that are none.
    """

    name: str
    folder: Path
    index: int
    rate_bps: int
    shared_home: bool
    head: LabNode
    nodes: tuple[LabNode, ...]
    switch: Process | None = None
    faults: tuple[Fault, ...] = ()
    already_running: bool = False
    user: str = USER
    link: str = ""
    slurm: bool = False
    gpus: int = 0

    @property
    def uid(self) -> int:
        """The uid, and gid, of who logs in."""
        return UID if self.user == USER else 0

    @property
    def home_inside(self) -> str:
        """The home of who logs in, as every machine sees it."""
        return f"/home/{USER}" if self.user == USER else "/root"

    @property
    def machines(self) -> tuple[LabNode, ...]:
        """The head and then the nodes."""
        return (self.head, *self.nodes)

    @property
    def network(self) -> IPv4Network:
        """The interconnect's subnet, the same inside every machine of the lab and unknown outside."""
        return cluster_network(self.index)

    @property
    def outside(self) -> IPv4Network:
        """The subnet of the one link between the operator's machine and the head."""
        return outside_network(self.index)

    @property
    def operator_address(self) -> IPv4Address:
        """The operator's end of the link to the head."""
        return self.outside[1]

    @property
    def head_address(self) -> IPv4Address:
        """The head's end of that link: the address that the operator dials."""
        return self.outside[2]

    @property
    def cluster_file(self) -> Path:
        """The cluster file, ready for use."""
        return self.folder / "cluster.yaml"

    def home(self, node: str) -> Path:
        """The folder that ``node`` sees as its user's home."""
        shared = self.shared_home and node != HEAD
        return self.folder / ("home" if shared else f"{node}/home")


@dataclass(frozen=True)
class NodeStatus:
    """How one machine of a lab is doing; ``faults`` as ``break_node`` takes them."""

    name: str
    address: str
    alive: bool
    faults: tuple[str, ...] = ()


@dataclass(frozen=True)
class LabStatus:
    """How a lab is doing: ``broken`` where a machine or the link to the head is gone."""

    name: str
    state: Literal["running", "broken"]
    cluster_file: Path
    rate_bit_s: int
    shared_home: bool
    head_address: str
    network: str
    machines: tuple[NodeStatus, ...]


def cluster_network(index: int) -> IPv4Network:
    """Give the interconnect's subnet of lab number ``index`` (0 to 63): a /16 for 1,000 nodes."""
    return IPv4Network((f"10.{64 + index}.0.0", 16))


def outside_network(index: int) -> IPv4Network:
    """Give the subnet between the operator and the head of lab number ``index``.

    Source: RFC 2544 C.2.2, which sets 198.18.0.0/15 apart for benchmarks of interconnects; its
    lower half is what proxies with made-up addresses take.
    """
    return IPv4Network((f"198.19.{index}.0", 30))


def node_address(index: int, number: int) -> str:
    """Give the interconnect address of node ``number`` (1 to 1,000), 250 of them to a last octet."""
    block, last = divmod(number - 1, 250)
    return f"10.{64 + index}.{block}.{last + 1}"


def new_lab(
    name: str,
    folder: Path,
    index: int,
    nodes: int,
    rate_bps: int,
    *,
    shared_home: bool,
    user: str = USER,
    slurm: bool = False,
    gpus: int = 0,
) -> Lab:
    """Describe a lab that has not been started, with a link of its own."""
    return Lab(
        name=name,
        folder=folder,
        index=index,
        rate_bps=rate_bps,
        shared_home=shared_home,
        user=user,
        slurm=slurm,
        gpus=gpus,
        link=f"cb-{secrets.token_hex(5)}",
        head=LabNode(HEAD, str(cluster_network(index)[-255])),
        nodes=tuple(LabNode(f"n{i}", node_address(index, i)) for i in range(1, nodes + 1)),
    )


def with_processes(lab: Lab, switch: Process, inits: tuple[Process, ...]) -> Lab:
    """Record what was started: the switch, and the inits of the head and then the nodes."""
    head, *nodes = (replace(m, init=init) for m, init in zip(lab.machines, inits, strict=True))
    return replace(lab, switch=switch, head=head, nodes=tuple(nodes))


def to_json(lab: Lab) -> str:
    """Write a lab's state; :func:`from_json` reads it."""
    return json.dumps(asdict(lab), default=str) + "\n"


def from_json(text: str) -> Lab:
    """Read a lab's state. Errors: ``ValueError``, ``KeyError`` or ``TypeError`` where it is not one."""
    raw: dict[str, Any] = json.loads(text)
    faults = [{**fault, "held": tuple(Process(**each) for each in fault["held"])} for fault in raw["faults"]]
    whole = {
        "folder": Path(raw["folder"]),
        "switch": _process(raw["switch"]),
        "head": _node(raw["head"]),
        "nodes": tuple(map(_node, raw["nodes"])),
        "faults": tuple(Fault(**fault) for fault in faults),
    }
    return Lab(**{**raw, **whole})


def _process(raw: dict[str, int] | None) -> Process | None:
    return Process(**raw) if raw else None


def _node(raw: dict[str, Any]) -> LabNode:
    return LabNode(raw["name"], raw["address"], _process(raw["init"]))
