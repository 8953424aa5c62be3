"""Root's part in host certificates cut off at each of its steps, and shared with another user's cluster."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from clusterboot import lab as labs
from operator_fixture import Operator

pytestmark = [pytest.mark.lab, pytest.mark.slow]

CERTIFICATE = "etc/ssh/clusterboot-{name}-cert.pub"
PIECE = "etc/ssh/sshd_config.d/60-clusterboot-{name}.conf"
STEPS = (
    *(f"{step}:{CERTIFICATE}" for step in ("begun", "beside", "written", "synced", "renamed")),
    "trial",
    *(f"{step}:{PIECE}" for step in ("begun", "beside", "written", "synced", "renamed")),
    "configured",
    "reloaded",
    "proven",
)
REMOVAL_STEPS = ("unconfigured", "unloaded")

# bash reads it for a command that sshd runs: so the variable reaches the node's script.
_START_UP = '[ ! -f /run/fault ] || export CLUSTERBOOT_FAULT="$(cat /run/fault)"\n'


def contents(lab: labs.Lab) -> dict[str, object]:
    folders = [lab.home(node.name) for node in lab.nodes]
    folders += [lab.folder / node.name / "etc/ssh" for node in lab.nodes]
    return {
        str(path): (path.stat().st_mode, path.stat().st_uid, path.read_bytes() if path.is_file() else b"")
        for folder in folders
        for path in (folder, *folder.rglob("*"))
    }


def kill_at(lab: labs.Lab, step: str | None) -> None:
    argv = ["tee", "/run/fault"] if step else ["rm", "-f", "/run/fault"]
    labs.node_exec(lab.name, "n1", argv, text=(step or "").format(name=lab.name)).check_returncode()


def every_login_works(lab: labs.Lab) -> None:
    for source, target in (("n1", "n2"), ("n2", "n1")):
        argv = ["ssh", "-o", "BatchMode=yes", target, "hostname"]
        done = labs.node_exec(lab.name, source, argv, lab.user)
        assert done.stdout == f"{target}\n", done.stderr


def test_root_killed_at_any_step_locks_nobody_out_and_the_next_run_finishes(
    make_lab: Callable[..., labs.Lab], operator: Operator
) -> None:
    lab = make_lab(nodes=2, user="root")
    for node in lab.nodes:
        (lab.home(node.name) / ".bashrc").write_text(_START_UP)
    before = contents(lab)
    cluster = ("--cluster", str(lab.cluster_file))
    bootstrap = ("bootstrap", "--keys", "ca", "--verify", "none", *cluster)
    for number, step in enumerate(STEPS):
        kill_at(lab, step)
        said = operator.document(*bootstrap)
        assert not said["host_certificates"]["n1"]["installed"], step
        kill_at(lab, None)
        every_login_works(lab)
        # Every other time it is gone on with; else all of it is taken back at once.
        if number % 2:
            said = operator.document(*bootstrap)
            assert said["host_certificates"]["n1"]["installed"], (step, said["host_certificates"])
            every_login_works(lab)
        assert operator.document("teardown", *cluster)["still_to_do"] == [], step
        assert contents(lab) == before, step
    for step in REMOVAL_STEPS:
        operator.document(*bootstrap)
        kill_at(lab, step)
        assert operator.document("teardown", *cluster, expect=3)["still_to_do"] == ["n1"], step
        kill_at(lab, None)
        assert operator.document("teardown", *cluster)["still_to_do"] == [], step
        assert contents(lab) == before, step


# Another user of the nodes, who may become root there as the first one may.
_BOB = """\
echo 'bob:x:1777:1777::/run/bob:/bin/bash' >>/etc/passwd
echo "bob:*:19000:0:99999:7:::" >>/etc/shadow
echo 'bob ALL=(ALL) NOPASSWD: ALL' | tee -a /etc/sudoers >/dev/null
mkdir -p /run/bob/.ssh && cp /home/ubuntu/.ssh/authorized_keys /run/bob/.ssh/
chown -R 1777:1777 /run/bob && chmod -R go= /run/bob
"""


def test_two_users_of_the_same_nodes_do_not_take_each_others_certificates_away(
    make_lab: Callable[..., labs.Lab], operator: Operator, tmp_path_factory: pytest.TempPathFactory
) -> None:
    lab = make_lab(nodes=2)
    before = contents(lab)
    for node in lab.nodes:
        labs.node_exec(lab.name, node.name, ["sh", "-ec", _BOB]).check_returncode()
    bob = Operator(tmp_path_factory.mktemp("bob"))
    text = lab.cluster_file.read_text().replace("user: ubuntu", "user: bob", 1)
    alices, bobs = (("--cluster", str(path)) for path in (lab.cluster_file, bob.write("c.yaml", text)))

    operator.document("bootstrap", "--keys", "ca", *alices)
    with_alices = contents(lab)
    said = bob.document("bootstrap", "--keys", "ca", *bobs)
    for trust in said["host_certificates"].values():
        assert not trust["installed"]
        assert "the user ubuntu has a certificate for a cluster of this name" in trust["reason"]
    assert contents(lab) == with_alices
    every_login_works(lab)
    argv = [
        "runuser",
        "-u",
        "bob",
        "--",
        "env",
        "HOME=/run/bob",
        "ssh",
        "-o",
        "BatchMode=yes",
        "n2",
        "id -un",
    ]
    assert labs.node_exec(lab.name, "n1", argv).stdout == "bob\n"
    assert bob.document("teardown", *bobs)["still_to_do"] == []
    assert contents(lab) == with_alices
    assert operator.document("teardown", *alices)["still_to_do"] == []
    assert contents(lab) == before
