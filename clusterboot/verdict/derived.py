"""The bandwidth to expect, reckoned from what the nodes are."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from clusterboot.facts.node import NodeFacts
from clusterboot.run.bench_plan import BenchPlan

from .expectation import Expectation
from .hardware import (
    ALLTOALL_SHARE,
    GPU_HOLDS_FROM_BYTES,
    HOST_HOLDS_FROM_BYTES,
    MPI_SHARE,
    NVLINK_SHARE,
    PCIE_SHARE,
    RDMA_SHARE,
    SOCKET_SHARE,
    GpuModel,
    Share,
    gpu_model,
)
from .kept_baseline import KeptBaseline, with_kept

Memory = Literal["gpu", "host"]

# Their busbw is that of the slowest link that a ring passes; of the others no simple bound is known.
# Their drivers report a fixed speed, veth 10 Gbit/s, whatever is behind them: drivers/net/veth.c.
_WITHOUT_A_WIRE = ("veth", "bridge", "tunnel", "virtual", "loopback")
# NVLink reaches beyond the node in these: NVIDIA's MGX and NVL racks.
_NVLINK_BETWEEN_NODES = re.compile(r"\bG[BH][23]00\b")
# In-network reduction and trees carry less than a ring for the same busbw, at best half.
_BEST_OF_RING = 2.0
_RINGS = ("all_reduce", "all_gather", "reduce_scatter", "broadcast", "reduce")


@dataclass(frozen=True)
class Bound:
    """A limit that a collective meets, in 10^9 bytes a second of busbw, and its reckoning in words."""

    busbw_gb_s: float
    words: str
    share: Share


@dataclass(frozen=True)
class Derived:
    """What one collective should reach; ``minimum_gb_s`` is ``None`` where nothing can be reckoned.

    ``derivation`` is for people: "8 NICs of 50 GB/s, ring over 4 nodes → 400 GB/s, …".
    """

    collective: str
    minimum_gb_s: float | None
    derivation: str


def expected(
    nodes: Mapping[str, NodeFacts],
    collectives: Sequence[str],
    ranks: int,
    *,
    memory: Memory = "gpu",
    interfaces: Mapping[str, str] | None = None,
) -> Expectation:
    """Reckon what collectives should reach on these nodes.

    Parameters: the facts of the nodes that take part, by name; the collectives; the number of
    ranks; whose memory is sent; the interface of each node that carries MPI's or NCCL's TCP,
    where it is known. Rings are reckoned with, whatever algorithm NCCL takes: the
    others read higher at few nodes, so that the figure is a floor.
    Returns: minima by collective, empty where the hardware is not known, with the reckoning.
    """
    each = [derive(nodes, name, ranks, memory=memory, interfaces=interfaces) for name in collectives]
    minima = {one.collective: one.minimum_gb_s for one in each if one.minimum_gb_s is not None}
    alike: dict[str, list[str]] = {}
    for one in each:
        alike.setdefault(one.derivation, []).append(one.collective)
    # What holds for all of them is said once.
    words = [f"{', '.join(names)}: {why}" if len(alike) > 1 else why for why, names in alike.items()]
    return Expectation(
        minima or None,
        source="the nodes' hardware" if minima else "",
        derivation="; ".join(words),
        holds_from_bytes=GPU_HOLDS_FROM_BYTES if memory == "gpu" else HOST_HOLDS_FROM_BYTES,
    )


def expected_of(plan: BenchPlan, said: Expectation, kept: KeptBaseline | None = None) -> Expectation:
    """Give what was said to be expected, else what the hardware should reach, and what no line exceeds.

    Parameters: ``kept`` is the cluster's kept baseline, which counts beside either.
    """
    facts, collectives = plan.on.facts, plan.bench.collectives
    if said == Expectation():
        memory: Memory = "gpu" if plan.program.on_gpu else "host"
        interfaces = {entry.host: entry.interface for entry in plan.ready.addresses.addresses}
        said = expected(facts, collectives, plan.ranks, memory=memory, interfaces=interfaces)
    said = with_kept(said, kept, plan.program.name)
    return replace(said, line_gb_s=line_limits(facts, collectives, plan.ranks))


def line_limits(nodes: Mapping[str, NodeFacts], collectives: Sequence[str], ranks: int) -> dict[str, float]:
    """Reckon the busbw in 10^9 bytes a second that no algorithm can exceed between these nodes.

    Parameters: the facts of the nodes that take part, by name; the collectives; the number of ranks.
    Returns: a limit for each collective, from all that the weakest node's adapters carry together, whichever
    of them are used; nothing where any rate is not known, or where something else joins the nodes.
    Source: what each node has to send or receive at least. Of a broadcast, a reduce or a sendrecv that is
    the whole size, as busbw counts it; of the others half of what busbw counts, where the network
    itself reduces or there are two nodes only.
    """
    rates = [_all_adapters(node) for node in nodes.values()]
    whole = min((rate for rate in rates if rate is not None), default=None)
    if len(nodes) < 2 or whole is None or None in rates:
        return {}
    each = ranks / len(nodes)
    found = {
        **dict.fromkeys(("broadcast", "reduce", "sendrecv"), whole),
        **dict.fromkeys(("all_reduce", "all_gather", "reduce_scatter"), _BEST_OF_RING * whole),
        "alltoall": whole / each * (ranks - 1) / max(1.0, ranks - each),
    }
    return {name: limit for name, limit in found.items() if name in collectives}


def _all_adapters(node: NodeFacts) -> float | None:
    """Give what a node's adapters carry together, in 10^9 bytes a second; ``None`` if it is not known."""
    if any(_NVLINK_BETWEEN_NODES.search(gpu.name) for gpu in node.gpu.gpus):
        return None
    up = [each for each in node.interfaces if each.state == "up"]
    # Behind a veth may be any wire of the machine around this node.
    if any(each.kind == "veth" for each in up):
        return None
    gbits = [port.rate_gbit_s or 0.0 for port in node.rdma_ports if port.state.upper() == "ACTIVE"]
    gbits += [(each.speed_mbit_s or 0) / 1000 for each in up if each.kind == "physical"]
    return sum(gbits) / 8 if gbits and all(gbits) else None


def derive(
    nodes: Mapping[str, NodeFacts],
    collective: str,
    ranks: int,
    *,
    memory: Memory = "gpu",
    interfaces: Mapping[str, str] | None = None,
) -> Derived:
    """Reckon what one collective should reach on these nodes; parameters as for :func:`expected`."""
    if collective not in (*_RINGS, "alltoall", "sendrecv") or not nodes or ranks < 2:
        return Derived(collective, None, "no bound is known for it")
    bounds: list[Bound] = []
    for reckon in (_inside, _between):
        found = reckon(nodes, collective, ranks, memory, interfaces or {})
        if isinstance(found, str):
            return Derived(collective, None, found)
        bounds += [] if found is None else [found]
    if not bounds:
        return Derived(collective, None, "nothing is known of what carries it")
    tightest = min(bounds, key=lambda bound: bound.busbw_gb_s * bound.share.share)
    minimum = tightest.busbw_gb_s * tightest.share.share
    others = [bound for bound in bounds if bound is not tightest]
    beside = "".join(f" (beside it {other.words} → {other.busbw_gb_s:.4g} GB/s)" for other in others)
    words = (
        f"{tightest.words} → {tightest.busbw_gb_s:.4g} GB/s{beside};"
        f" at least {tightest.share.share:.0%} of it, {minimum:.4g} GB/s, because {tightest.share.reason}"
    )
    return Derived(collective, minimum, words)


def _inside(
    nodes: Mapping[str, NodeFacts], collective: str, ranks: int, memory: Memory, _: Mapping[str, str]
) -> Bound | str | None:
    """Reckon the way between the GPUs of one node; ``None`` where no two ranks share a node."""
    if memory == "host":
        return None if len(nodes) > 1 else "memory of one host carries it: no bound is known"
    if ranks <= len(nodes):
        return None
    bounds = []
    for name, node in nodes.items():
        bound = _of_gpus(node)
        if bound is None:
            gpu = node.gpu.gpus[0].name if node.gpu.gpus else "no GPU"
            return f"{name}: {gpu} is not in the table of hardware"
        bounds.append(bound)
    tightest = min(bounds, key=lambda bound: bound.busbw_gb_s)
    return _with_alltoall(tightest, collective)


def _of_gpus(node: NodeFacts) -> Bound | None:
    gpus = node.gpu.gpus
    model = gpu_model(gpus[0].name) if gpus else None
    links = [sum(rates) for rates in node.gpu.nvlinks.values() if rates]
    if links and len(links) == len(gpus):
        count = min(len(rates) for rates in node.gpu.nvlinks.values())
        return Bound(min(links), f"{count} NVLinks a GPU, {min(links):.4g} GB/s together", NVLINK_SHARE)
    if model is None:
        return None
    if model.nvlink_gb_s and _joined_by_nvlink(node, model):
        return Bound(model.nvlink_gb_s, f"NVLink of {model.name}, {model.nvlink_gb_s:.4g} GB/s", NVLINK_SHARE)
    return Bound(model.pcie_gb_s, f"PCIe of {model.name}, {model.pcie_gb_s:.4g} GB/s", PCIE_SHARE)


def _joined_by_nvlink(node: NodeFacts, model: GpuModel) -> bool:
    """Tell whether every pair of GPUs has NVLink; without a topology, whether the model always has it."""
    pairs = [
        word
        for row, cells in node.gpu.topology.items()
        for column, word in cells.items()
        if row != column and row.startswith("GPU") and column.startswith("GPU")
    ]
    return all(word.startswith("NV") for word in pairs) if pairs else "PCI" not in model.name


def _between(
    nodes: Mapping[str, NodeFacts], collective: str, ranks: int, memory: Memory, interfaces: Mapping[str, str]
) -> Bound | str | None:
    """Reckon the way between nodes; ``None`` for one node."""
    if len(nodes) < 2:
        return None
    rates: list[tuple[float, int, Share]] = []
    for name, node in nodes.items():
        adapters = _adapters(node, memory, interfaces.get(name))
        if adapters is None:
            return f"the rate of {name}'s network is not known"
        rates.append(adapters)
    rate, count, share = min(rates, key=lambda each: each[0] * each[1])
    whole = rate * count
    ring = f"{count} NIC{'s' if count > 1 else ''} \u00d7 {rate:.4g} GB/s"
    if collective == "sendrecv":
        # One rank of a node has its neighbour on the next node, and sends through one adapter.
        return Bound(rate, f"one of {ring}, a pair over {len(nodes)} nodes", share)
    if collective == "alltoall":
        each = ranks / len(nodes)
        # Of what a rank sends, the part for other nodes passes the node's adapters.
        bus = whole / each * (ranks - 1) / (ranks - each)
        words = f"{ring} for {each:.4g} ranks, {1 - each / ranks:.0%} of the bytes leave the node"
        return Bound(bus, words, Share(min(share.share, ALLTOALL_SHARE.share), ALLTOALL_SHARE.reason))
    return Bound(whole, f"{ring}, ring over {len(nodes)} nodes", share)


def _adapters(node: NodeFacts, memory: Memory, interface: str | None) -> tuple[float, int, Share] | None:
    """Give the rate of one adapter in 10^9 bytes a second, their number, and what of it counts."""
    ports = [
        port.rate_gbit_s / 8
        for port in node.rdma_ports
        if port.state.upper() == "ACTIVE" and port.rate_gbit_s
    ]
    if memory == "gpu" and ports:
        # NCCL keeps to the fastest; slower ones beside them serve storage or management.
        best = max(ports)
        model = gpu_model(node.gpu.gpus[0].name) if node.gpu.gpus else None
        return min(best, model.pcie_gb_s if model else best), ports.count(best), RDMA_SHARE
    speeds = {
        each.name: each.speed_mbit_s
        for each in node.interfaces
        if each.speed_mbit_s and each.kind not in _WITHOUT_A_WIRE
    }
    speed = speeds.get(interface or "")
    if speed is None:
        return None
    return speed / 8000, 1, SOCKET_SHARE if memory == "gpu" else MPI_SHARE


def _with_alltoall(bound: Bound, collective: str) -> Bound:
    if collective != "alltoall":
        return bound
    share = Share(min(bound.share.share, ALLTOALL_SHARE.share), ALLTOALL_SHARE.reason)
    return Bound(bound.busbw_gb_s, bound.words, share)
