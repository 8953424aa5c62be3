"""Faults that a lab's Slurm can have, seen by its user on the head."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from clusterboot import lab as labs
from clusterboot.errors import UsageError
from clusterboot.lab import slurm_daemons

pytestmark = [pytest.mark.lab, pytest.mark.slurm]

MakeLab = Callable[..., labs.Lab]


@pytest.fixture(scope="module")
def slurm_lab(module_lab: MakeLab) -> labs.Lab:
    return module_lab(nodes=2, slurm=True)


@contextmanager
def broken(lab: labs.Lab, node: str, fault: str) -> Iterator[None]:
    """Have a fault in a lab, of which all nodes are idle afterwards."""
    labs.break_node(lab.name, node, fault)
    try:
        yield
    finally:
        labs.mend(lab.name, node)
        slurm_daemons.wait_for_nodes(lab, lab.nodes)


def on_head(lab: labs.Lab, *argv: str) -> str:
    done = labs.node_exec(lab.name, "head", argv, "ubuntu")
    return done.stdout if done.returncode == 0 else f"failed: {done.stderr}"


def state(lab: labs.Lab, node: str) -> str:
    return on_head(lab, "sinfo", "-h", "-p", "all", "-n", node, "-o", "%t %E %u").strip()


def test_a_node_that_somebody_else_drained(slurm_lab: labs.Lab) -> None:
    with broken(slurm_lab, "n2", "drained"):
        assert state(slurm_lab, "n2") == "drain bad memory, ticket 1234 root"


def test_a_node_whose_slurmd_is_gone(slurm_lab: labs.Lab) -> None:
    with broken(slurm_lab, "n2", "slurmd-stopped"):
        assert state(slurm_lab, "n2").startswith("down* Not responding")


def test_a_node_that_was_powered_off_comes_back(slurm_lab: labs.Lab) -> None:
    with broken(slurm_lab, "n2", "powered-off"):
        assert state(slurm_lab, "n1").startswith("idle")


def test_a_node_in_maintenance(slurm_lab: labs.Lab) -> None:
    with broken(slurm_lab, "n1", "maintenance"):
        assert state(slurm_lab, "n1").startswith("maint")


def test_a_full_partition_and_who_has_it(slurm_lab: labs.Lab) -> None:
    with broken(slurm_lab, "head", "busy"):
        assert on_head(slurm_lab, "squeue", "-h", "-o", "%u %D") == "other 2\n"
        assert "Unable to allocate" in on_head(slurm_lab, "srun", "--immediate=1", "true")


def test_an_urgent_job_takes_the_nodes_of_another(slurm_lab: labs.Lab) -> None:
    with broken(slurm_lab, "n1", "busy"), broken(slurm_lab, "head", "urgent"):
        while (jobs := on_head(slurm_lab, "squeue", "-h", "-o", "%u %P %t")) != "other urgent R\n":
            assert "failed" not in jobs


def test_no_controller(slurm_lab: labs.Lab) -> None:
    with broken(slurm_lab, "head", "slurmctld-stopped"):
        assert "slurmctld" not in {
            command for _, command in labs.process.inside(slurm_lab.head.init or pytest.fail("no head"))
        }


def test_a_wrong_default_for_mpi(slurm_lab: labs.Lab) -> None:
    with broken(slurm_lab, "head", "mpi-default"):
        assert "MpiDefault              = none" in on_head(slurm_lab, "scontrol", "show", "config")


def test_a_user_without_rights(slurm_lab: labs.Lab) -> None:
    drain = ("scontrol", "update", "nodename=n1", "state=drain", "reason=x")
    with broken(slurm_lab, "head", "not-operator"):
        assert "Invalid user id" in on_head(slurm_lab, *drain)


def test_faults_are_refused_where_they_cannot_be(slurm_lab: labs.Lab, lab: labs.Lab) -> None:
    with pytest.raises(UsageError, match="not one of head"):
        labs.break_node(slurm_lab.name, "head", "drained")
    with pytest.raises(UsageError, match="not one of n1"):
        labs.break_node(slurm_lab.name, "n1", "slurmctld-stopped")
    with pytest.raises(UsageError, match="a lab with Slurm"):
        labs.break_node(lab.name, "n1", "drained")
