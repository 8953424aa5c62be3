from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

import launch_mpis
from clusterboot import lab as labs
from operator_fixture import Operator

pytestmark = [pytest.mark.lab, pytest.mark.long]

NODES = [f"n{number}" for number in range(1, 9)]
SWEEP = ("-b", "4", "-e", "64K", "-f", "128", "-n", "2", "-w", "1", "--collective", "all_reduce")


@dataclass(frozen=True)
class Site:
    """A bootstrapped lab, and who works on it."""

    lab: labs.Lab
    operator: Operator

    def cluster(self, name: str, mpi: str) -> str:
        """Write the lab's cluster file with another ``mpi`` in it."""
        text = self.lab.cluster_file.read_text() + f"  mpi: {mpi}\n"
        return str(self.operator.write(f"{name}.yaml", text))

    def running(self) -> dict[str, set[str]]:
        """Give the nodes on which anything of a launch still runs."""
        found = {}
        for node in NODES:
            text = labs.node_exec(self.lab.name, node, ["ps", "-u", "ubuntu", "-o", "comm="]).stdout
            found[node] = (launch_mpis.STARTERS | {"collbench"}) & set(text.split())
        return {node: names for node, names in found.items() if names}


@pytest.fixture(scope="module")
def site(bootstrapped: Callable[[int], tuple[labs.Lab, Operator]]) -> Site:
    return Site(*bootstrapped(8))


# Kind, version, and the name of its folder in tests/mpis; without one it is the distribution's.
MPIS: dict[str, tuple[str, str, str | None]] = {
    "openmpi": ("openmpi", "", None),
    "openmpi-5.0": ("openmpi", "5.0.", "openmpi5"),
    "mpich": ("mpich", "4.", None),
    "mpich-5": ("mpich", "5.", "mpich5"),
    "intelmpi": ("intelmpi", "2021.", "intelmpi"),
}


@pytest.mark.parametrize("name", MPIS)
def test_every_mpi_launches_a_rank_on_each_of_8_nodes(site: Site, name: str) -> None:
    kind, version, folder = MPIS[name]
    prefix = launch_mpis.folders()[folder] if folder else None
    chosen = f"{{prefix: {prefix}}}" if prefix else f"{{kind: {kind}}}"

    said = site.operator.document("nccl-test", "--cluster", site.cluster(name, chosen), *SWEEP)

    assert (said["verdict"], said["exit_code"], said["problems"]) == ("ok", 0, [])
    assert (said["mpi"]["kind"], said["mpi"]["version"][: len(version)]) == (kind, version)
    assert Path(said["mpi"]["launcher"]).is_absolute()
    assert said["mpi"]["launcher"].startswith(prefix or "/usr/bin/")
    assert [test["collective"] for test in said["tests"]] == ["all_reduce"]
    for test in said["tests"]:
        assert sorted(rank["host"] for rank in test["ranks"]) == NODES
        assert [row["out_of_place"]["wrong"] for row in test["rows"]] == [0, 0, 0]
    assert site.running() == {}


# What Environment Modules' package puts there, without its Tcl: the command is a shell function that
# evaluates what another program prints.
PROFILE = """\
MODULEPATH=/etc/modulefiles; export MODULEPATH
module() { eval "$(/etc/modulecmd "$@")"; }
"""
MODULECMD = """\
#!/bin/sh
shift
for name; do
  if [ -r "$MODULEPATH/$name" ]; then
    cat "$MODULEPATH/$name"
    echo "LOADEDMODULES=\\$LOADEDMODULES:$name; export LOADEDMODULES"
  else
    echo "ERROR: Unable to locate a modulefile for '$name'" >&2
    echo "false"
  fi
done
"""
MODULE = """\
PATH=PREFIX/bin:$PATH; export PATH
LD_LIBRARY_PATH=PREFIX/lib; export LD_LIBRARY_PATH
SITE_MPI=PREFIX; export SITE_MPI
"""


def test_a_module_brings_the_mpi_and_its_environment(site: Site) -> None:
    prefix = launch_mpis.folders()["openmpi5"]
    nodes = ("--hosts", "n[1-2]")
    for node in ("n1", "n2"):
        for path, text in (
            ("/etc/profile.d/modules.sh", PROFILE),
            ("/etc/modulecmd", MODULECMD),
            ("/etc/modulefiles/openmpi/5.0", MODULE.replace("PREFIX", prefix)),
        ):
            script = f"mkdir -p {Path(path).parent} && cat >{path} && chmod 755 {path}"
            labs.node_exec(site.lab.name, node, ["sh", "-c", script], text=text)

    modular = site.cluster("module", "{module: openmpi/5.0}")
    said = site.operator.document("nccl-test", "--cluster", modular, *nodes, "-e", "8")
    assert said["verdict"] == "ok"
    assert said["mpi"]["launcher"] == f"{prefix}/bin/mpirun"
    assert said["mpi"]["env"]["LD_LIBRARY_PATH"] == f"{prefix}/lib"
    assert said["mpi"]["env"]["SITE_MPI"] == prefix
    assert set(said["mpi"]["env"]) == {"LD_LIBRARY_PATH", "PATH", "SITE_MPI"}

    unknown = site.cluster("unknown", "{module: openmpi/6}")
    done = site.operator.run("nccl-test", "--cluster", unknown, *nodes)
    assert done.returncode == 6
    assert "Unable to locate a modulefile for 'openmpi/6'" in done.stdout + done.stderr
