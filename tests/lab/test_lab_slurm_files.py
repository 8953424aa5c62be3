"""The files of a lab's Slurm, before anything is started."""

from __future__ import annotations

from pathlib import Path

import pytest

from clusterboot import lab as labs
from clusterboot.errors import UsageError
from clusterboot.lab import description, machine_files, slurm_files


def a_lab(nodes: int = 4, gpus: int = 0) -> labs.Lab:
    return description.new_lab(
        *("lab", Path("/srv/lab"), 3, nodes, 10**9), shared_home=False, slurm=True, gpus=gpus
    )


def test_slurm_conf_is_described() -> None:
    assert (
        slurm_files.slurm_conf(a_lab(), 2)
        == """\
ClusterName=lab
SlurmctldHost=head
SlurmUser=ubuntu
AuthType=auth/munge
StateSaveLocation=/run/slurm/ctl
SlurmdSpoolDir=/run/slurm/spool
SlurmctldPidFile=/run/slurm/ctl/slurmctld.pid
SlurmdPidFile=/run/slurm/slurmd.pid
SlurmctldLogFile=/run/slurm/ctl/slurmctld.log
SlurmdLogFile=/run/slurm/slurmd.log
ProctrackType=proctrack/linuxproc
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
MpiDefault=pmix
PreemptType=preempt/partition_prio
PreemptMode=CANCEL
ReturnToService=2
MessageTimeout=60
BatchStartTimeout=60
SlurmdParameters=config_overrides
NodeName=n[1-4] CPUs=2 State=UNKNOWN
PartitionName=all Nodes=ALL Default=YES PriorityTier=1 MaxTime=INFINITE State=UP
PartitionName=urgent Nodes=ALL PriorityTier=10 MaxTime=INFINITE State=UP
"""
    )


def test_each_gpu_has_a_device_and_a_cpu() -> None:
    lines = slurm_files.slurm_conf(a_lab(nodes=1, gpus=8), 2).splitlines()

    assert "GresTypes=gpu" in lines
    assert "NodeName=n1 CPUs=8 Gres=gpu:8 State=UNKNOWN" in lines
    assert slurm_files.gres_conf(8) == "Name=gpu File=/run/slurm/gpu[0-7]\n"
    assert slurm_files.gres_conf(1) == "Name=gpu File=/run/slurm/gpu0\n"
    assert slurm_files.gres_conf(0) == ""


@pytest.mark.parametrize(
    ("said", "line"),
    [
        ("slurm-wlm 21.08.5\n", "CgroupPlugin=cgroup/v1\n"),
        ("slurm-wlm 22.05.8\n", "CgroupPlugin=cgroup/v1\n"),
        ("slurm-wlm 23.11.4\n", "CgroupPlugin=cgroup/v1\n"),
        ("slurm 24.11.5\n", "CgroupPlugin=disabled\n"),
        ("of no version\n", "CgroupPlugin=cgroup/v1\n"),
    ],
)
def test_control_groups_are_turned_off_as_the_version_wants_it(said: str, line: str) -> None:
    assert slurm_files.cgroup_conf(slurm_files.slurm_version(said)) == line


def test_the_cluster_file_names_the_partition_and_the_login_node() -> None:
    assert (
        machine_files.cluster_file(a_lab())
        == """\
# A lab on this machine, written by lab.up and removed by lab.down.
type: slurm
name: lab
slurm:
  partition: all
  login:
    hostname: 198.19.3.2
    port: 22
    user: ubuntu
    identity_file: '/srv/lab/head_key'
clusterboot:
  trust:
    known_hosts: '/srv/lab/known_hosts'
"""
    )


def test_the_nodes_refuse_and_the_head_does_not() -> None:
    node, head = (machine_files.sshd_config(a_lab(), name).splitlines() for name in ("n1", "head"))

    assert {"UsePAM yes", "LogLevel VERBOSE"} <= set(node)
    assert {"UsePAM no", "LogLevel INFO"} <= set(head)


@pytest.mark.parametrize(
    ("given", "words"), [({"gpus": 2}, "only a lab with Slurm"), ({"slurm": True, "gpus": 65}, "65 GPUs")]
)
def test_gpus_that_cannot_be_are_refused(given: dict[str, int], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        labs.up("lab", **given)  # type: ignore[arg-type]
