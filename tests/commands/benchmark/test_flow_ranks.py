"""A launching node whose mpirun does something else: no good verdict, and no host but that one to look at."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from benchmark_bed import SWEEP, named

from clusterboot import lab as labs
from operator_fixture import Operator

pytestmark = [pytest.mark.lab, pytest.mark.long]

# All ranks where mpirun runs, in place of where the hostfile says.
ON_ONE = r"""
for word; do
  case $last in
    --hostfile) printf 'localhost slots=64\n' >"$HOME/one"; word=$HOME/one ;;
    --map-by) word=slot:oversubscribe ;;
  esac
  last=$word
  set -- "$@" "$word"
  shift
done
"""
# The first run is as it should be, and kept; each later one is that one again.
REPLAY = r"""
if [ -s "$HOME/kept" ]; then cat "$HOME/kept"; exit 0; fi
"$real" "$@" | tee "$HOME/kept"
exit
"""
TWICE = r"""
"$real" "$@" >"$HOME/said" && cat "$HOME/said" "$HOME/said"
exit
"""


@pytest.fixture(scope="module")
def bed(bootstrapped: Callable[[int], tuple[labs.Lab, Operator]]) -> tuple[labs.Lab, Operator]:
    return bootstrapped(3)


@pytest.fixture
def lying(bed: tuple[labs.Lab, Operator]) -> Iterator[Lying]:
    lying = Lying(*bed)
    yield lying
    lying.end()


class Lying:
    """The lab with another mpirun in the way of its nodes' PATH."""

    def __init__(self, lab: labs.Lab, operator: Operator) -> None:
        self.lab, self.operator = lab, operator
        self.homes = [lab.home(node.name) for node in lab.nodes]

    def begin(self, script: str) -> None:
        real = "real=$(PATH=${PATH#*elsewhere:}; command -v mpirun)\n"
        asked = '[ "$1" != --version ] || exec "$real" "$@"\n'
        for home in self.homes:
            folder = home / "elsewhere"
            folder.mkdir()
            _own(folder, home, 0o755)
            for name in ("mpicc", "orted"):
                (folder / name).symlink_to(str(shutil.which(name)))
            (folder / "mpirun").write_text(f'#!/bin/sh\n{real}{asked}{script}exec "$real" "$@"\n')
            _own(folder / "mpirun", home, 0o755)
            (home / ".bashrc").write_text("PATH=$HOME/elsewhere:$PATH; export PATH\n")
            _own(home / ".bashrc", home, 0o644)

    def end(self) -> None:
        for home in self.homes:
            shutil.rmtree(home / "elsewhere", ignore_errors=True)
            for name in (".bashrc", "kept", "said", "one"):
                (home / name).unlink(missing_ok=True)

    def test(self, expect: int) -> dict[str, Any]:
        cluster = ("--cluster", str(self.lab.cluster_file))
        document: dict[str, Any] = self.operator.document(
            "nccl-test", *cluster, "--backend", "mpi", *SWEEP, expect=expect
        )
        return document


def _own(path: Path, home: Path, mode: int) -> None:
    path.chmod(mode)
    os.chown(path, home.stat().st_uid, home.stat().st_gid)


def test_ranks_that_all_run_on_one_node_prove_nothing_of_the_others(lying: Lying) -> None:
    lying.begin(ON_ONE)

    said = lying.test(6)

    assert said["tests"], said["hosts"]
    assert {rank["host"] for rank in said["tests"][0]["ranks"]} == {"n1"}
    assert said["verdict"] == said["tests"][0]["verdict"] == "inconclusive"
    assert re.search(r"n1 shows 3 of 1 rank; n2 shows none of 1 rank; n3 shows none", said["reason"])
    assert named(said) == [("mpi-launch", "n1")]


def test_the_output_of_an_earlier_run_is_not_taken_for_this_ones(lying: Lying) -> None:
    lying.begin(REPLAY)
    assert lying.test(0)["verdict"] == "ok"

    again = lying.test(6)

    assert (again["verdict"], named(again)) == ("inconclusive", [("mpi-launch", "n1")])
    assert "the mark of another run" in again["reason"]


def test_a_table_that_comes_twice_is_no_proof(lying: Lying) -> None:
    lying.begin(TWICE)

    said = lying.test(6)

    assert said["verdict"] == "inconclusive"
    assert "more often than it was run" in said["reason"]


def test_a_link_map_takes_no_figure_of_a_node_without_a_rank_of_its_own(lying: Lying) -> None:
    lying.begin(ON_ONE)
    cluster = ("--cluster", str(lying.lab.cluster_file))

    said = lying.operator.document("link-map", *cluster, "--backend", "mpi", "--mode", "full", expect=6)

    assert said["verdict"] == "inconclusive"
    assert {rate for row in said["bandwidth_gb_s"] for rate in row} == {None}
    assert [host["name"] for host in said["hosts"] if host["status"] != "ok"] == ["n1"]
