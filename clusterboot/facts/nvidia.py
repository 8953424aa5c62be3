"""What ``nvidia-smi`` prints."""

from __future__ import annotations

import re
from itertools import takewhile

from .node import Gpu, GpuFacts
from .text import clean, integer, known

_CUDA = re.compile(r"CUDA(?: \w+)? Version\s*:\s*([0-9]{1,4}\.[0-9]{1,4})")
_GPU_LINE = re.compile(r"GPU ([0-9]{1,4}):")
_LINK_LINE = re.compile(r"\s+Link [0-9]{1,4}: ([0-9]{1,6}(?:\.[0-9]{1,6})?) GB/s\s*")
_DEVICE = re.compile(r"GPU[0-9]{1,4}|NIC[0-9]{1,4}|(?:mlx|bnxt|irdma|efa|hns|erdma|rdma)\w{1,30}")
_NIC_NAME = re.compile(r"\s*(NIC[0-9]{1,4}): (\S{1,64})\s*")
_ANSI = re.compile(r"\x1b\[[0-9;]*m")
_TIMED_OUT = 124  # timeout(1)


def parse_query(text: str, exit_code: int | None) -> GpuFacts:
    """Read ``--query-gpu=index,name,uuid,pci.bus_id,memory.total,driver_version``, CSV without units.

    Parameters: output and error output; the exit status, ``None`` where it did not end.
    Returns: the GPUs and the driver. Where the tool failed, or said something beside the rows
    ("Unable to determine the device handle …": a GPU that fell off the bus), its words are in ``error``.
    Source: nvidia-smi(1), RETURN VALUE and FORMAT.
    """
    gpus: list[Gpu] = []
    words: list[str] = []
    driver = None
    for line in text.split("\n"):
        fields = [field.strip() for field in line.split(",")]
        index = integer(fields[0])
        if len(fields) >= 6 and index is not None and index >= 0 and not fields[1].startswith("["):
            *name, uuid, bus_id, memory, version = fields[1:]
            gpus.append(Gpu(index, clean(", ".join(name)), known(uuid), known(bus_id), integer(memory)))
            driver = driver or known(version)
        elif line.strip() and not line.startswith(("WARNING", "Warning")):
            words.append(clean(line))
    error = None
    if exit_code == _TIMED_OUT:
        error = "nvidia-smi gave no answer in 20 s"
    elif exit_code != 0 or words:
        error = clean(" ".join(words)) or f"nvidia-smi ended with status {exit_code}"
    elif not gpus:
        error = "nvidia-smi lists no GPU"
    return GpuFacts(vendor="nvidia", driver=driver, gpus=tuple(gpus), error=error)


def parse_header(text: str) -> str | None:
    """Find the newest CUDA that the driver supports in the head of ``nvidia-smi``'s table."""
    match = _CUDA.search(text)
    return match[1] if match else None


def parse_nvlink(text: str) -> dict[int, tuple[float, ...]]:
    """Read ``nvlink -s``: the rates in GB/s of each GPU's active links.

    Returns: an entry for every GPU named, empty where its links are inactive or it has none.
    """
    found: dict[int, list[float]] = {}
    current: list[float] = []
    for line in text.split("\n"):
        gpu, link = _GPU_LINE.match(line), _LINK_LINE.fullmatch(line)
        if gpu:
            current = found.setdefault(int(gpu[1]), [])
        elif link:
            current.append(float(link[1]))
    return {index: tuple(rates) for index, rates in found.items()}


def parse_topology(text: str) -> dict[str, dict[str, str]]:
    """Read ``topo -m``.

    Returns: for each device its path to each other device (``NV18``, ``PIX``, ``SYS``), itself
    left out. Adapters that the driver numbers (``NIC0``) get the names of its legend.
    """
    lines = _ANSI.sub("", text).split("\n")
    columns: list[str] = []
    rows: dict[str, list[str]] = {}
    names: dict[str, str] = {}
    for line in lines:
        words = line.split()
        legend = _NIC_NAME.fullmatch(line)
        if legend:
            names[legend[1]] = clean(legend[2])
        elif not columns and line[:1].isspace() and words[:1] and _DEVICE.fullmatch(words[0]):
            # Up to ``CPU Affinity``.
            columns = list(dict.fromkeys(takewhile(_DEVICE.fullmatch, words)))
        elif columns and words and words[0] in columns and len(words) > len(columns):
            rows.setdefault(words[0], words[1 : len(columns) + 1])
    return {
        names.get(row, row): {
            names.get(column, column): clean(cell)
            for column, cell in zip(columns, cells, strict=True)
            if column != row
        }
        for row, cells in rows.items()
    }
