"""OpenSSH before 7.3 knows no ``Include``, before 7.2 no ``restrict``: the same, said in other words."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from patience import HANGS_S

from clusterboot.trust.homes.known import Member, NodeFile, Survey, Terms
from clusterboot.trust.plan import HomePlan, lacks_include, lacks_restrict, plan_homes

GOLDEN = Path(__file__).parent / "golden"
USERS = b"Host *\n  User somebody\n  ServerAliveInterval 7\n"


def member(number: int, version: str) -> Member:
    return Member(
        name=f"n{number}",
        user="ubuntu",
        port=22,
        address=f"10.1.0.{number}",
        names=(),
        sources=(f"10.1.0.{number}",),
        public_key=f"ssh-ed25519 AAAA{number}",
        host_keys=(),
        key_owner=f"n{number}",
        lacks_include=lacks_include(version),
        lacks_restrict=lacks_restrict(version),
    )


def edits(version: str, terms: Terms, config: bytes = USERS) -> dict[str, bytes]:
    members = (member(1, version), member(2, "OpenSSH_9.2p1"))
    absent = NodeFile("x", "absent")
    survey = Survey(
        members[0].public_key,
        (),
        NodeFile(".ssh/authorized_keys", "file", b"ssh-rsa AAAA mine\n"),
        NodeFile(".ssh/config", "file", config),
        replace(absent, path=".ssh/clusterboot/lab/config"),
        replace(absent, path=".ssh/clusterboot/lab/known_hosts"),
    )
    made = plan_homes("lab", members, {"n1": survey}, [["n1"]], keep_hosts=(), terms=terms)["n1"]
    assert isinstance(made, HomePlan)
    return {edit.path: edit.new for edit in made.edits}


@pytest.mark.parametrize(
    ("version", "include", "restrict"),
    [
        ("OpenSSH_6.6.1p1, OpenSSL 1.0.1e-fips 11 Feb 2013", True, True),
        ("OpenSSH_7.2p2 Ubuntu-4ubuntu2.10", True, False),
        ("OpenSSH_7.3p1", False, False),
        ("OpenSSH_7.4p1, OpenSSL 1.0.2k-fips  26 Jan 2017", False, False),
    ],
)
def test_what_a_version_lacks_is_known(version: str, include: bool, restrict: bool) -> None:
    assert (lacks_include(version), lacks_restrict(version)) == (include, restrict)


def test_one_tagged_block_stands_for_the_include(tmp_path: Path) -> None:
    new = edits("OpenSSH_6.6.1p1", Terms())[".ssh/config"]
    assert new == (GOLDEN / "config_block").read_bytes() + USERS
    # Once it is there it stays, and this machine's ssh reads all of it as it was meant.
    assert ".ssh/config" not in edits("OpenSSH_6.6.1p1", Terms(), new)
    path = tmp_path / "config"
    path.write_bytes(new)
    for host, user, strict in (("n2", "ubuntu", "true"), ("elsewhere", "somebody", "ask")):
        asked = ["ssh", "-G", "-F", str(path), host]
        said = subprocess.run(
            asked, capture_output=True, text=True, check=True, timeout=HANGS_S
        ).stdout.splitlines()
        assert {f"user {user}", f"stricthostkeychecking {strict}", "serveraliveinterval 7"} <= set(said)


def test_in_a_move_the_block_changes_when_the_new_key_comes_into_use() -> None:
    files = {
        phase: edits("OpenSSH_6.6.1p1", Terms("shared", "ssh-ed25519 AAAAs", "id_shared-1", phase=phase))
        for phase in ("in", "switch", "out")
    }
    assert [".ssh/config" in found for found in files.values()] == [False, True, False]
    assert b"id_shared-1" in files["switch"][".ssh/config"]


@pytest.mark.parametrize("mode", ["per-node", "ca", "shared"])
def test_an_sshd_that_knows_no_restrict_gets_what_it_stands_for(mode: str) -> None:
    identity = "id_shared-1" if mode == "shared" else None
    authority = None if mode == "per-node" else "ssh-ed25519 AAAAx"
    terms = Terms(mode, authority, identity)  # type: ignore[arg-type]
    for version, word in (
        ("OpenSSH_6.6.1p1", b"no-agent-forwarding,no-port-forwarding,no-pty,no-user-rc,no-X11-forwarding,"),
        ("OpenSSH_7.2p2", b"restrict,"),
    ):
        *own, mine = edits(version, terms)[".ssh/authorized_keys"].splitlines()
        assert mine == b"ssh-rsa AAAA mine"
        assert own
        assert all(line.startswith(word) for line in own)
