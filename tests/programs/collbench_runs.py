"""collbench compiled, the stand-ins for CUDA and NCCL beside it, and both run by mpirun."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from patience import HANGS_S

from clusterboot.programs.bench_options import BenchOptions, effective_size, nominal_sizes
from clusterboot.programs.collbench.build import BUILD_ARGS, sources

FAKE_SOURCES = Path(__file__).parent / "fake_gpu"
MPIRUN = [
    *("mpirun", "--allow-run-as-root", "--oversubscribe", "--mca", "mpi_yield_when_idle", "1"),
    *("--mca", "btl", "self,vader", "--mca", "btl_vader_single_copy_mechanism", "none"),
    *("--mca", "plm_rsh_agent", "false"),
]
# What neither the compiler nor the sanitizers may find anything against.
STRICT = ("-Wall", "-Wextra", "-Wconversion", "-Werror", "-pedantic")
SANITIZED = ("-g", "-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all")
Run = Callable[..., "subprocess.CompletedProcess[str]"]


@dataclass(frozen=True)
class StandIns:
    """Where the stand-ins for libcudart.so and libnccl.so.2 are."""

    cudart: Path
    nccl: Path

    @property
    def words(self) -> list[str]:
        """The options with which collbench uses them."""
        return ["--nccl", "--libcudart", str(self.cudart), "--libnccl", str(self.nccl)]


def build(folder: Path, *flags: str) -> Path:
    for name, content in sources().items():
        (folder / name).write_text(content)
    binary = folder / "collbench"
    units = [str(folder / name) for name in sources() if name.endswith(".c")]
    subprocess.run(["mpicc", *units, *BUILD_ARGS, "-o", str(binary), *flags], check=True, timeout=HANGS_S)
    return binary


def expected_sizes(
    options: BenchOptions, collective: str, ranks: int, dtype: str = "float"
) -> tuple[int, ...]:
    """List the sizes of the rows that a run must print, in order, in bytes."""
    return tuple(effective_size(size, collective, ranks, dtype) for size in nominal_sizes(options.sweep))


def build_stand_ins(folder: Path) -> StandIns:
    """Compile them under the names that the real libraries have in a Python wheel."""
    found = StandIns(folder / "libcudart.so.12", folder / "libnccl.so.2")

    def compile_one(library: Path, *inputs: str) -> None:
        flags = ("-shared", "-fPIC", "-O1", "-Wall", "-Wextra", "-Werror", "-pthread")
        own = f"-Wl,-soname,{library.name},-rpath,$ORIGIN"
        words = [str(FAKE_SOURCES / name) if name.endswith(".c") else name for name in inputs]
        subprocess.run(["gcc", *flags, own, "-o", str(library), *words, "-lm"], check=True, timeout=HANGS_S)

    compile_one(found.cudart, "fake_cudart.c", "fake_streams.c")
    parts = ("fake_nccl.c", "fake_carry.c", "fake_comm.c", "fake_wire.c", "fake_math.c")
    compile_one(found.nccl, *parts, str(found.cudart))
    return found


def runner(binary: Path) -> Run:
    def run(
        ranks: int, words: str | Sequence[str], launcher: Sequence[str] = MPIRUN, **env: str
    ) -> subprocess.CompletedProcess[str]:
        options = words.split() if isinstance(words, str) else words
        command = [*launcher, "-n", str(ranks), str(binary), *options]
        return subprocess.run(
            command, capture_output=True, text=True, timeout=HANGS_S, env={**os.environ, **env}, check=False
        )

    return run
