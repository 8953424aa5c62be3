"""Which benchmark runs, and over what: nccl-tests, NCCL by the project's own program, or MPI."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from clusterboot.errors import PartialError, UsageError
from clusterboot.facts.node import GpuFacts, NodeFacts
from clusterboot.folding import fold
from clusterboot.hostfiles import Slot
from clusterboot.programs.bench_options import BenchOptions, NcclLibraries
from clusterboot.programs.collectives import COLLECTIVES
from clusterboot.session.visit import Visit

Backend = Literal["nccl-tests", "nccl", "mpi"]
BackendChoice = Literal["auto", "nccl-tests", "nccl", "mpi"]

_RUNTIME = re.compile(r"libcudart\.so\.(\d{1,3})")


@dataclass(frozen=True)
class Chosen:
    """What runs. ``libraries`` are NCCL's where the project's own program loads it.

    ``instead`` says why NCCL does not run, where it was not asked for and cannot.
    """

    backend: Backend
    libraries: NcclLibraries | None = None
    instead: str = ""

    @property
    def on_gpu(self) -> bool:
        """Whether it is GPU memory that is measured."""
        return self.backend != "mpi"

    @property
    def program(self) -> str:
        """What runs, for people."""
        if self.backend == "nccl-tests":
            return "nccl-tests, GPU memory"
        if self.libraries is None:
            return "collbench, MPI, host memory"
        shared = ", GPUs shared by ranks: no measure of bandwidth" if self.libraries.share_gpu else ""
        return f"collbench, NCCL, GPU memory{shared}"


def choose(
    wanted: BackendChoice,
    visit: Visit,
    facts: Mapping[str, NodeFacts],
    slots: Sequence[Slot],
    options: BenchOptions | None = None,
    *,
    share_gpu: bool = False,
) -> Chosen:
    """Choose the benchmark: nccl-tests where every node has it, then NCCL where every node can, else MPI.

    Parameters: the choice that was asked for; the ranks of each node; the collectives, ``None``
    for what nccl-tests has no program for; ``share_gpu`` asks for several ranks on one GPU.
    Returns: the choice. A node with another version of NCCL than most is put out.
    Errors: :class:`UsageError` where what was asked for cannot run.
    """
    if wanted == "mpi":
        if share_gpu:
            raise UsageError("--share-gpu is for NCCL, not for --backend mpi")
        return Chosen("mpi")
    if wanted in ("auto", "nccl-tests") and options is not None and not share_gpu:
        lacking = [slot.host for slot in slots if not _has_nccl_tests(facts[slot.host], options)]
        if not lacking:
            return Chosen("nccl-tests")
        if wanted == "nccl-tests":
            raise UsageError(
                f"nccl-tests cannot run: no GPU or not its programs on {fold(lacking)}",
                stage="launch",
                remedy="name its folder as clusterboot.nccl.tests_dir, or use --backend nccl or mpi",
            )
    if wanted == "nccl-tests":
        raise UsageError("--share-gpu needs --backend nccl: nccl-tests gives each rank its own GPU")
    obstacle = _obstacle(facts, slots, share_gpu=share_gpu)
    if obstacle is None:
        _agree_on_nccl(visit, facts)
        return Chosen("nccl", _libraries(facts, slots, share_gpu=share_gpu))
    if wanted == "nccl" or share_gpu:
        raise UsageError(f"NCCL cannot run: {obstacle[0]}", stage="launch", remedy=obstacle[1])
    any_gpu = any(facts[slot.host].gpu.gpus for slot in slots)
    return Chosen("mpi", instead=f"not NCCL: {obstacle[0]}" if any_gpu else "")


def _has_nccl_tests(node: NodeFacts, options: BenchOptions) -> bool:
    programs = {COLLECTIVES[name].program for name in options.collectives}
    return bool(node.gpu.gpus) and programs <= set(node.software.nccl_tests)


def _obstacle(
    facts: Mapping[str, NodeFacts], slots: Sequence[Slot], *, share_gpu: bool
) -> tuple[str, str] | None:
    """Say what keeps NCCL from running on these nodes, and what to do about it."""
    gpus = {slot.host: facts[slot.host].gpu for slot in slots}
    if none := [host for host, gpu in gpus.items() if gpu.vendor != "nvidia" or not gpu.gpus]:
        return f"no NVIDIA GPU on {fold(none)}", "use --backend mpi"
    software = {slot.host: facts[slot.host].software for slot in slots}
    name_them = "install them, or name their folders as clusterboot.nccl.lib_dirs in the cluster file"
    if none := [host for host, found in software.items() if found.nccl_library is None]:
        return f"no libnccl.so.2 on {fold(none)}", name_them
    if none := [host for host, found in software.items() if not found.cuda_runtimes]:
        return f"no libcudart.so on {fold(none)}", name_them
    return None if share_gpu else _shortage(gpus, slots)


def _shortage(gpus: Mapping[str, GpuFacts], slots: Sequence[Slot]) -> tuple[str, str] | None:
    """Say where ranks would have to share a GPU, also one that several nodes of one machine see."""
    if short := [slot.host for slot in slots if slot.slots > len(gpus[slot.host].gpus)]:
        return (
            f"fewer GPUs than ranks on {fold(short)}",
            "start fewer with --procs-per-node, or see the way itself with --share-gpu",
        )
    seen = Counter(each.uuid for gpu in gpus.values() for each in gpu.gpus if each.uuid)
    twice = [
        host for host, gpu in gpus.items() if any(each.uuid and seen[each.uuid] > 1 for each in gpu.gpus)
    ]
    if twice:
        return f"{fold(twice)} have the same GPU", "see the way itself with --share-gpu"
    return None


def _agree_on_nccl(visit: Visit, facts: Mapping[str, NodeFacts]) -> None:
    """Put out the nodes whose NCCL is of another version than most have; unknown ones stay."""
    versions = {host.name: facts[host.name].software.nccl_version for host in visit.good}
    known = Counter(version for version in versions.values() if version)
    if len(known) < 2:
        return
    common = known.most_common(1)[0][0]
    for host, version in versions.items():
        if version and version != common:
            cause = f"it has NCCL {version}, the others {common}"
            remedy = "install the same version on all nodes"
            visit.ledger.fail(host, PartialError(cause, stage="launch", remedy=remedy))


def _libraries(facts: Mapping[str, NodeFacts], slots: Sequence[Slot], *, share_gpu: bool) -> NcclLibraries:
    """List the files of all nodes, those that most have first: each rank takes the first that it has."""
    nodes = [facts[slot.host] for slot in slots]
    nccl = Counter(node.software.nccl_library for node in nodes if node.software.nccl_library)
    cudart: Counter[str] = Counter()
    for node in nodes:
        cudart.update(_runtimes(node))
    return NcclLibraries(
        tuple(path for path, _ in nccl.most_common()),
        tuple(path for path, _ in cudart.most_common()),
        share_gpu,
    )


def _runtimes(node: NodeFacts) -> list[str]:
    """List the runtimes that the node's driver can serve; all of them where that is not known."""
    newest = int(node.gpu.cuda.split(".")[0]) if node.gpu.cuda else None
    majors = {path: _RUNTIME.search(path) for path in node.software.cuda_runtimes}
    fitting = [
        path for path, match in majors.items() if newest is None or match is None or int(match[1]) <= newest
    ]
    return fitting or list(majors)
