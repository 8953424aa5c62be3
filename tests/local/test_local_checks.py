"""Checks on homes of this machine: who is out, of facts and answers of nodes that are still in."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace

from local_cluster import LocalCluster, planned

from clusterboot.checks.check import Check, require
from clusterboot.checks.memlock import MemoryLockable
from clusterboot.checks.subjects import Planned
from clusterboot.commands.facts import inventory
from clusterboot.errors import PartialError
from clusterboot.facts.node import Limits, RdmaPort
from clusterboot.session.visit import UnfitError


def test_a_node_that_lets_too_little_be_locked_is_out(cluster: LocalCluster) -> None:
    facts = dict(inventory(cluster.context()).facts)
    port = RdmaPort("mlx5_0", 1, "InfiniBand", "ACTIVE")
    facts["n2"] = replace(facts["n2"], rdma_ports=(port,), limits=Limits(8192, 1024))
    with cluster.context().visit() as visit:
        assert require(visit, planned(facts), [MemoryLockable()]) == ("n2",)


class OneKernel(Check[Planned, None]):
    """Each node has the kernel that most have."""

    def judge(self, subject: Planned, answers: Mapping[str, None]) -> Mapping[str, UnfitError]:
        kernels = {name: node.kernel for name, node in subject.ready.facts.items()}
        assert [slot.host for slot in subject.slots] == list(kernels)
        ((usual, count),) = Counter(kernels.values()).most_common(1)
        if 2 * count <= len(kernels):
            return {}
        return {
            name: UnfitError("mpi-launch", f"its kernel is {kernel}", stage="launch")
            for name, kernel in kernels.items()
            if kernel != usual
        }


def test_who_is_out_is_in_no_majority(cluster: LocalCluster) -> None:
    facts = dict(inventory(cluster.context()).facts)
    for name, kernel in (("n1", "6.1"), ("n2", "6.1"), ("n3", "6.12")):
        facts[name] = replace(facts[name], kernel=kernel)
    with cluster.context().visit() as visit:
        visit.ledger.fail("n1", PartialError("gone", stage="connect"))
        assert require(visit, planned(facts), [OneKernel()]) == ()
    with cluster.context().visit() as visit:
        assert require(visit, planned(facts), [OneKernel()]) == ("n3",)


class KernelOfTheLaunch(Check[Planned, None]):
    """Each node has the kernel of the machine that launches."""

    def judge(self, subject: Planned, answers: Mapping[str, None]) -> Mapping[str, UnfitError]:
        usual = subject.ready.launching_facts.kernel
        return {
            name: UnfitError("mpi-launch", f"its kernel is {node.kernel}", stage="launch")
            for name, node in subject.ready.facts.items()
            if node.kernel != usual
        }


def test_what_is_known_of_the_launching_node_stays_known_when_it_is_out(cluster: LocalCluster) -> None:
    facts = dict(inventory(cluster.context()).facts)
    facts["n3"] = replace(facts["n3"], kernel="another")
    with cluster.context().visit() as visit:
        visit.ledger.fail("n1", PartialError("gone", stage="connect"))
        assert planned(facts).ready.start == "n1"
        assert require(visit, planned(facts), [KernelOfTheLaunch()]) == ("n3",)
