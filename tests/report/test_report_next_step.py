"""What a bootstrap tells its user to do next where nodes have no MPI."""

from __future__ import annotations

from dataclasses import replace

import pytest

from clusterboot.facts.node import NodeFacts
from clusterboot.inventory.cluster import MpiOptions
from clusterboot.mpi.launcher import Mpi
from clusterboot.report.nodes import mpi_to_install

BARE = NodeFacts("n1", None, "Debian GNU/Linux 12 (bookworm)", "", "", "u", 2, None, None, 1024, 1)
HAVING = replace(BARE, mpi=(Mpi("openmpi", "5.0.7", "/usr/bin/mpirun", None, {}),))


@pytest.mark.parametrize(
    ("system", "command"),
    [
        ("Debian GNU/Linux 13 (trixie)", "apt-get install openmpi-bin libopenmpi-dev"),
        ("Ubuntu 24.04.1 LTS", "apt-get install openmpi-bin libopenmpi-dev"),
        ("Red Hat Enterprise Linux 9.4 (Plow)", "dnf install openmpi openmpi-devel"),
        ("Rocky Linux 9.5 (Blue Onyx)", "dnf install openmpi openmpi-devel"),
        ("SLES 15-SP6", "zypper install openmpi4 openmpi4-devel"),
        ("Some Linux", "the same on each"),
    ],
)
def test_without_any_mpi_the_package_to_install_is_named(system: str, command: str) -> None:
    node = replace(BARE, os=system)
    told = mpi_to_install({"n1": node, "n2": node}, MpiOptions())
    assert told
    assert told.startswith("install an MPI on n[1-2] (")
    assert command in told
    assert "clusterboot.mpi.prefix" in told


def test_where_some_have_an_mpi_the_others_are_to_get_the_same() -> None:
    facts = {"n1": HAVING, "n2": BARE, "n3": HAVING}
    assert mpi_to_install(facts, MpiOptions()) == "install openmpi 5.0.7 on n2, as on n[1,3]"


def test_what_the_cluster_file_names_is_to_be_corrected() -> None:
    told = mpi_to_install({"n1": BARE}, MpiOptions(prefix="/opt/mpi"))
    assert told == "install the MPI of clusterboot.mpi.prefix, /opt/mpi, on n1, or correct it"
    broken = replace(BARE, mpi_problem="the module mpi is not known")
    told = mpi_to_install({"n1": broken}, MpiOptions(module="mpi"))
    assert told == "correct clusterboot.mpi.module for n1 (the module mpi is not known)"


def test_with_an_mpi_on_each_nothing_is_missing() -> None:
    assert mpi_to_install({"n1": HAVING}, MpiOptions()) is None
