"""A lab with Slurm: real munged, slurmctld and slurmd, and nodes that refuse ssh."""

from __future__ import annotations

import shlex
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from clusterboot import lab as labs
from clusterboot.errors import ClusterbootError
from clusterboot.lab import process, slurm_files

pytestmark = [pytest.mark.lab, pytest.mark.slurm]

MakeLab = Callable[..., labs.Lab]

_WORLD = """#include <mpi.h>
#include <stdio.h>
int main(int argc, char **argv)
{
    int size, rank;
    MPI_Init(&argc, &argv);
    MPI_Comm_size(MPI_COMM_WORLD, &size);
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    if (rank == 0)
        printf("world of %d\\n", size);
    MPI_Finalize();
    return 0;
}
"""


@pytest.fixture(scope="module")
def slurm_lab(module_lab: MakeLab) -> labs.Lab:
    return module_lab(nodes=4, slurm=True, gpus=2)


def on_head(lab: labs.Lab, command: str, user: str | None = "ubuntu") -> str:
    done = labs.node_exec(lab.name, "head", ["sh", "-c", command], user)
    assert done.returncode == 0, done.stderr
    return done.stdout


def ssh(lab: labs.Lab, host: str, command: str) -> subprocess.CompletedProcess[str]:
    """Log in to the head, or to a node through it, and run ``command`` there."""
    common = [
        *("ssh", "-F", "none", "-o", "BatchMode=yes", "-o", "IdentitiesOnly=yes", "-o", "IdentityAgent=none"),
        *("-o", f"UserKnownHostsFile={lab.folder}/known_hosts", "-o", "StrictHostKeyChecking=yes"),
    ]
    head = [*common, "-i", f"{lab.folder}/head_key", "-l", "ubuntu"]
    through = " ".join([*head, "-W", "%h:%p", str(lab.head_address)])
    node = [*common, "-i", f"{lab.folder}/node_key", "-l", "ubuntu", "-o", f"ProxyCommand={through}"]
    argv = [*head, str(lab.head_address)] if host == "head" else [*node, host]
    return subprocess.run([*argv, command], capture_output=True, text=True, check=False)


def test_all_nodes_are_idle(slurm_lab: labs.Lab) -> None:
    assert on_head(slurm_lab, "sinfo -h -o '%P %D %t %N %G'").splitlines() == [
        "all* 4 idle n[1-4] gpu:2",
        "urgent 4 idle n[1-4] gpu:2",
    ]


def test_the_head_is_a_login_node(slurm_lab: labs.Lab) -> None:
    assert sorted(ssh(slurm_lab, "head", "srun -N4 hostname").stdout.split()) == ["n1", "n2", "n3", "n4"]


@pytest.mark.parametrize("start", ["salloc -N4 --ntasks-per-node=2 mpirun", "srun -N4 --ntasks-per-node=2"])
def test_a_launch_counts_all_its_ranks(slurm_lab: labs.Lab, tmp_path: Path, start: str) -> None:
    (tmp_path / "world.c").write_text(_WORLD)
    subprocess.run(["mpicc", "-o", tmp_path / "world", tmp_path / "world.c"], check=True)
    for node in slurm_lab.machines:
        place = labs.node_home(slurm_lab.name, node.name) / "world"
        place.write_bytes((tmp_path / "world").read_bytes())
        place.chmod(0o755)

    assert on_head(slurm_lab, f"{start} ./world") == "world of 8\n"


def test_gpus_are_given_to_jobs(slurm_lab: labs.Lab) -> None:
    said = on_head(slurm_lab, "srun -N1 --gres=gpu:2 sh -c 'echo $CUDA_VISIBLE_DEVICES'")

    assert said == "0,1\n"


def test_ssh_to_a_node_is_refused_and_logged(slurm_lab: labs.Lab) -> None:
    refused = ssh(slurm_lab, "n1", "true")

    assert refused.returncode == 255
    assert "Access denied by pam_slurm_adopt: you have no active jobs on this node" in refused.stderr
    log = labs.node_exec(slurm_lab.name, "n1", ["cat", "/run/sshd.log"]).stdout
    assert "Access denied for user ubuntu by PAM account configuration" in log
    assert "Connection from" not in labs.node_exec(slurm_lab.name, "n2", ["cat", "/run/sshd.log"]).stdout


def test_the_user_may_drain_a_node(slurm_lab: labs.Lab) -> None:
    on_head(slurm_lab, "scontrol update nodename=n4 state=drain reason='slow: 0.1'")
    try:
        assert on_head(slurm_lab, "sinfo -h -R -o '%E|%u|%N'") == "slow: 0.1|ubuntu|n4\n"
    finally:
        on_head(slurm_lab, "scontrol update nodename=n4 state=resume")


def test_down_leaves_nothing(make_lab: MakeLab, lab_root: str) -> None:
    before = Path("/proc/self/mountinfo").read_text()
    lab = make_lab(nodes=1, slurm=True)
    inside = {command: found for m in lab.machines if m.init for found, command in process.inside(m.init)}
    assert {"munged", "slurmctld", "slurmd"} <= set(inside)

    labs.down(lab.name)

    assert not any(process.alive(found) for found in inside.values())
    assert not lab.folder.exists()
    assert Path("/proc/self/mountinfo").read_text() == before


@pytest.mark.parametrize(("daemon", "host"), [("munged", "head"), ("slurmctld", "head"), ("slurmd", "n1")])
def test_a_daemon_that_does_not_start_is_one_line(
    make_lab: MakeLab, monkeypatch: pytest.MonkeyPatch, lab_root: str, daemon: str, host: str
) -> None:
    if daemon == "munged":
        # A key that is too short.
        monkeypatch.setattr(slurm_files, "_MUNGE_KEY_BYTES", 3)
    else:
        spoil = {"slurmctld": "SelectType=select/none\n", "slurmd": "SlurmdSpoolDir=/proc/spool\n"}[daemon]
        real = slurm_files.slurm_conf
        monkeypatch.setattr(slurm_files, "slurm_conf", lambda lab, cpus: real(lab, cpus) + spoil)

    with pytest.raises(ClusterbootError) as caught:
        make_lab(nodes=1, slurm=True)

    assert f"{daemon} did not start: " in caught.value.cause
    assert (caught.value.host, caught.value.cause.count("\n")) == (host, 0)
    assert caught.value.remedy


def test_the_command_to_log_in_is_told(slurm_lab: labs.Lab) -> None:
    words = [*shlex.split(labs.login_command(slurm_lab.name)), "sinfo -h -t idle -o %D -p all"]

    assert subprocess.run(words, capture_output=True, text=True, check=True).stdout == "4\n"
