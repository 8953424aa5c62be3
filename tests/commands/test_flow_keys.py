from __future__ import annotations

import hashlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from clusterboot import lab as labs
from clusterboot.commands.bootstrap import bootstrap
from clusterboot.errors import UnreachableError
from clusterboot.inventory.loader import load
from clusterboot.nodes.sessions import Session
from clusterboot.session.context import Context
from clusterboot.trust import change
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


def test_a_change_after_which_nobody_could_log_in_is_rolled_back_on_the_spot(
    make_lab: Callable[..., labs.Lab], operator: Operator, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab = make_lab(nodes=2)
    before = {node.name: (lab.home(node.name) / ".ssh/authorized_keys").read_bytes() for node in lab.nodes}
    log_in = change.log_in_afresh

    def locked_out(session: Session) -> None:
        if session.name == "n2":
            raise UnreachableError("key refused for ubuntu", host="n2", stage="auth", remedy="look there")
        log_in(session)

    monkeypatch.setattr(change, "log_in_afresh", locked_out)
    context = Context(load(lab.cluster_file), operator.folder / "state", operator.folder)
    result = bootstrap(context, "none")
    one, two = result.hosts
    assert (one.status, one.changed) == ("ok", True)
    assert (two.status, two.stage) == ("failed", "keys")
    assert "rolled back" in str(two.cause)
    assert "key refused for ubuntu" in str(two.cause)
    assert (lab.home("n2") / ".ssh/authorized_keys").read_bytes() == before["n2"]
    assert (lab.home("n1") / ".ssh/authorized_keys").read_bytes() != before["n1"]


def test_what_the_user_got_wrong_is_named_and_left(
    make_lab: Callable[..., labs.Lab], operator: Operator
) -> None:
    lab = make_lab(nodes=3)
    broken = b"Host x\n  NoSuchOption yes\n"
    put(lab, "n1", "config", broken)
    cluster = ("--cluster", str(lab.cluster_file))
    said = operator.document("bootstrap", *cluster, expect=3)
    hosts = {host["name"]: host for host in said["hosts"]}
    assert [hosts[name]["status"] for name in ("n1", "n2", "n3")] == ["failed", "ok", "ok"]
    assert "line 2" in hosts["n1"]["cause"]
    assert (lab.home("n1") / ".ssh/config").read_bytes() == broken
    # The same key in a line of the user's own, with other options.
    key = (lab.home("n3") / f".ssh/clusterboot/{lab.name}/id_ed25519.pub").read_text().split()[1]
    own = (lab.home("n2") / ".ssh/authorized_keys").read_bytes()
    line = f"no-pty ssh-ed25519 {key} mine\n".encode()
    put(lab, "n2", "authorized_keys", own + line)
    again = operator.document("bootstrap", *cluster, expect=3)
    assert "has the key of n3" in again["notes"]["n2"][0]
    assert (lab.home("n2") / ".ssh/authorized_keys").read_bytes().endswith(line)


def test_a_teardown_without_a_node_says_so_and_the_next_finishes(
    make_lab: Callable[..., labs.Lab], operator: Operator
) -> None:
    lab = make_lab(nodes=3)
    before = contents(lab)
    cluster = ("--cluster", str(lab.cluster_file))
    operator.document("bootstrap", *cluster)
    labs.break_node(lab.name, "n2", "port-closed")
    first = operator.document("teardown", *cluster, expect=3)
    assert first["still_to_do"] == ["n2"]
    assert {path for path in contents(lab) if path.startswith(("n1:", "n3:"))} == {
        path for path in before if path.startswith(("n1:", "n3:"))
    }
    labs.mend(lab.name, "n2")
    # Only the others are asked for: what is left is remembered all the same.
    assert operator.document("teardown", *cluster, "--exclude", "n2")["still_to_do"] == ["n2"]
    assert operator.document("teardown", *cluster)["still_to_do"] == []
    assert contents(lab) == before
    assert not (Path(operator.folder) / "state/clusterboot" / lab.name / "members.json").exists()


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
