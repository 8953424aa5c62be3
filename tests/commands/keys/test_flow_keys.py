from __future__ import annotations

import hashlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from clusterboot import lab as labs
from operator_fixture import Operator

pytestmark = pytest.mark.lab


def contents(lab: labs.Lab) -> dict[str, str]:
    """Everything below every node's home, by SHA-256."""
    return {
        f"{node.name}:{path}": hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""
        for node in lab.nodes
        for path in lab.home(node.name).rglob("*")
    }


def put(lab: labs.Lab, node: str, name: str, content: bytes) -> None:
    path = lab.home(node) / ".ssh" / name
    path.write_bytes(content)
    labs.node_exec(lab.name, node, ["chown", "ubuntu:", f"/home/ubuntu/.ssh/{name}"]).check_returncode()


def test_a_dry_run_shows_each_distinct_change_once_with_its_hosts_folded(
    make_lab: Callable[..., labs.Lab], operator: Operator
) -> None:
    lab = make_lab(nodes=3)
    keys = lab.home("n2") / ".ssh/authorized_keys"
    put(lab, "n2", "authorized_keys", keys.read_bytes() + b"# somebody's own\n")
    before = contents(lab)
    said = operator.document("bootstrap", "--cluster", str(lab.cluster_file), "--dry-run")
    changes = {change["path"]: change for change in said["changes"]}
    assert len(said["changes"]) == 4
    assert {change["hosts"] for change in said["changes"]} == {"n[1-3]"}
    diff = changes["~/.ssh/authorized_keys"]["diff"].splitlines()
    assert diff[:3] == ["--- ~/.ssh/authorized_keys", "+++ ~/.ssh/authorized_keys", "@@ -0,0 +1,3 @@"]
    assert all(line.startswith("+restrict,from=") for line in diff[3:])
    assert "the-key-that-n1-will-make" in diff[3]
    shown = operator.run("bootstrap", "--cluster", str(lab.cluster_file), "--dry-run").stdout
    assert "# n[1-3]" in shown
    assert "+Include clusterboot/" in shown
    assert contents(lab) == before


def test_a_change_of_mode_that_a_node_cannot_follow_stops_and_says_so_and_goes_on_without_it_if_told_to(
    make_lab: Callable[..., labs.Lab], operator: Operator
) -> None:
    lab = make_lab(nodes=3)
    cluster = ("--cluster", str(lab.cluster_file), "--verify", "none")
    operator.document("bootstrap", *cluster)
    labs.break_node(lab.name, "n2", "keys-immutable")

    done = operator.run("bootstrap", "--keys", "shared", *cluster)

    assert done.returncode == 3, done.stderr
    assert "the change stopped half-way, since n2 could not go along" in done.stdout
    assert "leave it out with --hosts" in done.stdout
    for source, target in (("n1", "n2"), ("n2", "n3"), ("n3", "n1")):
        assert operator.ssh(lab.name, source, f"ssh {target} hostname").stdout == f"{target}\n"
    said = operator.document("bootstrap", *cluster, "--hosts", "n1,n3")
    assert (said["keys"], said["finished"]) == ("shared", True)
    assert operator.ssh(lab.name, "n3", "ssh n1 hostname").stdout == "n1\n"


def test_every_pair_is_tried_and_a_host_that_nobody_reaches_is_one_finding(
    make_lab: Callable[..., labs.Lab], operator: Operator
) -> None:
    lab = make_lab(nodes=3)
    cluster = ("--cluster", str(lab.cluster_file), "--verify", "full")
    said = operator.document("bootstrap", *cluster)
    assert (said["failed_logins"], said["findings"]) == ([], [])
    for other in ("n1", "n2"):
        labs.break_node(lab.name, "n3", f"dead-pair:{other}")
    said = operator.document("bootstrap", *cluster, expect=3)
    assert [host["status"] for host in said["hosts"]] == ["ok", "ok", "failed"]
    assert said["hosts"][2]["cause"].startswith("n3 cannot be reached by anyone: ")
    assert [(found["kind"], found["host"], len(found["logins"])) for found in said["findings"]] == [
        ("target", "n3", 2),
        ("source", "n3", 2),
    ]


def test_two_operators_at_once_both_succeed(
    make_lab: Callable[..., labs.Lab], operator: Operator, tmp_path_factory: pytest.TempPathFactory
) -> None:
    lab = make_lab(nodes=3)
    before = contents(lab)
    other = Operator(tmp_path_factory.mktemp("other"))
    argv = ("bootstrap", "--cluster", str(lab.cluster_file))
    with ThreadPoolExecutor(2) as pool:
        said = list(pool.map(lambda who: who.document(*argv), (operator, other)))
    assert [{host["status"] for host in one["hosts"]} for one in said] == [{"ok"}, {"ok"}]
    assert operator.document(*argv)["changed_files"] == {}
    operator.document("teardown", *argv[1:])
    assert contents(lab) == before
