"""Where software is found when PATH does not lead there: one line to change for a new place.

Words are shell patterns, expanded on the node.
"""

from __future__ import annotations

# Directories of mpirun that have MPIs of any kind: a distribution's, and that of a vendor of adapters. Each
# MPI's own stand with what else is known of it.
MPI_BIN = ("/usr/lib64/mpi/gcc/*/bin", "/usr/mpi/gcc/*/bin")

# What defines the command ``module``: profile scripts first, since they choose the modules' folders.
MODULE_INITS = (
    "/etc/profile.d/modules.sh",
    "/etc/profile.d/z00_lmod.sh",
    "/etc/profile.d/lmod.sh",
    "/usr/share/modules/init/sh",
    "/usr/share/Modules/init/sh",
    "/usr/share/lmod/lmod/init/sh",
    "/usr/share/lmod/*/init/sh",
    "/opt/lmod/lmod/init/sh",
    "/opt/apps/lmod/lmod/init/sh",
    "/usr/local/Modules/init/sh",
)

# Folders that hold the site-packages of a Python, and conda's, whose lib has libraries itself.
# Shell words as they stand: quotes keep a home with a space whole and let the rest be a pattern.
_PYTHONS = (
    '"$HOME"/.local/lib/python3*/site-packages',
    '"$HOME"/.venv/lib/python3*/site-packages',
    '"$HOME"/*/lib/python3*/site-packages',
    "/opt/*/lib/python3*/site-packages",
    "/usr/local/lib/python3*/dist-packages",
    "/usr/local/lib/python3*/site-packages",
    '${VIRTUAL_ENV:+"$VIRTUAL_ENV"/lib/python3*/site-packages}',
)
_CONDAS = (
    '${CONDA_PREFIX:+"$CONDA_PREFIX"/lib}',
    '"$HOME"/*conda*/lib',
    '"$HOME"/*forge*/lib',
    "/opt/*conda*/lib",
)

# Directories of libnccl.so.2.
NCCL_LIB = (
    "/usr/lib/x86_64-linux-gnu",
    "/usr/lib/aarch64-linux-gnu",
    "/usr/lib64",
    "/usr/local/lib",
    "/usr/local/lib64",
    "/usr/local/nccl*/lib",
    "/usr/local/nccl/build/lib",
    "/usr/local/cuda/lib64",
    "/opt/nccl*/lib",
    "/opt/nccl/build/lib",
    "/opt/nvidia/hpc_sdk/Linux_*/*/comm_libs/nccl/lib",
    *_CONDAS,
    *(f"{python}/nvidia/nccl/lib" for python in _PYTHONS),
)
# Directories of libcudart.so: the wheels of CUDA 13 have one folder for all libraries.
CUDA_LIB = (
    "/usr/local/cuda/lib64",
    "/usr/local/cuda-*/lib64",
    "/usr/lib/x86_64-linux-gnu",
    "/usr/lib/aarch64-linux-gnu",
    "/usr/lib64",
    "/opt/nvidia/hpc_sdk/Linux_*/*/cuda/lib64",
    *_CONDAS,
    *(f"{python}/nvidia/cuda_runtime/lib" for python in _PYTHONS),
    *(f"{python}/nvidia/cu1[3-9]/lib" for python in _PYTHONS),
)
CUDA_RUNTIMES = ("libcudart.so.13", "libcudart.so.12", "libcudart.so.11.0", "libcudart.so")
RCCL_LIB = ("/opt/rocm/lib", "/opt/rocm*/lib")

# Directories of nccl-tests' programs; rccl-tests has the same names.
NCCL_TESTS = (
    "/usr/local/nccl-tests/build",
    "/usr/local/nccl-tests",
    "/opt/nccl-tests/build",
    "/opt/nccl-tests",
    "/opt/nccl_tests/build",
    "/opt/nccl/nccl-tests/build",
    "/opt/oci-hpc/nccl-test/build",
    "/opt/deepops-nccl-tests/build",
    "/opt/rccl-tests/build",
    "/usr/local/cuda*/efa/test-cuda-*",
    "/usr/local/bin",
    "/usr/bin",
    "$HOME/nccl-tests/build",
    "$HOME/rccl-tests/build",
)

# nccl-tests' programs, without ``_perf``; an MPI build may end in ``_perf_mpi``.
NCCL_TEST_NAMES = (
    "all_reduce",
    "all_gather",
    "reduce_scatter",
    "alltoall",
    "alltoallv",
    "broadcast",
    "reduce",
    "gather",
    "scatter",
    "sendrecv",
    "hypercube",
)

# The vendors' tools, where PATH does not have them.
NVIDIA_SMI = (
    "/usr/bin/nvidia-smi",
    "/usr/local/bin/nvidia-smi",
    "/usr/local/nvidia/bin/nvidia-smi",
    "/opt/bin/nvidia-smi",
    "/usr/lib/wsl/lib/nvidia-smi",
)
ROCM_BIN = ("/opt/rocm/bin", "/opt/rocm*/bin")
