"""The command lines of Slurm's commands, word for word."""

from __future__ import annotations

import subprocess

from clusterboot.inventory.cluster import SlurmOptions
from clusterboot.slurm.argv import JobRequest, allocate, node_script, step, step_script


def test_a_job_takes_its_nodes_whole_and_ends_by_itself() -> None:
    options = SlurmOptions(("gpu",), account="hpc", gpus_per_node=8, args=("--signal=USR1",))
    request = JobRequest("clusterboot-facts", "clusterboot facts of lab", ("n1", "n2", "n3"), 30, options)
    assert " ".join(allocate(request)) == (
        "salloc --job-name=clusterboot-facts --comment=clusterboot facts of lab --partition=gpu --nodes=3 "
        "--nodelist=n[1-3] --time=30 --exclusive --mem=0 --no-kill --kill-command=TERM --account=hpc "
        "--gpus-per-node=8 --signal=USR1"
    )


def test_a_step_is_one_shell_a_node() -> None:
    assert " ".join(step(7, ["n1", "n2"], labelled=True)) == (
        "srun --jobid=7 --overlap --nodes=2 --ntasks=2 --ntasks-per-node=1 --nodelist=n[1-2] --mem=0 "
        "--mpi=none --chdir=/ --no-kill --kill-on-bad-exit=0 --wait=0 --label /bin/sh -s"
    )


def test_a_script_goes_by_standard_input_and_not_by_arguments() -> None:
    """Whoever lists the processes of the login node sees no word of it."""
    text = step_script(["cat"], "it's $secret\n").encode()
    done = subprocess.run(["sh", "-s"], input=text, capture_output=True, check=True)
    assert done.stdout == b"it's $secret\n"


def run_as(script: str, node: str, task: int) -> tuple[int, str]:
    env = {"SLURM_PROCID": str(task), "SLURMD_NODENAME": node, "PATH": "/usr/bin:/bin", "HOME": "/"}
    done = subprocess.run(["sh", "-s"], input=script, capture_output=True, text=True, env=env, check=False)
    return done.returncode, done.stdout


def test_each_node_runs_its_own_script() -> None:
    script = node_script(["n1", "n2", "n3"], ["echo one\n", "echo two\n", "echo one\n"])
    assert script.count("echo one") == 1
    assert [run_as(script, f"n{at + 1}", at)[1] for at in range(3)] == ["one\n", "two\n", "one\n"]


def test_a_task_on_another_node_than_expected_says_nothing() -> None:
    assert run_as(node_script(["n1", "n2"], ["echo one\n"] * 2), "n1", 1) == (99, "")
