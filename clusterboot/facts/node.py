"""What a node is: the records that facts become."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from clusterboot.mpi.launcher import Mpi


@dataclass(frozen=True)
class Address:
    """One address of an interface, as ``10.1.0.4`` with its prefix length.

    ``flags`` are the kernel's own words that matter to its use: ``temporary``,
    ``deprecated``, ``tentative``, ``dadfailed``.
    """

    ip: str
    prefix_len: int
    scope: str = "global"
    flags: tuple[str, ...] = ()


@dataclass(frozen=True)
class Interface:
    """A network interface, as the network namespace of the login sees it.

    ``kind`` is what made it: ``physical``, ``veth``, ``bridge``, ``bond``, ``vlan``,
    ``macvlan``, ``ipvlan``, ``tunnel``, ``loopback``, or ``virtual`` for any other.
    ``state`` is the kernel's operational state in lower case: ``up``, ``down``, ``unknown``.
    ``speed_mbit_s`` is 10^6 bits a second; ``None`` where the kernel does not say.
    """

    name: str
    state: str
    mtu: int
    mac: str | None = None
    kind: str = "physical"
    speed_mbit_s: int | None = None
    addresses: tuple[Address, ...] = ()


@dataclass(frozen=True)
class RdmaPort:
    """A port of an InfiniBand or RoCE device. ``rate_gbit_s`` is 10^9 bits a second, as sysfs gives it."""

    device: str
    port: int
    link_layer: str
    state: str
    rate_gbit_s: float | None = None
    netdev: str | None = None


@dataclass(frozen=True)
class Gpu:
    """One GPU as its driver's tool lists it; memory in MiB."""

    index: int
    name: str
    uuid: str | None = None
    bus_id: str | None = None
    memory_mib: int | None = None


@dataclass(frozen=True)
class GpuFacts:
    """All GPUs of a node. ``vendor`` is ``nvidia``, ``amd`` or ``None`` on a CPU node.

    ``nvlinks`` has the active links of each GPU, by index, in GB/s each; ``topology`` the
    driver's own matrix, one row a device: ``{"GPU0": {"GPU1": "NV18"}}``, with adapters
    under their device names (``mlx5_0``). ``error`` is set where the node has the vendor's
    tool and it failed: such a node is broken, not one without GPUs.
    """

    vendor: Literal["nvidia", "amd"] | None = None
    driver: str | None = None
    cuda: str | None = None
    gpus: tuple[Gpu, ...] = ()
    nvlinks: Mapping[int, tuple[float, ...]] = field(default_factory=dict)
    topology: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    error: str | None = None


@dataclass(frozen=True)
class Software:
    """What a benchmark needs beside MPI: each ``None`` or empty where it was not found.

    ``nccl_tests`` maps a program's name (``all_reduce_perf``) to its absolute path;
    ``cuda_runtimes`` lists files of CUDA's runtime library, ``libcudart.so.12`` and its like.
    """

    nccl_library: str | None = None
    nccl_version: str | None = None
    nccl_tests: Mapping[str, str] = field(default_factory=dict)
    ssh_version: str | None = None
    cuda_runtimes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Limits:
    """Limits of a non-interactive shell; ``None`` means unlimited. ``memlock_kib`` in KiB.

    ``known`` is false where the node would not say.
    """

    memlock_kib: int | None
    open_files: int | None
    known: bool = True


@dataclass(frozen=True)
class Home:
    """A home directory and what identifies it across machines.

    ``identity`` is equal for two nodes exactly where they see the same directory.
    """

    path: str
    fs_type: str
    identity: str


@dataclass(frozen=True)
class NodeFacts:
    """Everything that was found out about one node.

    ``clock_skew_s`` is the node's clock minus the operator's, in seconds, known to
    ``clock_error_s`` either way. ``boot_id`` is equal for nodes that run on one kernel.
    ``mpi_problem`` is set where the cluster file's module could not be loaded. ``more`` has the facts
    that no field is for, by name.
    """

    hostname: str
    machine_id: str | None
    os: str
    kernel: str
    arch: str
    user: str
    cpus: int
    cpu_model: str | None
    sockets: int | None
    memory_mib: int
    numa_nodes: int
    interfaces: tuple[Interface, ...] = ()
    rdma_ports: tuple[RdmaPort, ...] = ()
    gpu: GpuFacts = field(default_factory=GpuFacts)
    mpi: tuple[Mpi, ...] = ()
    mpi_problem: str | None = None
    software: Software = field(default_factory=Software)
    limits: Limits = field(default_factory=lambda: Limits(None, None, known=False))
    home: Home | None = None
    clock_skew_s: float | None = None
    clock_error_s: float | None = None
    boot_id: str | None = None
    more: Mapping[str, object] = field(default_factory=dict)
