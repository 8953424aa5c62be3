"""GPUs, as the vendor's own tool lists them."""

from __future__ import annotations

from dataclasses import replace

from . import amd, nvidia
from .fact import Fact
from .node import GpuFacts
from .search_paths import NVIDIA_SMI, ROCM_BIN
from .text import PRELUDE, blocks, integer

# A GPU that fell off the bus can hang the tool: it must not take the whole answer along.
# Only the CUDA line of the tool's table is kept, for below it are other people's processes.
_SCRIPT = (
    PRELUDE
    + rf"""run() {{ if command -v timeout >/dev/null; then timeout 20 "$@"; else "$@"; fi; }}
smi=; command -v nvidia-smi >/dev/null && smi=nvidia-smi
for f in {" ".join(NVIDIA_SMI)}; do [ -z "$smi" ] && [ -x "$f" ] && smi=$f; done
if [ -n "$smi" ]; then
  printf '@query\n'
  run "$smi" --query-gpu=index,name,uuid,pci.bus_id,memory.total,driver_version \
    --format=csv,noheader,nounits 2>&1
  rc=$?; printf '\n@query-exit\n%s\n' $rc
  if [ $rc = 0 ]; then
    printf '@header\n'
    run "$smi" | while IFS= read -r v; do case $v in *CUDA*Version*) printf '%s\n' "$v"; break;; esac; done
    printf '\n@nvlink\n'; run "$smi" nvlink -s
    printf '\n@topology\n'; run "$smi" topo -m
  fi
  exit 0
fi
rocm= amd= any=
command -v rocm-smi >/dev/null && rocm=rocm-smi
command -v amd-smi >/dev/null && amd=amd-smi
for d in {" ".join(ROCM_BIN)}; do
  [ -z "$rocm" ] && [ -x "$d/rocm-smi" ] && rocm=$d/rocm-smi
  [ -z "$amd" ] && [ -x "$d/amd-smi" ] && amd=$d/amd-smi
done
printf '@amdgpu\n'
for d in /sys/bus/pci/drivers/amdgpu/*:*:*.*; do
  [ -e "$d/device" ] || continue
  any=yes
  for n in device product_name unique_id mem_info_vram_total; do show "$d/$n"; done
done
[ -n "$any$rocm$amd" ] || exit 0
show /sys/module/amdgpu/version
rc=127
if [ -n "$rocm" ]; then
  printf '@rocm-smi\n'
  run "$rocm" --showproductname --showuniqueid --showbus --showmeminfo vram \
    --showdriverversion --showtopotype --json 2>&1
  rc=$?; printf '\n@rocm-exit\n%s\n' $rc
fi
if [ $rc != 0 ] && [ -n "$amd" ]; then
  printf '@amd-smi\n'; run "$amd" static --asic --bus --vram --driver --json 2>&1
  printf '\n@amd-exit\n%s\n' $?
fi
"""
)


def parse(text: str) -> GpuFacts:
    """Read the GPU section.

    Returns: the GPUs of the vendor whose tool or driver is there; an empty record on a CPU
    node. A tool that is there and fails is told in ``error``.
    """
    parts = blocks(text)
    if "query" in parts:
        status = integer(parts.get("query-exit"))
        found = nvidia.parse_query(parts["query"], status)
        if found.error is not None:
            return found
        return replace(
            found,
            cuda=nvidia.parse_header(parts.get("header", "")),
            nvlinks=nvidia.parse_nvlink(parts.get("nvlink", "")),
            topology=nvidia.parse_topology(parts.get("topology", "")),
        )
    return amd.parse(parts)


FACT = Fact("gpu", _SCRIPT, lambda text: {"gpu": parse(text)})
