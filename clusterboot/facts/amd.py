"""What ``rocm-smi``, ``amd-smi`` and the amdgpu driver say."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from .node import Gpu, GpuFacts
from .text import integer, known, pairs

# Names for PCI device ids, for where the board's own name cannot be read: pci.ids.
DEVICE_NAMES = {
    "0x738c": "AMD Instinct MI100",
    "0x7408": "AMD Instinct MI250X",
    "0x740c": "AMD Instinct MI250X/MI250",
    "0x740f": "AMD Instinct MI210",
    "0x74a0": "AMD Instinct MI300A",
    "0x74a1": "AMD Instinct MI300X",
    "0x74a2": "AMD Instinct MI308X",
    "0x74a5": "AMD Instinct MI325X",
    "0x74b5": "AMD Instinct MI300X VF",
    "0x75a0": "AMD Instinct MI350X",
    "0x75a3": "AMD Instinct MI355X",
}

_SYSFS = re.compile(r"/sys/bus/pci/drivers/amdgpu/([0-9a-f:.]{6,20})/(\w+):(.*)")
_CARD = re.compile(r"card([0-9]{1,4})")
_LINK = re.compile(r"\(Topology\) Link type between DRM devices ([0-9]{1,4}) and ([0-9]{1,4})")
_TO_MIB = {"B": 2**-20, "KB": 2**-10, "MB": 1.0, "GB": 2.0**10}


def parse(parts: Mapping[str, str]) -> GpuFacts:
    """Read the blocks ``amdgpu`` (sysfs), ``rocm-smi`` and ``amd-smi`` of the GPU section.

    Returns: the best of what there is, in the order rocm-smi, amd-smi, sysfs; an empty
    record where there is no GPU. A tool that failed is an error only where it left
    nothing to go by but the driver's files, and never hides them.
    """
    rocm, amd = _document(parts.get("rocm-smi", "")), _document(parts.get("amd-smi", ""))
    driver_files = tuple(_from_sysfs(parts.get("amdgpu", "")))
    tool_gpus = _from_rocm(rocm) or _from_amd_smi(amd)
    gpus = tool_gpus or driver_files
    tried = [tool for tool in ("rocm-smi", "amd-smi") if tool in parts]
    if not gpus and not tried:
        return GpuFacts()
    error = None
    if tried and not tool_gpus:
        error = f"{' and '.join(tried)} failed: {_words(parts, tried)}"
    return GpuFacts(
        vendor="amd",
        driver=_driver(rocm, amd, parts.get("amdgpu", "")),
        gpus=gpus,
        topology=_topology(rocm),
        error=error,
    )


def _document(text: str) -> Any:
    """Take the JSON out of output that may begin and end with warnings; ``None`` if there is none."""
    for start in (place for place, char in enumerate(text) if char in "{["):
        try:
            return json.JSONDecoder().raw_decode(text, start)[0]
        except (ValueError, RecursionError):
            if start > 4096:  # warnings are short; do not try every brace of a megabyte
                return None
    return None


def _words(parts: Mapping[str, str], tried: list[str]) -> str:
    """Give the last line that the last failed tool said."""
    lines = [line for line in parts[tried[-1]].split("\n") if line.strip()]
    return (known(lines[-1]) if lines else None) or "it said nothing that could be read"


def _table(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _text(value: Any) -> str | None:
    return known(value) if isinstance(value, str) else None


def _from_rocm(document: Any) -> tuple[Gpu, ...]:
    """Read ``rocm-smi … --json``; the names of its keys changed case between ROCm 5 and 6."""
    found = []
    for card, values in _table(document).items():
        match = _CARD.fullmatch(card)
        if not match or not isinstance(values, dict):
            continue
        said = {key.lower(): value for key, value in values.items()}
        name = _text(said.get("card series")) or _text(said.get("device name"))
        model = _text(said.get("card model")) or _text(said.get("device id"))
        memory = integer(_text(said.get("vram total memory (b)")))
        found.append(
            Gpu(
                index=int(match[1]),
                name=_name(name, model),
                uuid=_text(said.get("unique id")),
                bus_id=_text(said.get("pci bus")),
                memory_mib=None if memory is None else memory // 2**20,
            )
        )
    return tuple(sorted(found, key=lambda gpu: gpu.index))


def _name(name: str | None, device_id: str | None) -> str:
    """Prefer a name in words; an id in its place is looked up."""
    if name and not name.startswith("0x"):
        return name
    return DEVICE_NAMES.get((name or device_id or "").lower(), f"AMD GPU {name or device_id or ''}".strip())


def _from_amd_smi(document: Any) -> tuple[Gpu, ...]:
    """Read ``amd-smi static --json``: a list, since ROCm 6.4 under ``gpu_data``."""
    rows = _table(document).get("gpu_data", document)
    found = []
    for row in rows if isinstance(rows, list) else []:
        index = _table(row).get("gpu")
        if not isinstance(index, int) or not 0 <= index < 65536:
            continue
        asic, bus = _table(row.get("asic")), _table(row.get("bus"))
        name = _text(asic.get("market_name"))
        found.append(
            Gpu(
                index=index,
                name=_name(name, _text(asic.get("device_id"))),
                uuid=_text(asic.get("asic_serial")),
                bus_id=_text(bus.get("bdf")),
                memory_mib=_mib(_table(row.get("vram")).get("size")),
            )
        )
    return tuple(sorted(found, key=lambda gpu: gpu.index))


def _mib(size: Any) -> int | None:
    """Read ``{"value": 196592, "unit": "MB"}`` or a bare number of MB; both mean 2^20 bytes."""
    value, unit = (size.get("value"), size.get("unit")) if isinstance(size, dict) else (size, "MB")
    scale = _TO_MIB.get(unit) if isinstance(unit, str) else None
    if scale is None or not isinstance(value, int) or not 0 <= value < 2**60:
        return None
    return int(value * scale)


def _from_sysfs(text: str) -> list[Gpu]:
    """Read the driver's files, one device a PCI address, in the order of addresses."""
    devices: dict[str, dict[str, str]] = {}
    for line in text.split("\n"):
        match = _SYSFS.fullmatch(line)
        if match:
            devices.setdefault(match[1], {})[match[2]] = match[3].strip()
    found = []
    for index, (bus_id, said) in enumerate(sorted(devices.items())):
        memory = integer(said.get("mem_info_vram_total"))
        name = _name(known(said.get("product_name")), known(said.get("device")))
        mib = None if memory is None else memory // 2**20
        found.append(Gpu(index, name, known(said.get("unique_id")), bus_id, mib))
    return found


def _driver(rocm: Any, amd: Any, sysfs: str) -> str | None:
    rows = _table(amd).get("gpu_data", amd)
    first = _table(rows[0]) if isinstance(rows, list) and rows else {}
    return (
        _text(_table(_table(rocm).get("system")).get("Driver version"))
        or _text(_table(first.get("driver")).get("version"))
        or known(dict(pairs(sysfs)).get("/sys/module/amdgpu/version"))
    )


def _topology(rocm: Any) -> dict[str, dict[str, str]]:
    """Read ``--showtopotype``: it gives each pair once, ``XGMI`` or ``PCIE``."""
    found: dict[str, dict[str, str]] = {}
    for key, value in _table(_table(rocm).get("system")).items():
        match, kind = _LINK.fullmatch(key), _text(value)
        if match and kind:
            first, second = f"GPU{int(match[1])}", f"GPU{int(match[2])}"
            found.setdefault(first, {})[second] = kind
            found.setdefault(second, {})[first] = kind
    return found
