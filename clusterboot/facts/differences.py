"""What is not the same on all nodes: in a cluster that should be uniform, each is a suspect."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from statistics import median_low

from .node import NodeFacts

# Kernels keep a little memory for themselves, not everywhere the same.
_SAME_MEMORY = 0.02
_NONE = "none"


@dataclass(frozen=True)
class Odd:
    """One host whose value is not the usual one."""

    host: str
    value: str


@dataclass(frozen=True)
class Difference:
    """A fact that is not the same on all hosts.

    ``usual`` is what most hosts have; ``clear`` is false where another value is as
    frequent, so that neither side is the odd one. ``odd`` keeps the order of the hosts.
    """

    fact: str
    usual: str
    odd: tuple[Odd, ...]
    clear: bool = True


def differences(facts: Mapping[str, NodeFacts]) -> tuple[Difference, ...]:
    """Compare nodes fact by fact.

    Parameters: the facts by host name. Returns: one record a fact that differs, in a fixed
    order, values as text for people; empty where all agree or there are fewer than two hosts.
    Memory counts as equal within 2 % of the median.
    """
    found = [_compare(fact, values) for fact, values in described(facts).items()]
    return tuple(difference for difference in found if difference is not None)


def described(facts: Mapping[str, NodeFacts]) -> dict[str, dict[str, str]]:
    """Say every fact of every node in words for people: by fact, in a fixed order, then by host."""
    said = {fact: {host: label(node) for host, node in facts.items()} for fact, label in _labels().items()}
    said |= {"memory": _memory(facts)}
    more = sorted({name for node in facts.values() for name in node.more})
    return said | {name: {host: _plain(node.more.get(name)) for host, node in facts.items()} for name in more}


def _compare(fact: str, values: Mapping[str, str]) -> Difference | None:
    counts = Counter(values.values()).most_common(2)
    if len(counts) < 2:
        return None
    usual = counts[0][0]
    odd = tuple(Odd(host, value) for host, value in values.items() if value != usual)
    return Difference(fact, usual, odd, clear=counts[0][1] > counts[1][1])


def _memory(facts: Mapping[str, NodeFacts]) -> dict[str, str]:
    if not facts:
        return {}
    middle = median_low(node.memory_mib for node in facts.values())

    def label(mib: int) -> str:
        return _gib(middle if abs(mib - middle) <= _SAME_MEMORY * middle else mib)

    return {host: label(node.memory_mib) for host, node in facts.items()}


def _gib(mib: int) -> str:
    return f"{mib / 1024:.0f} GiB" if mib >= 10240 else f"{mib / 1024:.1f} GiB"


def _counted(values: list[str]) -> str:
    """Fold equal values: ``8 x NVIDIA H100``."""
    return ", ".join(f"{count} x {value}" for value, count in Counter(values).items()) or _NONE


def _gpus(node: NodeFacts) -> str:
    return f"failed: {node.gpu.error}" if node.gpu.error else _counted([gpu.name for gpu in node.gpu.gpus])


def _nvlinks(node: NodeFacts) -> str:
    return _counted([f"{len(rates)} links" for rates in node.gpu.nvlinks.values()])


def _links(node: NodeFacts) -> str:
    """The carrying interfaces' speeds; names differ from board to board and do not matter."""
    carrying = [i for i in node.interfaces if i.kind in {"physical", "bond"} and i.state == "up"]
    return _counted(sorted(f"{_gbits(i.speed_mbit_s)} (MTU {i.mtu})" for i in carrying))


def _gbits(speed_mbit_s: int | None) -> str:
    return "unknown speed" if speed_mbit_s is None else f"{speed_mbit_s / 1000:g} Gbit/s"


def _rdma(node: NodeFacts) -> str:
    return _counted(
        [f"{port.link_layer} {port.rate_gbit_s or 0:g} Gbit/s {port.state}" for port in node.rdma_ports]
    )


def _limit(value: int | None, unit: str = "") -> str:
    return "unlimited" if value is None else f"{value}{unit}"


# By field of a node's record, in the table's order. A field that is not here has its own name and value.
_OF_FIELD: Mapping[str, Mapping[str, Callable[[NodeFacts], str]]] = {
    "os": {"os": lambda node: node.os},
    "kernel": {"kernel": lambda node: node.kernel},
    "arch": {"architecture": lambda node: node.arch},
    "cpus": {"CPUs": lambda node: str(node.cpus)},
    "cpu_model": {"CPU model": lambda node: node.cpu_model or "unknown"},
    "sockets": {"sockets": lambda node: str(node.sockets or "unknown")},
    # Nodes that differ little in it are given one value: see _memory.
    "memory_mib": {"memory": lambda node: _gib(node.memory_mib)},
    "numa_nodes": {"NUMA nodes": lambda node: str(node.numa_nodes)},
    "gpu": {
        "GPUs": _gpus,
        "GPU memory": lambda node: _counted([f"{gpu.memory_mib or 0} MiB" for gpu in node.gpu.gpus]),
        "GPU driver": lambda node: node.gpu.driver or _NONE,
        "CUDA": lambda node: node.gpu.cuda or _NONE,
        "NVLink": _nvlinks,
    },
    "interfaces": {"network": _links},
    "rdma_ports": {"RDMA": _rdma},
    "mpi": {"MPI": lambda node: ", ".join(f"{mpi.kind} {mpi.version}" for mpi in node.mpi) or _NONE},
    "software": {
        "NCCL": lambda node: (
            node.software.nccl_version or ("unknown" if node.software.nccl_library else _NONE)
        ),
        "nccl-tests": lambda node: ", ".join(sorted(node.software.nccl_tests)) or _NONE,
        "ssh": lambda node: node.software.ssh_version or _NONE,
    },
    "limits": {
        "locked memory": lambda node: (
            _limit(node.limits.memlock_kib, " KiB") if node.limits.known else "unknown"
        ),
        "open files": lambda node: _limit(node.limits.open_files) if node.limits.known else "unknown",
    },
}
# Each machine's own, which are not compared; and the facts that no field is for, which come last.
_OWN = frozenset(
    (
        *("hostname", "machine_id", "user", "mpi_problem", "home"),
        *("clock_skew_s", "clock_error_s", "boot_id", "more"),
    )
)


def _plain(value: object) -> str:
    """Say a value that has no words of its own."""
    if isinstance(value, tuple):
        return _counted([str(each) for each in value])
    return _NONE if value is None or value == "" else str(value)


def _of_its_name(field: str) -> Mapping[str, Callable[[NodeFacts], str]]:
    return {field.replace("_", " "): lambda node: _plain(getattr(node, field))}


def _labels() -> dict[str, Callable[[NodeFacts], str]]:
    others = [each.name for each in fields(NodeFacts) if each.name not in {*_OF_FIELD, *_OWN}]
    every = (*_OF_FIELD.values(), *(_of_its_name(name) for name in others))
    return {fact: label for labels in every for fact, label in labels.items()}
