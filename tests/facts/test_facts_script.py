"""The real script, run by the shells of this machine."""

from __future__ import annotations

import os
import socket
import subprocess
import time
from pathlib import Path

import pytest
from patience import HANGS_S

from clusterboot.facts.collect import question
from clusterboot.facts.node import NodeFacts
from clusterboot.inventory.cluster import MpiOptions, NcclOptions, Options
from clusterboot.nodes.question import Clock, Reply
from clusterboot.nodes.script import new_nonce, read, render

SHELLS = [["/bin/sh"], ["/bin/dash"], ["/bin/bash", "--posix"], ["/bin/bash"], ["/bin/busybox", "sh"]]


def ask(shell: list[str], tests_dir: str | None = None, prefix: str | None = None, **env: str) -> NodeFacts:
    nonce = new_nonce()
    asked = question(Options(mpi=MpiOptions(prefix=prefix), nccl=NcclOptions(tests_dir)))
    script = render(asked.sections, nonce)
    sent = time.time()
    done = subprocess.run(
        [*shell, "-s"],
        input=script.encode(),
        capture_output=True,
        check=True,
        timeout=HANGS_S,
        env={**os.environ, **env},
    )
    answer = read(done.stdout, nonce)
    assert answer.complete
    assert set(answer.sections) == {section.name for section in asked.sections}
    assert done.stderr == b""
    return asked.parse(Reply(answer.sections, clock=Clock(sent, time.time())))


def interface_names() -> set[str]:
    return {name for _, name in socket.if_nameindex()}


def assert_all_listed(facts: NodeFacts, before: set[str]) -> None:
    """Labs of other tests come and go meanwhile: what was there throughout is listed, and nothing else."""
    listed, after = {interface.name for interface in facts.interfaces}, interface_names()
    assert before & after <= listed <= before | after


@pytest.mark.parametrize("shell", SHELLS, ids=" ".join)
def test_this_machine_is_described(shell: list[str], tmp_path: Path) -> None:
    before = interface_names()
    facts = ask(shell, HOME=str(tmp_path))
    assert facts.hostname == socket.gethostname()
    assert facts.kernel == os.uname().release
    assert facts.arch == os.uname().machine
    assert facts.cpus == len(os.sched_getaffinity(0))
    assert abs(facts.memory_mib - os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2**20) <= 1
    assert facts.limits.known
    assert facts.clock_skew_s is not None
    assert facts.clock_error_s is not None
    assert abs(facts.clock_skew_s) <= facts.clock_error_s
    loopback = next(interface for interface in facts.interfaces if interface.kind == "loopback")
    assert_all_listed(facts, before)
    assert loopback.name == "lo"
    home = facts.home
    assert home is not None
    assert home.path == str(tmp_path)
    assert home.fs_type != "unknown"
    assert home.identity.endswith(f":{tmp_path.stat().st_ino}")


@pytest.mark.parametrize("shell", SHELLS, ids=" ".join)
def test_a_node_with_nothing_but_a_shell_is_described(shell: list[str], tmp_path: Path) -> None:
    before = interface_names()
    facts = ask(shell, HOME=str(tmp_path), PATH=str(tmp_path))
    assert facts.hostname == socket.gethostname()
    assert facts.cpus == len(os.sched_getaffinity(0))
    assert_all_listed(facts, before)


def install(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


@pytest.mark.parametrize("shell", SHELLS, ids=" ".join)
def test_mpi_of_the_prefix_comes_first_and_one_file_counts_once(shell: list[str], tmp_path: Path) -> None:
    prefix = tmp_path / "it's 4.1 $(touch pwned)"
    launcher = install(prefix / "bin/mpirun", "echo run >>$0.log; echo 'mpirun (Open MPI) 4.1.9'")
    install(prefix / "bin/mpicc", "")
    (tmp_path / "path").mkdir()
    (tmp_path / "path/mpirun").symlink_to(launcher)
    facts = ask(shell, prefix=str(prefix), PATH=f"{tmp_path}/path:{os.environ['PATH']}")
    assert facts.mpi[0].launcher == str(launcher)
    assert facts.mpi[0].version == "4.1.9"
    assert facts.mpi[0].mpicc == str(prefix / "bin/mpicc")
    assert [mpi.version for mpi in facts.mpi].count("4.1.9") == 1
    assert Path(f"{launcher}.log").read_text() == "run\n"
    assert not list(tmp_path.rglob("pwned"))


@pytest.mark.parametrize("shell", SHELLS, ids=" ".join)
def test_mvapich_is_not_taken_for_mpich(shell: list[str], tmp_path: Path) -> None:
    install(tmp_path / "bin/mpirun", "echo 'HYDRA build details:'; echo '    Version: 3.2.1'")
    assert [mpi.kind for mpi in ask(shell, prefix=str(tmp_path)).mpi] == ["mpich"]
    install(tmp_path / "bin/mpiname", "echo 'MVAPICH2 2.3.7'")
    assert ask(shell, prefix=str(tmp_path)).mpi == ()


@pytest.mark.parametrize("shell", SHELLS, ids=" ".join)
def test_nccl_and_its_tests_are_found(shell: list[str], tmp_path: Path) -> None:
    library = tmp_path / "lib" / "libnccl.so.2"
    library.parent.mkdir()
    (tmp_path / "lib/libnccl.so.2.27.7").touch()
    library.symlink_to("libnccl.so.2.27.7")
    (tmp_path / "lib/libnccl.so.2.18.3").touch()
    tests_dir = tmp_path / "tests dir"
    program = install(tests_dir / "all_reduce_perf", "")
    mpi_build = install(tests_dir / "alltoall_perf_mpi", "")
    facts = ask(shell, tests_dir=str(tests_dir), LD_LIBRARY_PATH=str(library.parent))
    assert facts.software.nccl_library == str(library)
    assert facts.software.nccl_version == "2.27.7"
    assert facts.software.nccl_tests["all_reduce_perf"] == str(program)
    assert facts.software.nccl_tests["alltoall_perf"] == str(mpi_build)


@pytest.mark.parametrize("shell", SHELLS, ids=" ".join)
def test_gpus_are_listed_by_nvidia_smi_and_its_failure_is_told(shell: list[str], tmp_path: Path) -> None:
    install(
        tmp_path / "nvidia-smi",
        "case $1 in --query*) echo '0, NVIDIA H100 80GB HBM3, GPU-1, 00000000:1B:00.0, 81559, 535.1';;\n"
        "nvlink) printf 'GPU 0: x\\n\\t Link 0: 26.562 GB/s\\n';; topo) ;;\n"
        "*) echo '| CUDA Version: 12.2 |'; echo 'other people';; esac",
    )
    path = f"{tmp_path}:{os.environ['PATH']}"
    gpu = ask(shell, PATH=path).gpu
    assert [device.name for device in gpu.gpus] == ["NVIDIA H100 80GB HBM3"]
    assert (gpu.cuda, gpu.nvlinks, gpu.error) == ("12.2", {0: (26.562,)}, None)
    install(tmp_path / "nvidia-smi", 'echo "couldn\'t communicate with the NVIDIA driver"; exit 9')
    gpu = ask(shell, PATH=path).gpu
    assert gpu.gpus == ()
    assert gpu.error == "couldn't communicate with the NVIDIA driver"


def test_sections_are_named_for_the_room() -> None:
    assert all(section.name.startswith("facts.") for section in question(Options()).sections)
