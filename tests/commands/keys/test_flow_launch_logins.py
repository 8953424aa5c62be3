"""The logins that are proven are those that mpirun makes: an ``ssh`` on the nodes writes down its calls."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from patience import HANGS_S

from clusterboot import lab as labs
from clusterboot.mpi.launcher import Mpi, RunSpec
from clusterboot.mpi.launchers import command, launch_logins
from operator_fixture import Operator

pytestmark = [pytest.mark.lab, pytest.mark.long]

CALLS = "dev/shm/ssh-calls"
# What ssh is asked about itself is no login.
_RECORDER = f"""\
#!/bin/sh
case " $* " in *" -G "* | *" -V "*) ;; *) printf '%s\\n' "$*" >>/{CALLS};; esac
exec /usr/bin/ssh "$@"
"""
# bash reads it for a command that sshd runs, and for a daemon that starts another one so.
_START_UP = "export PATH=$HOME/recorder:$PATH\n"


def record(lab: labs.Lab) -> None:
    """Put an ``ssh`` that writes down its calls before the real one on every node's path."""
    for node in lab.nodes:
        home = lab.home(node.name)
        (home / "recorder").mkdir()
        (home / "recorder/ssh").write_text(_RECORDER)
        (home / "recorder/ssh").chmod(0o755)
        (home / ".bashrc").write_text(_START_UP)


def recorded(lab: labs.Lab) -> set[tuple[str, str]]:
    """Give the logins since the last call, each from and to, and forget them."""
    names = {word: node.name for node in lab.nodes for word in (node.name, node.address)}
    found = []
    for node in lab.nodes:
        assert node.init
        calls = Path(f"/proc/{node.init.pid}/root/{CALLS}")
        lines = calls.read_text().splitlines() if calls.exists() else []
        calls.unlink(missing_ok=True)
        for line in lines:
            (target,) = {names[word] for word in line.split() if word in names}
            found.append((node.name, target))
    assert len(found) == len(set(found)), "a login was made twice"
    return set(found)


def launch(lab: labs.Lab, operator: Operator, radix: int | None) -> set[tuple[str, str]]:
    """Start a run with the system's mpirun, as clusterboot would; gives the logins that it made."""
    hostfile = (operator.folder / "hostfiles" / lab.name / "openmpi").read_text()
    labs.node_exec(lab.name, "n1", ["tee", "/dev/shm/hostfile"], "ubuntu", text=hostfile)
    spec = RunSpec(
        mpi=Mpi("openmpi", "4.1.4", "mpirun"),
        run_id="a1b2",
        hostfile="/dev/shm/hostfile",
        ranks=len(lab.nodes),
        ranks_per_node=1,
        program=("hostname",),
        cluster=lab.name,
        prints_mark=True,
        network=lab.network,
        tcp_only=True,
        oversubscribed=True,
        radix=radix,
    )
    run = command(spec)
    argv = ["env", *(f"{name}={value}" for name, value in run.env.items()), *run.argv]
    shell = ["bash", "-c", '. ~/.bashrc; exec "$@"', "bash", *argv]
    done = labs.node_exec(lab.name, "n1", shell, "ubuntu", timeout_s=HANGS_S)
    assert sorted(done.stdout.split()) == sorted(node.name for node in lab.nodes), done.stderr
    return recorded(lab)


def assert_proof_is_what_mpirun_does(lab: labs.Lab, operator: Operator) -> None:
    names = [node.name for node in lab.nodes]
    cluster = ("--cluster", str(lab.cluster_file))
    operator.document("bootstrap", "--verify", "none", *cluster)
    record(lab)
    said = operator.document("bootstrap", "--verify", "launch", *cluster)
    assert said["launch_host"] == "n1"
    proven = recorded(lab)
    for radix in (None, 2):
        computed = launch_logins("openmpi", "n1", names, radix)
        made = launch(lab, operator, radix)
        assert made == {(login.source, login.target) for login in computed}, radix
        if radix is None:
            assert made == proven


def test_the_logins_that_are_proven_are_those_that_mpirun_makes(
    make_lab: Callable[..., labs.Lab], operator: Operator
) -> None:
    assert_proof_is_what_mpirun_does(make_lab(nodes=8), operator)


@pytest.mark.slow
def test_they_are_with_72_nodes_where_children_launch_grandchildren(
    make_lab: Callable[..., labs.Lab], operator: Operator
) -> None:
    assert_proof_is_what_mpirun_does(make_lab(nodes=72), operator)
