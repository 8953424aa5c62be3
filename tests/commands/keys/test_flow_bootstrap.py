from __future__ import annotations

import hashlib
from collections.abc import Callable

import pytest

from clusterboot import lab as labs
from operator_fixture import Operator

pytestmark = pytest.mark.lab


def snapshot(lab: labs.Lab) -> dict[str, tuple[str, int, int, int]]:
    """Everything below every node's home: content, time, inode and mode."""
    found = {}
    for node in lab.nodes:
        home = lab.home(node.name)
        for path in [home, *home.rglob("*")]:
            stat = path.lstat()
            content = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""
            found[f"{node.name}:{path}"] = (content, stat.st_mtime_ns, stat.st_ino, stat.st_mode)
    return found


def contents(lab: labs.Lab) -> dict[str, str]:
    return {path: entry[0] for path, entry in snapshot(lab).items()}


def test_bootstrap_twice_then_teardown_leaves_the_nodes_as_they_were(
    make_lab: Callable[..., labs.Lab], operator: Operator
) -> None:
    lab = make_lab(nodes=8)
    before = contents(lab)
    cluster = ("--cluster", str(lab.cluster_file))

    first = operator.document("bootstrap", *cluster)
    assert [(host["name"], host["status"], host["changed"]) for host in first["hosts"]] == [
        (f"n{number}", "ok", True) for number in range(1, 9)
    ]
    after_first = snapshot(lab)

    second = operator.document("bootstrap", *cluster)
    assert {(host["status"], host["changed"]) for host in second["hosts"]} == {("ok", False)}
    assert second["changed_files"] == {}
    assert snapshot(lab) == after_first

    # Every ordered pair: by name and by address in turn, and from the first node by both.
    for number, node in enumerate(lab.nodes):
        ways = [(other.name, other.address)[(number + at) % 2] for at, other in enumerate(lab.nodes)]
        expected = [other.name for other in lab.nodes]
        if number == 0:
            ways += [(other.address, other.name)[at % 2] for at, other in enumerate(lab.nodes)]
            expected *= 2
        loop = f"for other in {' '.join(map(str, ways))}; do ssh $other hostname || exit 1; done"
        asked = operator.ssh(lab.name, node.name, loop)
        assert (asked.returncode, asked.stdout.split(), asked.stderr) == (0, expected, "")

    torn = operator.document("teardown", *cluster)
    assert {(host["status"], host["changed"]) for host in torn["hosts"]} == {("ok", True)}
    assert contents(lab) == before
    for node in lab.nodes:
        left = labs.node_exec(lab.name, node.name, ["ps", "-u", "ubuntu", "-o", "args="]).stdout
        assert "clusterboot" not in left

    again = operator.document("teardown", *cluster)
    assert {(host["status"], host["changed"]) for host in again["hosts"]} == {("ok", False)}


def test_a_node_that_is_down_costs_only_itself(make_lab: Callable[..., labs.Lab], operator: Operator) -> None:
    lab = make_lab(nodes=4)
    labs.break_node(lab.name, "n3", "sshd-stopped")
    said = operator.document("bootstrap", "--cluster", str(lab.cluster_file), expect=3)
    hosts = {host["name"]: host for host in said["hosts"]}
    assert [hosts[name]["status"] for name in ("n1", "n2", "n4")] == ["ok"] * 3
    assert (hosts["n3"]["status"], hosts["n3"]["stage"]) == ("unreachable", "connect")
    assert "refused" in hosts["n3"]["cause"]
    assert hosts["n3"]["remedy"]
    folder = operator.folder / "hostfiles" / lab.name
    assert (folder / "excluded").read_text().startswith("n3: connect: ")
    assert len((folder / "openmpi").read_text().splitlines()) == 3

    labs.mend(lab.name, "n3")
    back = operator.document("bootstrap", "--cluster", str(lab.cluster_file))
    assert {host["status"] for host in back["hosts"]} == {"ok"}
    assert operator.ssh(lab.name, "n1", "ssh n3 hostname").stdout == "n3\n"

    # Away again, it stays trusted: its lines are on the others' files as they were.
    before = snapshot(lab)
    labs.break_node(lab.name, "n3", "sshd-stopped")
    operator.document("bootstrap", "--cluster", str(lab.cluster_file), expect=3)
    assert snapshot(lab) == before


def test_nodes_that_share_a_home_share_one_key(make_lab: Callable[..., labs.Lab], operator: Operator) -> None:
    lab = make_lab(nodes=3, shared_home=True)
    before = contents(lab)
    cluster = ("--cluster", str(lab.cluster_file))
    said = operator.document("bootstrap", *cluster)
    assert said["shared_homes"] == [["n1", "n2", "n3"]]
    for source in ("n1", "n2", "n3"):
        for target in ("n1", "n2", "n3"):
            assert operator.ssh(lab.name, source, f"ssh {target} hostname").stdout == f"{target}\n"
    second = operator.document("bootstrap", *cluster)
    assert {host["changed"] for host in second["hosts"]} == {False}
    operator.document("teardown", *cluster)
    assert contents(lab) == before


def test_a_plain_fleet_file_with_other_ports_and_users(
    make_lab: Callable[..., labs.Lab], operator: Operator
) -> None:
    lab = make_lab(nodes=3)
    run = lambda *argv: labs.node_exec(lab.name, "n2", argv)  # noqa: E731
    run("/usr/sbin/sshd", "-p", "2222").check_returncode()
    key = lab.folder / "node_key"
    operator.write(
        "fleet.dstack.yml",
        f"""type: fleet
name: private-fleet
placement: cluster
ssh_config:
  user: ubuntu
  identity_file: {key}
  hosts:
    - n1
    - hostname: n2
      port: 2222
    - hostname: n3
      internal_ip: {lab.nodes[2].address}
  proxy_jump:
    hostname: {lab.head_address}
    user: ubuntu
    identity_file: {lab.folder / "head_key"}
""",
    )
    refused = operator.document("bootstrap", expect=5)
    assert {host["status"] for host in refused["hosts"]} == {"untrusted"}
    said = operator.document("bootstrap", "--accept-new")
    assert {host["status"] for host in said["hosts"]} == {"ok"}
    # What was accepted once is pinned: nothing has to be accepted again.
    operator.document("bootstrap")
    for source, target in (("n1", "n2"), ("n3", "n2"), ("n2", "n1")):
        assert operator.ssh("private-fleet", source, f"ssh {target} hostname").stdout == f"{target}\n"
    tested = operator.document("nccl-test", "-b", "1K", "-e", "1K", "-n", "1", "-w", "0")
    assert [rank["host"] for rank in tested["tests"][0]["ranks"]] == ["n1", "n2", "n3"]


def test_a_changed_host_key_is_refused_before_any_login(
    make_lab: Callable[..., labs.Lab], operator: Operator
) -> None:
    lab = make_lab(nodes=2)
    text = lab.cluster_file.read_text()
    known = (lab.folder / "known_hosts").read_text().splitlines()
    swapped = [line.replace("n2", "nX").replace("n1", "n2").replace("nX", "n1") for line in known]
    operator.write("known_hosts", "\n".join(swapped) + "\n")
    operator.write("cluster.yaml", text.replace(str(lab.folder / "known_hosts"), "known_hosts"))
    said = operator.document("bootstrap", "--accept-new", expect=5)
    assert {(host["status"], host["stage"]) for host in said["hosts"]} == {("untrusted", "hostkey")}
    assert f"{operator.folder / 'known_hosts'}:" in said["hosts"][0]["cause"]
