from __future__ import annotations

import base64
import re
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clusterboot.errors import PartialError
from clusterboot.trust.homes import tagged_lines
from clusterboot.trust.homes.known import Edit, Member, NodeFile, Survey, Terms
from clusterboot.trust.homes.nodeconfig import render_config, render_known_hosts
from clusterboot.trust.plan import HomePlan, distinct_names, plan_homes, prefers_cheap_exchange

GOLDEN = Path(__file__).parent / "golden"
HOST_KEY = b"\0\0\0\x0bssh-ed25519\0\0\0\x20" + b"h" * 32


def member(number: int, **changes: object) -> Member:
    fields: dict[str, object] = {
        "name": f"n{number}",
        "user": "ubuntu",
        "port": 22,
        "address": f"10.1.0.{number}",
        "names": (f"gpu{number}.example.org",),
        "sources": (f"10.1.0.{number}", f"192.168.7.{number}"),
        "public_key": "ssh-ed25519 " + base64.b64encode(f"key {number}".encode()).decode(),
        "host_keys": (HOST_KEY,),
        "key_owner": f"n{number}",
    }
    return Member(**{**fields, **changes})  # type: ignore[arg-type]


MEMBERS = (member(1), member(2, port=2222, user="alice"), member(3))


def file(content: bytes, kind: str = "file", path: str = ".ssh/authorized_keys") -> NodeFile:
    return NodeFile(path, kind, content)  # type: ignore[arg-type]


def new_content(edit: Edit | None, old: bytes) -> bytes:
    return old if edit is None else edit.new


def test_the_nodes_configuration_is_this_text() -> None:
    text = render_config("lab", MEMBERS, cheap_exchange=True)
    assert text == (GOLDEN / "config").read_text(encoding="utf-8")


def test_a_line_in_authorized_keys_is_restricted_tagged_and_bound_to_its_node() -> None:
    edit = tagged_lines.edit_authorized_keys(file(b"", "absent"), "lab", MEMBERS[:1], ())
    assert edit is not None
    assert edit.new.decode() == (
        'restrict,from="10.1.0.1,192.168.7.1,127.0.0.0/8,::1" ssh-ed25519 a2V5IDE= clusterboot:lab:n1\n'
    )


def test_nodes_with_one_key_share_one_line() -> None:
    same = {"public_key": "ssh-ed25519 AAAA", "key_owner": "n1"}
    edit = tagged_lines.edit_authorized_keys(
        file(b"", "absent"), "lab", (member(1, **same), member(2, **same)), ()
    )
    assert edit is not None
    (line,) = edit.new.decode().splitlines()
    assert "10.1.0.1,192.168.7.1,10.1.0.2,192.168.7.2," in line


foreign = st.binary(max_size=400) | st.lists(
    st.sampled_from(
        [
            b"ssh-ed25519 AAAAC3 me@there\n",
            b"# clusterboot:lab:n1 is not a key\n",
            b"ssh-rsa AAAA clusterboot:other:n1\n",
            b"\r\n",
            b"\xff\xfe caf\xe9\r\n",
            b"Host *\n",
            b"no newline",
        ]
    )
).map(b"".join)


@given(foreign)
def test_foreign_bytes_of_authorized_keys_come_back_exactly(content: bytes) -> None:
    edit = tagged_lines.edit_authorized_keys(file(content), "lab", MEMBERS, ())
    assert edit is not None
    assert edit.new.endswith(content)
    assert tagged_lines.edit_authorized_keys(file(edit.new), "lab", MEMBERS, ()) is None
    back = tagged_lines.take_back(file(edit.new), "lab", created=False)
    assert new_content(back, edit.new) == content


@given(foreign)
def test_foreign_bytes_of_config_come_back_exactly(content: bytes) -> None:
    edit = tagged_lines.edit_config(file(content, path=".ssh/config"), "lab")
    assert edit is not None
    assert edit.new.endswith(content)
    assert tagged_lines.edit_config(file(edit.new, path=".ssh/config"), "lab") is None
    back = tagged_lines.take_back(file(edit.new), "lab", created=False)
    assert new_content(back, edit.new) == content


@given(foreign, foreign)
def test_lines_that_somebody_moved_are_found_again(above: bytes, below: bytes) -> None:
    if above and not above.endswith(b"\n"):
        above += b"\n"
    own = "".join(
        tagged_lines.authorized_line("lab", one.public_key, one.key_owner, [one]) for one in MEMBERS
    ).encode()
    back = tagged_lines.take_back(file(above + own + below), "lab", created=False)
    assert new_content(back, above + own + below) == above + below


def test_lines_of_a_host_that_is_away_stay_and_those_of_one_that_left_go() -> None:
    before = tagged_lines.edit_authorized_keys(file(b"", "absent"), "lab", MEMBERS, ())
    assert before is not None
    after = tagged_lines.edit_authorized_keys(file(before.new), "lab", MEMBERS[:1], {"n1", "n2"})
    assert after is not None
    owners = [line.rpartition(":")[2] for line in after.new.decode().splitlines()]
    assert owners == ["n1", "n2"]


def test_a_file_that_bootstrap_made_is_removed_with_its_last_line() -> None:
    made = tagged_lines.edit_authorized_keys(file(b"", "absent"), "lab", MEMBERS, ())
    assert made is not None
    back = tagged_lines.take_back(file(made.new), "lab", created=True)
    assert back is not None
    assert back.remove
    kept = tagged_lines.take_back(file(made.new + b"ssh-rsa AAAA mine\n"), "lab", created=True)
    assert kept is not None
    assert (kept.remove, kept.new) == (False, b"ssh-rsa AAAA mine\n")


def test_a_name_that_two_nodes_have_is_nobodys() -> None:
    twins = (member(1, names=("localhost", "a")), member(2, names=("localhost", "b")))
    assert [one.names for one in distinct_names(twins)] == [("a",), ("b",)]


def test_known_hosts_has_every_host_key_under_the_name_that_config_gives_it() -> None:
    encoded = base64.b64encode(HOST_KEY).decode()
    assert render_known_hosts(MEMBERS[:2]) == f"n1 ssh-ed25519 {encoded}\nn2 ssh-ed25519 {encoded}\n"


@pytest.mark.parametrize(
    ("version", "asks"),
    [
        ("OpenSSH_8.0p1, OpenSSL 1.1.1k", False),
        ("OpenSSH_8.9p1 Ubuntu-3", True),
        ("OpenSSH_9.2p1 Debian-2", True),
        ("OpenSSH_9.9p1", False),
        ("OpenSSH_10.0p2", False),
        (None, False),
    ],
)
def test_a_cheap_exchange_is_asked_for_only_where_the_default_is_dear(
    version: str | None, asks: bool
) -> None:
    assert prefers_cheap_exchange(version) is asks


def survey_of(authorized_keys: NodeFile) -> Survey:
    absent = NodeFile("x", "absent")
    return Survey(MEMBERS[0].public_key, (HOST_KEY,), authorized_keys, absent, absent, absent)


@pytest.mark.parametrize("openssh_kex", [False, True])
def test_key_exchanges_are_cheap_first_or_in_openssh_s_order(tmp_path: Path, openssh_kex: bool) -> None:
    members = [replace(one, prefers_cheap_exchange=True) for one in MEMBERS]
    terms = Terms(openssh_kex=openssh_kex)
    surveys = {"n1": survey_of(file(b""))}
    (found,) = plan_homes("lab", members, surveys, [["n1"]], keep_hosts=(), terms=terms).values()
    assert isinstance(found, HomePlan)
    text = next(edit.insert for edit in found.edits if edit.insert.startswith("# Written by"))
    golden = (GOLDEN / "config").read_text()
    assert text == (golden.replace("  KexAlgorithms ^curve25519-sha256\n", "") if openssh_kex else golden)

    (tmp_path / "config").write_text(text)
    asked, default = (
        subprocess.run(["ssh", "-G", "-F", path, "n2"], capture_output=True, text=True, check=True).stdout
        for path in (tmp_path / "config", "/dev/null")
    )
    theirs = re.search("(?m)^kexalgorithms (.*)$", default)
    ours = re.search("(?m)^kexalgorithms (.*)$", asked)
    assert theirs
    assert ours
    if openssh_kex:
        assert ours[1] == theirs[1]
    else:
        assert ours[1].split(",")[0] == "curve25519-sha256"
        assert set(ours[1].split(",")) == set(theirs[1].split(","))


def test_a_file_in_whose_place_something_else_is_stops_its_home_and_no_other() -> None:
    good = survey_of(file(b""))
    bad = survey_of(NodeFile(".ssh/authorized_keys", "unusable", problem="a FIFO"))
    plans = plan_homes("lab", MEMBERS[:2], {"n1": good, "n2": bad}, [["n1"], ["n2"]], keep_hosts=())
    assert isinstance(plans["n1"], HomePlan)
    assert len(plans["n1"].edits) == 4
    assert isinstance(plans["n2"], PartialError)
    assert "a FIFO" in str(plans["n2"])
