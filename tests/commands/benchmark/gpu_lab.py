"""GPU nodes of a lab without a GPU: stand-ins for the driver's tool, CUDA and NCCL in each home."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from pathlib import Path

import yaml
from patience import HANGS_S

from clusterboot import lab as labs

FAKE_SOURCES = Path(__file__).parents[2] / "programs" / "fake_gpu"
# As two wheels of PyPI unpack in a user's own site-packages.
_WHEELS = Path(".local/lib/python3.11/site-packages/nvidia")
_SMI = """#!/bin/sh
case "$*" in
  *query-gpu*)
    for i in 0 1; do
      echo "$i, Stand-in GPU, GPU-$(hostname)-$i, 00000000:0$((7 + i)):00.0, 1024, 560.35.05"
    done;;
  '') echo '| NVIDIA-SMI 560.35.05    Driver Version: 560.35.05    CUDA Version: 12.8     |';;
esac
"""
_PATH = "PATH=$HOME/bin:$PATH; export PATH\n"


def _compile(folder: Path) -> tuple[Path, Path]:
    cudart, nccl = folder / "libcudart.so.12", folder / "libnccl.so.2"
    parts = {
        cudart: ("fake_cudart.c", "fake_streams.c"),
        nccl: ("fake_nccl.c", "fake_carry.c", "fake_comm.c", "fake_wire.c", "fake_math.c"),
    }
    for library, names in parts.items():
        flags = ["-shared", "-fPIC", "-O1", "-pthread", f"-Wl,-soname,{library.name}"]
        flags.append("-Wl,-rpath,$ORIGIN:$ORIGIN/../../cuda_runtime/lib")
        sources = [str(FAKE_SOURCES / name) for name in names]
        others = [str(cudart)] if library == nccl else []
        subprocess.run(
            ["gcc", *flags, "-o", str(library), *sources, *others, "-lm"], check=True, timeout=HANGS_S
        )
    return cudart, nccl


def give_gpus(lab: labs.Lab, folder: Path) -> None:
    """Give every node of a lab two stand-in GPUs and NCCL, found as on a node with Python wheels."""
    cudart, nccl = _compile(folder)
    for node in lab.nodes:
        home = lab.home(node.name)
        for library, place in ((cudart, _WHEELS / "cuda_runtime/lib"), (nccl, _WHEELS / "nccl/lib")):
            _put(home, place / library.name, library.read_bytes())
        _put(home, Path("bin/nvidia-smi"), _SMI.encode())
        before = (home / ".bashrc").read_bytes() if (home / ".bashrc").exists() else b""
        (home / ".bashrc").write_bytes(_PATH.encode() + before)


def take_gpus(lab: labs.Lab, name: str) -> None:
    """Take the driver's tool from a node: it has no GPUs then."""
    (lab.home(name) / "bin/nvidia-smi").unlink()


def _put(home: Path, path: Path, content: bytes) -> None:
    target = home / path
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(content)
    target.chmod(0o755)


def cluster_with(lab: labs.Lab, path: Path, env: Mapping[str, str]) -> Path:
    """Write the lab's cluster file with an environment for every rank, and give its path."""
    document = yaml.safe_load(Path(lab.cluster_file).read_text(encoding="utf-8"))
    path.write_text(yaml.safe_dump({**document, "env": dict(env)}), encoding="utf-8")
    return path
