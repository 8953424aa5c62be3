"""What an MPI needs on each node is looked for where that MPI has it."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from clusterboot.checks.program_files import fitness_section, parse_fitness
from clusterboot.mpi.launcher import Mpi
from clusterboot.nodes.script import SectionOutput


def absent(mpi: Mpi, path: str, home: Path) -> tuple[str, ...]:
    section = fitness_section(mpi, (), {})
    done = subprocess.run(
        ["/bin/sh", "-c", section.body],
        env={"PATH": f"{path}:{system_without_mpi(home / 'system')}", "HOME": str(home)},
        capture_output=True,
        check=True,
    )
    return parse_fitness(SectionOutput(done.stdout, 0)).absent


def system_without_mpi(folder: Path) -> Path:
    """Give the system's programs but those of an MPI, which only some machines have."""
    if not folder.exists():
        folder.mkdir()
        for program in Path("/usr/bin").iterdir():
            if not re.match(r"orte|prte|prterun|mpi|hydra", program.name) and program.name != "prun":
                (folder / program.name).symlink_to(program)
    return folder


def install(folder: Path, *names: str) -> str:
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).write_text("#!/bin/sh\n")
        (folder / name).chmod(0o755)
    return str(folder)


@pytest.mark.parametrize(
    ("kind", "version", "needed"),
    [
        ("openmpi", "4.1.4", ("orted",)),
        ("openmpi", "5.0.7", ("prted", "prterun")),
        ("openmpi", "6.0.0a1", ("prted", "prterun")),
        ("mpich", "4.0.2", ("hydra_pmi_proxy",)),
        ("intelmpi", "2021.19", ("hydra_bstrap_proxy", "hydra_pmi_proxy")),
    ],
)
def test_each_mpi_needs_its_own_programs(
    tmp_path: Path, kind: str, version: str, needed: tuple[str, ...]
) -> None:
    folder = install(tmp_path / "mpi/bin", "mpirun")
    mpi = Mpi(kind, version, f"{folder}/mpirun")
    assert absent(mpi, str(tmp_path), tmp_path) == tuple(f"{folder}/{name}" for name in needed)
    install(tmp_path / "mpi/bin", *needed)
    assert absent(mpi, str(tmp_path), tmp_path) == ()


def test_a_runtime_of_its_own_folder_is_found_by_path(tmp_path: Path) -> None:
    """Spack builds Open MPI 5 with a PRRTE beside it, not in it."""
    mpi = Mpi("openmpi", "5.0.6", f"{install(tmp_path / 'mpi/bin', 'mpirun')}/mpirun")
    prrte = install(tmp_path / "prrte/bin", "prterun")
    assert absent(mpi, prrte, tmp_path) == (f"{prrte}/prted",)
    install(tmp_path / "prrte/bin", "prted")
    assert absent(mpi, prrte, tmp_path) == ()


def test_another_mpis_programs_are_none_of_this_ones(tmp_path: Path) -> None:
    mpi = Mpi("openmpi", "4.1.4", f"{install(tmp_path / 'mpi/bin', 'mpirun')}/mpirun")
    other = install(tmp_path / "other/bin", "orted")
    assert absent(mpi, other, tmp_path) == (f"{tmp_path}/mpi/bin/orted",)
