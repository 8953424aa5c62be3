"""collbench, the project's own benchmark, over MPI and over NCCL: it prints as nccl-tests does."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from clusterboot.facts.node import GpuFacts, NodeFacts
from clusterboot.folding import fold

from ..bench_options import BenchOptions, argv
from ..collectives import COLLECTIVES
from ..nccl_tests.nccl_tests_program import NcclTests
from ..program import Allocation, Commands, Obstacle

MPI_DTYPES = ("float", "double", "int32")
NCCL_DTYPES = (*MPI_DTYPES, "half", "bfloat16")

_RUNTIME = re.compile(r"libcudart\.so\.(\d{1,3})")


@dataclass(frozen=True)
class NcclLibraries:
    """What collbench runs NCCL with.

    ``nccl`` and ``cudart`` are files on the nodes, of which each rank takes the first that it can
    load; ``share_gpu`` lets several ranks use one GPU.
    """

    nccl: tuple[str, ...] = ()
    cudart: tuple[str, ...] = ()
    share_gpu: bool = False


def nccl_argv(libraries: NcclLibraries | None) -> list[str]:
    """Write the options with which collbench runs over NCCL; none for ``None``, which is over MPI."""
    if libraries is None:
        return []
    words = ["--nccl"]
    for option, files in (("--libnccl", libraries.nccl), ("--libcudart", libraries.cudart)):
        words += [option, ":".join(files)] if files else []
    return [*words, *(["--share-gpu"] if libraries.share_gpu else [])]


def collbench_argv(options: BenchOptions, libraries: NcclLibraries | None = None) -> list[str]:
    """Write collbench's whole option list: the shared ones, all collectives in one run, the cap.

    Parameters: ``libraries`` has it run over NCCL; without them it runs over MPI.
    """
    cap = [] if options.cap_s is None else ["-T", f"{options.cap_s:g}"]
    return [*nccl_argv(libraries), "-t", ",".join(options.collectives), *argv(options), *cap]


class CollbenchMpi(NcclTests):
    """collbench over MPI: it runs wherever an MPI does."""

    name = "mpi"
    title = "MPI"
    on_gpu = False
    is_own = True
    dtypes: tuple[str, ...] = MPI_DTYPES

    def lacks(self, options: BenchOptions) -> Obstacle | None:
        if missing := [name for name in options.collectives if not COLLECTIVES[name].in_collbench]:
            return Obstacle(f"collbench has no {', '.join(missing)}", "run it with nccl-tests")
        if options.dtype is not None and options.dtype not in self.dtypes:
            cause = f"collbench has no type {options.dtype} over {self.title}"
            return Obstacle(cause, f"it has {', '.join(self.dtypes)}")
        return None

    def available(self, on: Allocation, collectives: Sequence[str]) -> Obstacle | None:
        return None

    def described(self, on: Allocation) -> str:
        return "collbench, MPI, host memory"

    def libraries(self, on: Allocation) -> NcclLibraries | None:
        """Give what NCCL is run with; ``None`` where MPI carries the data."""
        return None

    def commands(self, on: Allocation, options: BenchOptions, path: str | None) -> Commands:
        """Write one command for all collectives."""
        return ((f"./{path}", *collbench_argv(options, self.libraries(on))),)


class CollbenchNccl(CollbenchMpi):
    """collbench over NCCL, which it loads itself: no node has to have been given anything but NCCL."""

    name = "nccl"
    title = "NCCL"
    on_gpu = True
    shares_gpus = True
    dtypes = NCCL_DTYPES

    def available(self, on: Allocation, collectives: Sequence[str]) -> Obstacle | None:
        gpus = {host: node.gpu for host, node in on.facts.items()}
        if none := [host for host, gpu in gpus.items() if gpu.vendor != "nvidia" or not gpu.gpus]:
            return Obstacle(f"no NVIDIA GPU on {fold(none)}", "use --backend mpi")
        name_them = "install them, or name their folders as clusterboot.nccl.lib_dirs in the cluster file"
        if none := [host for host, node in on.facts.items() if node.software.nccl_library is None]:
            return Obstacle(f"no libnccl.so.2 on {fold(none)}", name_them)
        if none := [host for host, node in on.facts.items() if not node.software.cuda_runtimes]:
            return Obstacle(f"no libcudart.so on {fold(none)}", name_them)
        return None if on.share_gpu else _shortage(gpus, on.ranks)

    def version(self, node: NodeFacts) -> str | None:
        return node.software.nccl_version

    def described(self, on: Allocation) -> str:
        shared = ", GPUs shared by ranks: no measure of bandwidth" if on.share_gpu else ""
        return f"collbench, NCCL, GPU memory{shared}"

    def libraries(self, on: Allocation) -> NcclLibraries | None:
        """List the files of all nodes, those that most have first: each rank takes the first that it has."""
        nodes = on.facts.values()
        nccl = Counter(node.software.nccl_library for node in nodes if node.software.nccl_library)
        cudart = Counter(path for node in nodes for path in _runtimes(node))
        return NcclLibraries(
            tuple(path for path, _ in nccl.most_common()),
            tuple(path for path, _ in cudart.most_common()),
            on.share_gpu,
        )


def _shortage(gpus: Mapping[str, GpuFacts], ranks: Mapping[str, int]) -> Obstacle | None:
    """Say where ranks would have to share a GPU, also one that several nodes of one machine see."""
    if short := [host for host, count in ranks.items() if count > len(gpus[host].gpus)]:
        return Obstacle(
            f"fewer GPUs than ranks on {fold(short)}",
            "start fewer with --procs-per-node, or see the way itself with --share-gpu",
        )
    seen = Counter(each.uuid for gpu in gpus.values() for each in gpu.gpus if each.uuid)
    if twice := [
        host for host, gpu in gpus.items() if any(each.uuid and seen[each.uuid] > 1 for each in gpu.gpus)
    ]:
        return Obstacle(f"{fold(twice)} have the same GPU", "see the way itself with --share-gpu")
    return None


def _runtimes(node: NodeFacts) -> list[str]:
    """List the runtimes that the node's driver can serve; all of them where that is not known."""
    newest = int(node.gpu.cuda.split(".")[0]) if node.gpu.cuda else None
    majors = {path: _RUNTIME.search(path) for path in node.software.cuda_runtimes}
    fitting = [
        path for path, match in majors.items() if newest is None or match is None or int(match[1]) <= newest
    ]
    return fitting or list(majors)
