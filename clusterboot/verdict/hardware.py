"""What hardware can carry: a table of data, with a source for each number.

All rates are of one direction, in 10^9 bytes a second. To add hardware, add a line.
"""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class GpuModel:
    """GPUs of one kind. ``nvlink_gb_s`` is what one GPU's links carry together, 0 without any.

    ``pcie_gb_s`` is its slot's rate after encoding.
    """

    pattern: re.Pattern[str]
    name: str
    nvlink_gb_s: float
    pcie_gb_s: float
    source: str


@dataclass(frozen=True)
class Share:
    """The part of a theoretical figure that a good cluster reaches, and why it is no more."""

    share: float
    reason: str


PCIE_GEN3, PCIE_GEN4, PCIE_GEN5, PCIE_GEN6 = 15.75, 31.5, 63.0, 126.0

# The first that fits a name is the GPU's: what is cut down for export stands before its original.
_GPUS = (
    (r"\bGB[23]00\b", "GB200", 900, PCIE_GEN5, "GB200 NVL72 data sheet: NVLink 5, 1.8 TB/s both ways"),
    (r"\bB300\b", "B300", 900, PCIE_GEN6, "HGX B300 data sheet: NVLink 5, 1.8 TB/s both ways"),
    (r"\bB[12]00\b", "B200", 900, PCIE_GEN5, "HGX B200 data sheet: NVLink 5, 1.8 TB/s both ways"),
    (r"\bH800\b", "H800", 200, PCIE_GEN5, "H800 product brief: NVLink, 400 GB/s both ways"),
    (r"\bA800\b", "A800", 200, PCIE_GEN4, "A800 data sheet: NVLink, 400 GB/s both ways"),
    (r"\bH100 (?:PCIe|NVL)", "H100 PCIe", 300, PCIE_GEN5, "H100 data sheet: bridge, 600 GB/s both ways"),
    (r"\bG?H(?:100|200|20)\b", "H100", 450, PCIE_GEN5, "H100 data sheet: NVLink 4, 900 GB/s both ways"),
    (r"\bA100.*PCI", "A100 PCIe", 300, PCIE_GEN4, "A100 data sheet: bridge, 600 GB/s both ways"),
    (r"\bA100\b", "A100", 300, PCIE_GEN4, "A100 data sheet: NVLink 3, 600 GB/s both ways"),
    (r"\bV100.*PCI", "V100 PCIe", 0, PCIE_GEN3, "V100 data sheet: PCIe 3"),
    (r"\bV100\b", "V100", 150, PCIE_GEN3, "V100 data sheet: NVLink 2, 300 GB/s both ways"),
    (r"\bP100.*SXM", "P100", 80, PCIE_GEN3, "P100 data sheet: NVLink 1, 160 GB/s both ways"),
    (r"\bL40S?\b|\bL4\b|\bA10G?\b|\bA[34]0\b", "L40", 0, PCIE_GEN4, "L40S, L4, A10 data sheets: PCIe 4"),
    (r"\bT4\b", "T4", 0, PCIE_GEN3, "T4 data sheet: PCIe 3"),
)
GPU_MODELS = tuple(
    GpuModel(re.compile(pattern), name, nvlink, pcie, f"NVIDIA {source}")
    for pattern, name, nvlink, pcie, source in _GPUS
)

# Published busbw of rings on good nodes: 8 H100 370 of 450, 8 A100 235 of 300, 8 B200 682 of 900 GB/s.
NVLINK_SHARE = Share(0.72, "rings over NVLink reach 76 to 82% of the links on good nodes")
# Published busbw per adapter: 12 of 12.5 (100G), 24 of 25 (200G), 46 to 48 of 50 GB/s (NDR).
RDMA_SHARE = Share(0.85, "an InfiniBand or RoCE adapter reaches 92 to 96% of its rate, all at once less")
PCIE_SHARE = Share(0.3, "GPUs without NVLink share their host bridges")
SOCKET_SHARE = Share(0.5, "GPU memory over TCP is copied through the host's memory")
# MPI_Allreduce of large messages sends each byte through a node's adapter up to twice.
MPI_SHARE = Share(0.45, "MPI's algorithms pass some bytes through an adapter twice, TCP takes its headers")
ALLTOALL_SHARE = Share(0.6, "all pairs at once meet in the switches")

# Sizes from which on the start-up of a collective no longer shows in its bandwidth: nccl-tests'
# published tables level off at 1 GiB over NVLink and InfiniBand; TCP between hosts far earlier.
GPU_HOLDS_FROM_BYTES = 1024**3
HOST_HOLDS_FROM_BYTES = 64 * 1024**2


def gpu_model(name: str) -> GpuModel | None:
    """Find a GPU by the name that its driver gives it; ``None`` for one that is not in the table."""
    return next((model for model in GPU_MODELS if model.pattern.search(name)), None)
