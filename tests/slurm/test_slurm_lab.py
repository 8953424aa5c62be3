"""Facts and commands over a real Slurm, whose nodes refuse ssh."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from patience import HANGS_S

from clusterboot import lab as labs

pytestmark = [pytest.mark.lab, pytest.mark.slurm]

Run = Callable[..., tuple[int, dict[str, Any]]]


@pytest.fixture(scope="module")
def slurm_lab(module_lab: Callable[..., labs.Lab]) -> labs.Lab:
    return module_lab(nodes=4, slurm=True)


@pytest.fixture
def cluster(slurm_lab: labs.Lab, tmp_path: Path) -> Path:
    """Describe the lab's partition, reached through its head."""
    file = tmp_path / "cluster.yaml"
    file.write_text(
        "type: slurm\nname: test\nslurm:\n  partition: all\n  login:\n"
        f"    hostname: {slurm_lab.head_address}\n    user: ubuntu\n"
        f"    identity_file: {slurm_lab.folder}/head_key\n"
        f"clusterboot: {{trust: {{known_hosts: {slurm_lab.folder}/known_hosts}}}}\n"
    )
    return file


@pytest.fixture
def run(cluster: Path) -> Run:
    """Run a command on the partition, and give exit code and document."""

    def runner(*words: str) -> tuple[int, dict[str, Any]]:
        argv, options = command_line(cluster, words[0], "--json", *words[1:])
        done = subprocess.run(argv, capture_output=True, text=True, check=False, **options)
        return done.returncode, json.loads(done.stdout)

    return runner


def command_line(cluster: Path, *words: str) -> tuple[list[str], dict[str, Any]]:
    argv = [sys.executable, "-m", "clusterboot", words[0], "--cluster", str(cluster), *words[1:]]
    folder = cluster.parent
    return argv, {"env": {**os.environ, "XDG_STATE_HOME": str(folder / "state")}, "cwd": folder}


def on_head(lab: labs.Lab, *argv: str) -> str:
    done = labs.node_exec(lab.name, "head", list(argv), "ubuntu")
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_facts_come_without_one_login_to_a_node(slurm_lab: labs.Lab, run: Run) -> None:
    code, document = run("facts")
    assert code == 0, document
    assert [facts["hostname"] for facts in document["facts"].values()] == ["n1", "n2", "n3", "n4"]
    for node in ("n1", "n2", "n3", "n4"):
        log = labs.node_exec(slurm_lab.name, node, ["cat", "/run/sshd.log"], "root").stdout
        assert "Connection from" not in log
    assert on_head(slurm_lab, "squeue", "--noheader", "--states=RUNNING,PENDING") == ""


def test_each_node_says_its_own_byte_for_byte(run: Run) -> None:
    """Lines longer than Slurm's messages, of all nodes at once."""
    script = 'i=0; while [ $i -lt 40 ]; do printf "%s%5000d\\n" "$SLURMD_NODENAME" $i; i=$((i + 1)); done'
    code, document = run("run", script)
    assert code == 0, document
    for name, answer in document["answers"].items():
        assert answer["stdout"] == "".join(f"{name}{at:5000d}\n" for at in range(40))


def test_a_drained_node_is_told_and_the_others_answer(slurm_lab: labs.Lab, run: Run) -> None:
    drain = ("scontrol", "update", "NodeName=n3")
    on_head(slurm_lab, *drain, "State=DRAIN", "Reason=bad DIMM")
    try:
        code, document = run("run", "true")
    finally:
        on_head(slurm_lab, *drain, "State=RESUME")
    assert code == 3, document
    causes = {host["name"]: host["cause"] for host in document["hosts"]}
    assert causes == {"n1": None, "n2": None, "n3": "Slurm has it drained (drained): bad DIMM", "n4": None}


def test_a_command_that_needs_logins_is_refused(run: Run) -> None:
    code, document = run("bootstrap")
    assert code == 2
    assert document["error"]["cause"] == "bootstrap does not work on a cluster of type slurm"


def test_no_answer_of_a_cancelled_job_is_believed(slurm_lab: labs.Lab, cluster: Path) -> None:
    """Its end kills the command that a script waits for, and not at once the script, which would go on."""
    argv, options = command_line(cluster, "run", "--live", f"echo begun; sleep {HANGS_S}; true")
    pipe = subprocess.PIPE
    with subprocess.Popen(argv, stdout=pipe, stderr=pipe, text=True, **options) as process:
        assert process.stdout is not None
        began = [process.stdout.readline() for _ in slurm_lab.nodes]
        assert all(line.endswith("begun\n") for line in began), (began, process.communicate())
        on_head(slurm_lab, "scancel", on_head(slurm_lab, "squeue", "--noheader", "--format=%i").strip())
        _, said = process.communicate(timeout=HANGS_S)
    assert process.returncode == 4, said
    assert "n[1-4] unreachable" in said
    assert "somebody cancelled it" in said
