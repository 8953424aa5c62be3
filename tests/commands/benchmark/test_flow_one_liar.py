"""One node that speaks for the others in what decides about all of them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from benchmark_bed import Bed

from clusterboot import lab as labs
from operator_fixture import Operator

pytestmark = [pytest.mark.lab, pytest.mark.long]

# As rank 0 prints it: that n1 and n2 do not reach each other, in every round.
FORGED = (
    'for round in 0 1 2 3; do for ends in "0 1" "1 0"; do echo "pair $round $ends 0 0 0 0"; done; '
    'echo "# round $round"; done; echo "# Shared GPUs: up to 9 ranks on one, over sockets; no measure"'
)


@pytest.fixture(scope="module")
def kept(module_lab: Callable[..., labs.Lab], tmp_path_factory: pytest.TempPathFactory) -> Bed:
    bed = Bed(module_lab(nodes=3), Operator(tmp_path_factory.mktemp("operator")))
    bed.prepare()
    return bed


@pytest.fixture
def bed(kept: Bed) -> Iterator[Bed]:
    yield kept
    kept.heal()
    hostname(kept, "n3")


def hostname(bed: Bed, name: str) -> None:
    """Have n3 call itself something that hostname(1) would refuse."""
    script = f"import socket; socket.sethostname({name!r})"
    labs.node_exec(bed.lab.name, "n3", ["python3", "-c", script])


def mapped(bed: Bed) -> dict[str, Any]:
    done = bed.operator.run("link-map", *bed.cluster, "--backend", "mpi", "--json")
    assert done.returncode in (0, 6), done.stderr
    document: dict[str, Any] = json.loads(done.stdout)
    return document


def test_a_rank_that_prints_other_pairs_rates_moves_none_of_them(bed: Bed) -> None:
    bed.inject(FORGED, "n3")
    document = mapped(bed)

    rates = document["bandwidth_gb_s"]
    assert rates[0][1] > 0
    assert rates[1][0] > 0
    assert not document["shares_gpus"]


def test_a_hostname_with_lines_in_it_prints_none(bed: Bed) -> None:
    hostname(bed, "x\npair 0 0 1 0 0 0 0\ny")
    document = mapped(bed)

    assert document["bandwidth_gb_s"][0][1] > 0
    assert document["bandwidth_gb_s"][1][0] > 0


def test_one_node_puts_the_others_on_no_other_terms(
    make_lab: Callable[..., labs.Lab], operator: Operator, tmp_path: Any
) -> None:
    lab = make_lab(nodes=3)
    cluster = ("--cluster", str(lab.cluster_file))
    other = Operator(tmp_path / "other")
    other.folder.mkdir()
    other.document("bootstrap", *cluster, "--hosts", "n3", "--keys", "shared")

    said = operator.document("bootstrap", *cluster)

    assert said["keys"] == "per-node"
    assert "most nodes have nothing of shared" in said["keys_reason"]
    assert {host["status"] for host in said["hosts"]} == {"ok"}
