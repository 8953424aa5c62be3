"""The MPI that the nodes have in common, and where neither they nor the cluster file say which."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from clusterboot.checks.agreement import agree_on_mpi
from clusterboot.errors import ExitCode, UnsettledError
from clusterboot.facts.node import NodeFacts
from clusterboot.mpi.launcher import Mpi
from clusterboot.session.visit import Ledger

OPENMPI, NEWER = (Mpi("openmpi", version, f"/opt/{version}/bin/mpirun") for version in ("4.1.4", "5.0.8"))
MPICH = Mpi("mpich", "4.0.2", "/usr/bin/mpirun.mpich")
NODE = NodeFacts("n", None, "Debian", "6.1", "x86_64", "ubuntu", 2, None, 1, 1024, 1)


def visit_of(names: list[str]) -> Any:
    hosts = [SimpleNamespace(name=name) for name in names]
    options = SimpleNamespace(mpi=SimpleNamespace(prefix=None))
    return SimpleNamespace(good=hosts, ledger=Ledger(names), cluster=SimpleNamespace(options=options))


def agreed(*having: tuple[Mpi, ...]) -> tuple[Mpi, list[str]]:
    facts = {f"n{number}": replace(NODE, mpi=mpis) for number, mpis in enumerate(having, 1)}
    visit = visit_of(list(facts))
    found, _ = agree_on_mpi(visit, facts)
    return found, [row.name for row in visit.ledger.rows if row.status != "ok"]


def test_most_nodes_decide_and_the_others_are_out():
    assert agreed((OPENMPI,), (MPICH,), (OPENMPI,)) == (OPENMPI, ["n2"])


def test_what_all_nodes_have_decides_whatever_they_find_first():
    assert agreed((OPENMPI, MPICH), (MPICH,)) == (MPICH, [])
    assert agreed((OPENMPI, MPICH), (MPICH, OPENMPI)) == (OPENMPI, [])


def test_two_kinds_on_as_many_nodes_are_not_settled():
    with pytest.raises(UnsettledError) as caught:
        agreed((OPENMPI,), (MPICH,))

    assert caught.value.exit_code is ExitCode.UNSETTLED
    assert str(caught.value) == (
        "launch: as many nodes have one MPI as another: openmpi 4.1.4, mpich 4.0.2; write under clusterboot"
        " in the cluster file mpi: {kind: openmpi} or mpi: {kind: mpich}, or install one on all nodes"
    )


def test_two_versions_on_as_many_nodes_are_not_settled():
    with pytest.raises(UnsettledError, match=r"write under clusterboot .* mpi: \{prefix: FOLDER\}"):
        agreed((OPENMPI,), (NEWER,))
