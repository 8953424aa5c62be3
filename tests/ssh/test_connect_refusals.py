"""Where sshd turns a connection away before its banner: every limit of the sshd that is installed."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from connect_helpers import (  # type: ignore[import-not-found]
    KeyFile,
    Sshd,
    Stub,
    Way,
    echo,
    error_of,
    hold,
    until_logged,
)

from clusterboot.inventory.cluster import Host
from clusterboot.nodes import script
from clusterboot.nodes.question import Reply
from clusterboot.ssh.refusals import REFUSALS, Refusal
from clusterboot.trust import verify

SSHD = shutil.which("sshd", path=os.environ.get("PATH", "") + ":/usr/sbin")
BANNER = b"SSH-2.0-OpenSSH_10.0\r\n"


def known(option: str) -> bool:
    """Say whether the installed sshd has an option."""
    assert SSHD
    said = subprocess.run(
        [SSHD, "-t", "-f", "/dev/null", "-o", option], capture_output=True, text=True, check=False
    )
    return "Bad configuration option" not in said.stderr


# One option each that has sshd turn away whoever comes second.
LIMITS = ["MaxStartups 1:100:1", "PerSourceMaxStartups 1"]


@pytest.mark.parametrize("limit", LIMITS)
def test_a_second_login_at_a_full_sshd_is_told_and_has_a_remedy(
    way: Way, sshd: Callable[..., Sshd], monkeypatch: pytest.MonkeyPatch, limit: str
) -> None:
    monkeypatch.setattr("random.uniform", lambda _low, _high: 0.01)
    server = sshd(limit)
    with socket.create_connection(("127.0.0.1", server.port)) as sitter:
        assert sitter.recv(4) == b"SSH-"
        error = error_of(way.fleet(known=server.known()).each([server.host], echo)["node"])

    (refusal,) = (each for each in REFUSALS if each.words and error.cause.endswith(f"'{each.words}'"))
    assert (error.stage, error.remedy) == ("banner", refusal.remedy)
    assert server.said.count("drop connection #1") == 1 + len(refusal.pauses_s)


# A setting, sshd's words for it in its log, and what is said of the login that meets it. Releases before
# 9.8 do not have the second, those before 9.9 not the third.
REFUSING = [
    ("DenyUsers *", "because listed in DenyUsers", ("auth", "key refused for", "name another user")),
    (
        "PerSourcePenalties authfail:20s min:1s",
        "penalty: failed authentication",
        ("banner", "for now", "PerSourcePenaltyExemptList"),
    ),
    (
        "RefuseConnection yes",
        "administratively prohibited",
        ("auth", "hung up during the login", "RefuseConnection"),
    ),
]


@pytest.mark.parametrize(("setting", "logged", "told"), [each for each in REFUSING if known(each[0])])
def test_a_login_after_a_refused_key_is_told_what_sshd_holds_against_it(
    *,
    way: Way,
    sshd: Callable[..., Sshd],
    key: KeyFile,
    monkeypatch: pytest.MonkeyPatch,
    setting: str,
    logged: str,
    told: tuple[str, str, str],
) -> None:
    monkeypatch.setattr("random.uniform", lambda _low, _high: 0.01)
    server = sshd(setting)
    stranger = Host("node", replace(server.login, identity_files=(key.path,)))
    error_of(way.fleet(known=server.known()).each([stranger], echo)["node"])
    until_logged(server.log, logged)

    error = error_of(way.fleet(known=server.known()).each([server.host], echo)["node"])

    stage, cause, remedy = told
    assert error.stage == stage
    assert cause in error.cause
    assert remedy in (error.remedy or "")


def answers(stub: Callable[..., Stub], folder: Path, *said: bytes) -> tuple[verify.LoginFailure, int]:
    """Have the installed ssh log in, as one node does to another, to a server that says this and hangs up."""

    def behave(conn: socket.socket) -> None:
        for piece in said:
            conn.sendall(piece)
        conn.shutdown(socket.SHUT_WR)
        hold(conn)

    server = stub(behave)
    (folder / "config").write_text(f"Host *\n  Port {server.port}\n  UserKnownHostsFile /dev/null\n")
    (folder / "sleep").write_text("#!/bin/sh\n")
    (folder / "sleep").chmod(0o755)
    question = verify.logins("n1", {"n2": "127.0.0.1"}, config="config")
    done = subprocess.run(
        ["sh", "-s"],
        input=script.render(question.sections, "nonce").encode(),
        env={"PATH": f"{folder}:{os.environ['PATH']}", "HOME": str(folder)},
        capture_output=True,
        check=False,
    )
    sections = script.read(done.stdout, "nonce").sections
    (failure,) = question.parse(Reply(sections))
    return failure, server.connections


@pytest.mark.parametrize("refusal", [each for each in REFUSALS if each.words], ids=lambda each: each.name)
def test_a_node_turned_away_by_another_says_why(
    stub: Callable[..., Stub], tmp_path: Path, refusal: Refusal
) -> None:
    failure, tries = answers(stub, tmp_path, f"{refusal.words}\r\n".encode())
    assert (failure.cause, failure.remedy) == (refusal.name, refusal.remedy)
    assert refusal.words in failure.text
    assert "debug1" not in failure.text
    assert tries == 2


@pytest.mark.parametrize(("said", "tries"), [((), 2), ((BANNER,), 1)], ids=["before", "after the banner"])
def test_only_a_login_cut_off_before_the_banner_is_tried_again(
    stub: Callable[..., Stub], tmp_path: Path, said: tuple[bytes, ...], tries: int
) -> None:
    """A session process that ends early counts as an offence: PerSourcePenalties in sshd_config(5)."""
    failure, connections = answers(stub, tmp_path, *said)
    assert failure.cause == "closed"
    assert "RefuseConnection" in failure.remedy
    assert connections == tries
