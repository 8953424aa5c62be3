"""Real machines that lie about themselves: the other nodes are told nothing of it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import pytest
from start_files import rewriting

from clusterboot import lab as labs
from operator_fixture import Operator

pytestmark = pytest.mark.lab


@pytest.fixture(scope="module")
def lab(module_lab: Callable[..., labs.Lab]) -> labs.Lab:
    return module_lab(nodes=5)


@contextmanager
def named(lab: labs.Lab, names: Mapping[str, str]) -> Iterator[None]:
    """Have machines call themselves something else."""
    try:
        for node, name in names.items():
            labs.node_exec(lab.name, node, ["hostname", name])
        yield
    finally:
        for node in names:
            labs.node_exec(lab.name, node, ["hostname", node])


def config(lab: labs.Lab, node: str) -> str:
    return (lab.home(node) / f".ssh/clusterboot/{lab.name}/config").read_text()


def words(lab: labs.Lab, node: str) -> set[str]:
    """All names and addresses that a node's configuration leads somewhere."""
    lines = config(lab, node).splitlines()
    return {word for line in lines if line.startswith("Host ") for word in line.split()[1:]}


def sources(lab: labs.Lab, node: str, of: str) -> set[str]:
    lines = (lab.home(node) / ".ssh/authorized_keys").read_text().splitlines()
    (line,) = (line for line in lines if line.endswith(f"clusterboot:{lab.name}:{of}"))
    own = {"127.0.0.0/8", "::1"}
    return set(line.partition('from="')[2].partition('"')[0].split(",")) - own


def bootstrap(operator: Operator, lab: labs.Lab, **more: Any) -> dict[str, Any]:
    return operator.document("bootstrap", "--cluster", str(lab.cluster_file), "--verify", "none", **more)


LIES = [
    {"n1": "backup.corp.example", "n2": "n3", "n3": "github.com", "n4": "localhost"},
    {"n1": "head", "n2": "10.64.0.1", "n3": "n3.n4", "n4": "login"},
]


@pytest.mark.parametrize("lies", LIES, ids=lambda lies: ",".join(lies.values()))
def test_no_name_of_anything_else_leads_to_a_node(
    lab: labs.Lab, operator: Operator, lies: dict[str, str]
) -> None:
    honest = {machine.name for machine in lab.nodes} | {machine.address for machine in lab.nodes}
    for node in ("n1", "n5"):
        # Two of those that are asked know whose name it is.
        labs.node_exec(lab.name, node, ["sh", "-c", "echo 192.0.2.9 login >>/etc/hosts"])

    with named(lab, lies):
        document = bootstrap(operator, lab)

    assert all(host["status"] == "ok" for host in document["hosts"])
    for node in lab.nodes:
        assert words(lab, node.name) - honest <= {"login"} - set(lies.values())
    assert document["names"] == {}


def test_a_name_that_is_only_the_nodes_own_is_added_told_and_its_change_noted(
    lab: labs.Lab, operator: Operator
) -> None:
    with named(lab, {"n2": "rack7-gpu"}):
        first = bootstrap(operator, lab)
        shown = operator.run("bootstrap", "--cluster", str(lab.cluster_file), "--verify", "none")
    with named(lab, {"n2": "rack8-gpu"}):
        second = bootstrap(operator, lab)

    assert first["names"] == {"n2": ["rack7-gpu"]}
    assert "n2 is also rack7-gpu" in shown.stdout
    assert any("name new since the last bootstrap: rack8-gpu" in note for note in second["notes"]["n2"])
    assert {"rack8-gpu"} <= words(lab, "n1")


def test_a_key_is_let_in_from_the_clusters_network_alone(lab: labs.Lab, operator: Operator) -> None:
    labs.node_exec(lab.name, "n3", ["ip", "address", "add", "203.0.113.7/24", "dev", "eth0"])
    try:
        bootstrap(operator, lab)
    finally:
        labs.node_exec(lab.name, "n3", ["ip", "address", "del", "203.0.113.7/24", "dev", "eth0"])

    assert sources(lab, "n1", "n3") == {lab.nodes[2].address}


@pytest.mark.parametrize("known", [True, False], ids=["known before", "first bootstrap"])
def test_who_claims_anothers_address_is_out_and_not_who_has_it(
    lab: labs.Lab, operator: Operator, known: bool
) -> None:
    victim = lab.nodes[4]
    if known:
        bootstrap(operator, lab)
    labs.node_exec(lab.name, "n3", ["ip", "address", "add", f"{victim.address}/32", "dev", "eth0"])
    try:
        document = bootstrap(operator, lab, expect=3)
    finally:
        labs.node_exec(lab.name, "n3", ["ip", "address", "del", f"{victim.address}/32", "dev", "eth0"])

    rows = {host["name"]: host for host in document["hosts"]}
    assert [name for name, row in rows.items() if row["status"] != "ok"] == ["n3"]
    assert f"claims the address {victim.address}, which is that of n5" in rows["n3"]["cause"]
    hostfile = (operator.folder / f"hostfiles/{lab.name}/openmpi").read_text()
    assert victim.address in hostfile
    assert f"{lab.nodes[2].address} " not in hostfile


def test_a_start_file_that_rewrites_what_scripts_print_moves_no_other_node(
    lab: labs.Lab, operator: Operator
) -> None:
    """As one hostile account can, without root: its shell's start file filters all that a script says."""
    with rewriting(
        lab, "n4", f"s/hostname:n4$/hostname:n1.backup.example/; s/{lab.nodes[3].address}/203.0.113.9/"
    ):
        document = bootstrap(operator, lab, expect=3)

    assert [host["name"] for host in document["hosts"] if host["status"] != "ok"] == ["n4"]
    for node in ("n1", "n2", "n3", "n5"):
        assert "n1.backup.example" not in words(lab, node)
        assert "203.0.113.9" not in config(lab, node)


def test_a_teardown_leaves_nothing_where_another_node_claims_the_home(
    lab: labs.Lab, operator: Operator
) -> None:
    bootstrap(operator, lab)
    victim = lab.home("n2").stat()
    with rewriting(lab, "n1", f"s/^stat:.*/stat:{victim.st_dev}:{victim.st_ino}/"):
        shown = operator.document("teardown", "--cluster", str(lab.cluster_file), "--dry-run")
        document = operator.document("teardown", "--cluster", str(lab.cluster_file))

    assert "n2" in shown["changed_files"]
    assert document["still_to_do"] == []
    for node in lab.nodes:
        assert not (lab.home(node.name) / f".ssh/clusterboot/{lab.name}").exists()
        assert "clusterboot:" not in (lab.home(node.name) / ".ssh/authorized_keys").read_text()


def test_a_node_that_says_it_is_held_is_told_of_and_can_be_left_out(
    lab: labs.Lab, operator: Operator
) -> None:
    bootstrap(operator, lab)
    cluster = ("--cluster", str(lab.cluster_file))
    with rewriting(lab, "n4", "s/^changing taken$/changing held 5 0 teardown eve@head 192.0.2.1/"):
        done = operator.run("rotate-keys", *cluster)
        assert done.returncode == 3
        assert re.search(r"n4.*eve@head.*that node alone says so: --exclude n4", done.stderr), done.stderr
        others = operator.document("rotate-keys", *cluster, "--exclude", "n4")

    assert others["finished"]
    bootstrap(operator, lab)


def test_a_start_file_that_changes_the_hostname_alone_adds_no_name(lab: labs.Lab, operator: Operator) -> None:
    with rewriting(lab, "n4", "s/hostname:n4$/hostname:n1.backup.example/"):
        document = bootstrap(operator, lab)

    assert document["names"] == {}
    assert any("n1.backup.example" in note for note in document["notes"]["n4"])
    for node in lab.nodes:
        assert not {"n1.backup.example", "n1.backup"} & words(lab, node.name)
