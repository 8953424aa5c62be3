"""Launches from the head: with a key of its own, no rank, and nothing left of it after a teardown."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable

import pytest

import launch_mpis
from clusterboot import lab as labs
from operator_fixture import Operator

pytestmark = [pytest.mark.lab, pytest.mark.long]

SWEEP = ("-b", "1K", "-e", "4K", "-f", "4", "-n", "2", "-w", "0")
MODES = [
    "per-node",
    pytest.param("ca", marks=pytest.mark.slow),
    pytest.param("shared", marks=pytest.mark.slow),
]


def contents(lab: labs.Lab, name: str) -> dict[str, str]:
    """Give what the user has on a machine, with a digest of each file but the benchmark."""
    home = lab.home(name)
    return {
        str(path.relative_to(home)): hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""
        for path in home.rglob("*")
        if "/bench" not in str(path)
    }


def everywhere(lab: labs.Lab) -> dict[str, dict[str, str]]:
    return {machine.name: contents(lab, machine.name) for machine in lab.machines}


@pytest.mark.parametrize("mode", MODES)
def test_the_head_launches_with_a_key_that_goes_with_the_teardown(
    make_lab: Callable[..., labs.Lab], operator: Operator, mode: str
) -> None:
    lab = make_lab(nodes=2)
    cluster = ("--cluster", str(lab.cluster_file))
    before = everywhere(lab)
    operator.document("bootstrap", "--keys", mode, *cluster)
    assert contents(lab, "head") == before["head"]

    dry = operator.document("nccl-test", *cluster, *SWEEP, "--launch-from", "head", "--dry-run")
    assert dry["exit_code"] == 0
    assert contents(lab, "head") == before["head"]
    said = operator.document("nccl-test", *cluster, *SWEEP, "--launch-from", "head")
    assert (said["verdict"], said["launch_host"], said["ranks"]) == ("ok", "head", 2)
    assert {rank["host"] for rank in said["tests"][0]["ranks"]} == {"n1", "n2"}
    launching = everywhere(lab)
    own = f".ssh/clusterboot/{lab.name}"
    added = set(launching["head"]) - set(before["head"])
    assert {name for name in added if name.startswith(f"{own}/")} == added - {".ssh/clusterboot", own}
    assert {name: launching["head"][name] for name in before["head"]} == before["head"]

    # Nothing is done twice, and a bootstrap leaves the head's way in.
    mapped = operator.run("link-map", *cluster, "-e", "4K", "--launch-from", "head", "--json")
    # What it finds of links beside other tests' work is not what this is about.
    assert mapped.returncode in (0, 6), mapped.stderr
    assert json.loads(mapped.stdout)["launch_host"] == "head"
    assert operator.document("bootstrap", *cluster)["changed_files"] == {}
    assert everywhere(lab) == launching

    operator.document("teardown", *cluster)
    assert everywhere(lab) == before


@pytest.mark.slow
def test_a_rotation_takes_the_heads_key_and_the_next_launch_makes_another(
    make_lab: Callable[..., labs.Lab], operator: Operator
) -> None:
    lab = make_lab(nodes=2)
    cluster = ("--cluster", str(lab.cluster_file))
    before = contents(lab, "head")
    operator.document("bootstrap", *cluster)
    operator.document("nccl-test", *cluster, *SWEEP, "--launch-from", "head")
    key = lab.home("head") / f".ssh/clusterboot/{lab.name}/id_ed25519.pub"
    first = key.read_text()
    operator.document("rotate-keys", *cluster)
    assert contents(lab, "head") == before
    operator.document("nccl-test", *cluster, *SWEEP, "--launch-from", "head")
    second = key.read_text()
    known = (lab.home("n1") / ".ssh/authorized_keys").read_text()
    assert second.split()[1] in known
    assert first.split()[1] not in known


@pytest.mark.slow
def test_a_head_that_cannot_launch_is_named_before_anything_is_launched(
    make_lab: Callable[..., labs.Lab], operator: Operator
) -> None:
    lab = make_lab(nodes=2)
    text = lab.cluster_file.read_text() + "  mpi: {kind: openmpi}\n"
    cluster = ("--cluster", str(operator.write("openmpi.yaml", text)))
    operator.document("bootstrap", *cluster)
    hidden = f"mount --bind /dev/null {launch_mpis.system_openmpi().launcher}"
    assert labs.node_exec(lab.name, "head", ["sh", "-c", hidden]).returncode == 0

    said = operator.document("nccl-test", *cluster, *SWEEP, "--launch-from", "head", expect=6)

    assert said["verdict"] == "could-not-launch"
    ((host, kind),) = [(problem["host"], problem["kind"]) for problem in said["problems"]]
    assert (host, kind) == ("head", "missing-executable")
