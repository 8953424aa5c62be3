from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from clusterboot import lab as labs
from clusterboot.keys import authority
from operator_fixture import Operator

pytestmark = [pytest.mark.lab, pytest.mark.long]

Seen = dict[str, tuple[object, ...]]


def etc_ssh(lab: labs.Lab, node: str) -> Path:
    return lab.folder / node / "etc/ssh"


def files(lab: labs.Lab, nodes: Iterable[str]) -> dict[str, Path]:
    """Everything in the nodes' homes and in their /etc/ssh."""
    return {
        f"{node}:{path}": path
        for node in nodes
        for folder in (lab.home(node), etc_ssh(lab, node))
        for path in (folder, *folder.rglob("*"))
    }


def contents(lab: labs.Lab) -> dict[str, object]:
    """The same by mode, owner and bytes."""
    found = files(lab, (node.name for node in lab.nodes))
    return {
        name: (path.stat().st_mode, path.stat().st_uid, path.read_bytes() if path.is_file() else b"")
        for name, path in found.items()
    }


def traces(lab: labs.Lab, nodes: Iterable[str]) -> Seen:
    """The same by inode and time of change: two of one file differ if anybody wrote it in between."""
    found = {name: path.stat() for name, path in files(lab, nodes).items()}
    return {name: (stat.st_ino, stat.st_mtime_ns, stat.st_ctime_ns) for name, stat in found.items()}


def own_file(lab: labs.Lab, node: str, name: str) -> str:
    return (lab.home(node) / f".ssh/clusterboot/{lab.name}" / name).read_text()


def log_in(lab: labs.Lab, source: str, target: str) -> str:
    argv = ["ssh", "-o", "BatchMode=yes", target, "hostname"]
    done = labs.node_exec(lab.name, source, argv, "ubuntu")
    return done.stdout.strip() or done.stderr


def test_a_node_that_comes_or_goes_touches_no_other(
    make_lab: Callable[..., labs.Lab], operator: Operator
) -> None:
    lab = make_lab(nodes=4)
    three = ["n1", "n2", "n3"]
    text = lab.cluster_file.read_text()
    clusters = {
        count: operator.write(f"{count}.yaml", text.replace("n[1-4]", f"n[1-{count}]")) for count in (3, 4)
    }
    said = operator.document("bootstrap", "--keys", "ca", "--cluster", str(clusters[3]))
    assert all(state["installed"] for state in said["host_certificates"].values())
    assert own_file(lab, "n1", "known_hosts").count("\n") == 1
    before = traces(lab, three)
    said = operator.document("bootstrap", "--cluster", str(clusters[4]))
    assert {host["name"]: host["changed"] for host in said["hosts"]} == {
        **dict.fromkeys(three, False),
        "n4": True,
    }
    assert traces(lab, three) == before
    for one, other in (("n1", "n4"), ("n4", "n1"), ("n4", "n3")):
        for target in (other, next(str(node.address) for node in lab.nodes if node.name == other)):
            assert log_in(lab, one, target) == other
    operator.document("teardown", "--cluster", str(clusters[4]), "--hosts", "n4")
    said = operator.document("bootstrap", "--cluster", str(clusters[3]))
    assert said["changed_files"] == {}
    assert traces(lab, three) == before
    assert log_in(lab, "n4", "n1") != "n1"


def site_certificate(lab: labs.Lab, node: str, folder: Path) -> None:
    """Have the site's own CA vouch for a node."""
    site = authority.create(folder / "site_ca")
    key = (etc_ssh(lab, node) / "ssh_host_ed25519_key.pub").read_text()
    text = authority.host_certificate(site, "site", node, key, [node], now_s=1_700_000_000, hours=10**5)
    (etc_ssh(lab, node) / "site-cert.pub").write_text(text)
    config = etc_ssh(lab, node) / "sshd_config"
    config.write_text("HostCertificate /etc/ssh/site-cert.pub\n" + config.read_text())


@pytest.mark.slow
def test_where_a_certificate_cannot_be_had_the_host_is_pinned_and_the_summary_says_so(
    make_lab: Callable[..., labs.Lab], operator: Operator, tmp_path: Path
) -> None:
    lab = make_lab(nodes=5)
    cluster = ("--cluster", str(lab.cluster_file))
    config = {node.name: etc_ssh(lab, node.name) / "sshd_config" for node in lab.nodes}
    labs.break_node(lab.name, "n1", "sudo-password")
    # No folder for pieces, and no last newline: the lines go to the top.
    plain = config["n2"].read_text().replace("Include /etc/ssh/sshd_config.d/*.conf\n", "").rstrip("\n")
    config["n2"].write_text(plain)
    site_certificate(lab, "n3", tmp_path)
    # sshd runs on what it read before somebody broke the file.
    config["n4"].write_text(config["n4"].read_text() + "NoSuchOption yes\n")
    before = contents(lab)

    done = operator.run("bootstrap", "--keys", "ca", *cluster)
    assert done.returncode == 0, done.stderr
    lines = [line for line in done.stdout.splitlines() if "pinned one by one" in line]
    assert [line.partition(" pinned")[0] for line in sorted(lines)] == ["Hosts: n1", "Hosts: n3", "Hosts: n4"]
    assert "sudo wants a password there" in done.stdout
    assert "host certificates of the site's own" in done.stdout
    assert "NoSuchOption" in done.stdout
    assert config["n2"].read_text().endswith(plain)
    assert f"HostCertificate /etc/ssh/clusterboot-{lab.name}-cert.pub\n" in config["n2"].read_text()
    after = contents(lab)
    for node in ("n1", "n3", "n4"):
        for path in (etc_ssh(lab, node), *etc_ssh(lab, node).iterdir()):
            assert after[f"{node}:{path}"] == before[f"{node}:{path}"]
    known = own_file(lab, "n5", "known_hosts").splitlines()
    assert sorted({line.split()[0] for line in known}) == ["@cert-authority", "n1", "n3", "n4"]
    for source, target in (("n5", "n1"), ("n1", "n2"), ("n2", "n3"), ("n3", "n4"), ("n4", "n5")):
        assert log_in(lab, source, target) == target

    labs.mend(lab.name, "n1")
    said = operator.document("bootstrap", *cluster)
    assert said["host_certificates"]["n1"] == {"installed": True, "reason": None}
    assert not any(line.startswith("n1 ") for line in own_file(lab, "n5", "known_hosts").splitlines())
    assert log_in(lab, "n5", "n1") == "n1"
    operator.document("teardown", *cluster)
    assert contents(lab) == before


def test_a_certificate_that_root_is_needed_for_is_still_to_do_until_root_is_there(
    make_lab: Callable[..., labs.Lab], operator: Operator
) -> None:
    lab = make_lab(nodes=2)
    cluster = ("--cluster", str(lab.cluster_file))
    before = contents(lab)
    operator.document("bootstrap", "--keys", "ca", *cluster)
    labs.break_node(lab.name, "n2", "sudo-password")
    said = operator.document("teardown", *cluster, expect=3)
    assert said["still_to_do"] == ["n2"]
    assert "its host certificate stays: sudo wants a password" in said["hosts"][1]["cause"]
    labs.mend(lab.name, "n2")
    operator.document("teardown", *cluster)
    assert contents(lab) == before
