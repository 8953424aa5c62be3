"""The cluster file of a Slurm cluster."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from clusterboot.errors import UsageError
from clusterboot.inventory.cluster import Cluster
from clusterboot.inventory.nodeset import expand

Loader = Callable[..., Cluster]


def test_nodes_are_those_of_the_file_or_the_partitions(load_text: Loader) -> None:
    text = "type: slurm\nname: test\nslurm: {partition: gpu, nodes: 'r[1-2]n[01-02]'}\n"
    cluster = load_text(text, exclude="r1n01")
    assert [host.name for host in cluster.hosts] == ["r1n02", "r2n01", "r2n02"]
    whole = load_text("type: slurm\nname: test\nslurm: {partition: [gpu, cpu]}\n", hosts="n[1-2]")
    assert whole.slurm is not None
    assert (whole.hosts, whole.slurm.partitions, whole.wanted) == ((), ("gpu", "cpu"), "n[1-2]")


def test_the_login_node_is_logged_in_to_as_a_host_is(load_text: Loader) -> None:
    cluster = load_text(
        "type: slurm\nname: test\nslurm: {partition: gpu, login: {hostname: login, user: me, port: 2222}}\n"
    )
    assert cluster.slurm is not None
    assert cluster.slurm.login is not None
    login = cluster.slurm.login.login
    assert (login.hostname, login.user, login.port) == ("login", "me", 2222)


def test_a_host_that_is_not_in_the_file_is_refused(load_text: Loader) -> None:
    with pytest.raises(UsageError, match="not in the cluster: n9"):
        load_text("type: slurm\nname: test\nslurm: {partition: gpu, nodes: 'n[1-2]'}\n", hosts="n9")


def test_every_problem_of_the_file_comes_at_once(problems_of: Callable[[str], list[str]]) -> None:
    found = problems_of(
        "type: slurm\nname: test\nslurm:\n  partition: [gpu, 'a b']\n  nodes: n[4-x]\n"
        "  login: {hostname: '-x', usr: me}\n  time_limit_minutes: 0\n  args: [foo, --nodelist=n1]\n"
        "  quos: high\nssh_config: {}\n"
    )
    assert [problem.split(";")[0].removeprefix("cluster.yaml:") for problem in found] == [
        "4: partition: 'a b' is not a partition's name",
        "5: nodes: '4-x' in 'n[4-x]' is not a range",
        "6: hostname: '-x' is not a host name",
        "6: unknown key 'usr'",
        "7: 'time_limit_minutes' is 0",
        "8: args: 'foo' is not an option of salloc",
        "8: args: '--nodelist=n1' is given to salloc already",
        "9: unknown key 'quos'",
        "10: unknown key 'ssh_config'",
    ]


def test_what_is_missing_is_told_with_what_to_write(problems_of: Callable[[str], list[str]]) -> None:
    assert problems_of("type: slurm\nname: test\nslurm: {qos: high}\n")[0] == (
        "cluster.yaml:3: 'partition' is missing; name it as 'sinfo' lists it"
    )


@pytest.mark.slurm
@pytest.mark.parametrize("folded", ["rack[1-2]n[01-03],a[1,3-4]b[8-10]", "n[001-003,7]", "a,b[1-2]"])
def test_node_sets_unfold_as_slurms_own(tmp_path: Path, folded: str) -> None:
    conf = tmp_path / "slurm.conf"
    conf.write_text("ClusterName=x\nSlurmctldHost=localhost\nAuthType=auth/none\n")
    scontrol = shutil.which("scontrol")
    assert scontrol is not None
    argv = [scontrol, "show", "hostnames", folded]
    env = {"SLURM_CONF": str(conf), "PATH": "/usr/bin:/bin"}
    done = subprocess.run(argv, capture_output=True, text=True, env=env, check=True)
    assert list(expand(folded)) == done.stdout.split()
