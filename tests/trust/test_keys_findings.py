from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from clusterboot.nodes.question import Reply
from clusterboot.nodes.script import SectionOutput
from clusterboot.trust import authority, verify
from clusterboot.trust.blaming import by_cause
from clusterboot.trust.verify import LoginFailure

if TYPE_CHECKING:
    from conftest import Home

NAMES = [f"n{number}" for number in range(1, 6)]
TRIED = [(source, target) for source in NAMES for target in NAMES if source != target]

LOGIN = verify.logins("n1", {"n2": "10.1.0.2"})


def failure(source: str, target: str, cause: str = "refused") -> LoginFailure:
    return LoginFailure(source, target, cause, "Connection refused", "start sshd there")


def test_many_failures_with_one_cause_are_one_finding() -> None:
    failed = [failure(source, "n3") for source in NAMES if source != "n3"]
    (found,) = by_cause(failed, TRIED)
    assert (found.kind, found.host, found.cause) == ("target", "n3", "refused")
    assert found.text.startswith("n3 cannot be reached by anyone: nothing listens on its SSH port")
    assert len(found.logins) == 4


def test_a_node_that_reaches_nobody_is_one_finding_and_a_single_pair_stays_a_pair() -> None:
    failed = [failure("n2", target, "filtered") for target in NAMES if target != "n2"]
    failed.append(failure("n4", "n5"))
    source, pair = by_cause(failed, TRIED)
    assert (source.kind, source.host, source.cause) == ("source", "n2", "filtered")
    assert source.text.startswith("n2 reaches nobody: ")
    assert (pair.kind, pair.logins) == ("pair", (("n4", "n5"),))
    assert pair.text.startswith("n4 does not reach n5: ")


def test_one_login_explains_nothing_of_all_others() -> None:
    (found,) = by_cause([failure("n1", "n2")], [("n1", "n2"), ("n1", "n3")])
    assert found.kind == "pair"


def refused(said: str) -> LoginFailure:
    said = f"login 10.1.0.2 255 {said}ubuntu@10.1.0.2: Permission denied (publickey).\n"
    (failure,) = LOGIN.parse(Reply({"keys.verify": SectionOutput(said.encode(), 0)}))
    return failure


HOUR = 3600.0


@pytest.mark.parametrize(
    ("target_ahead_s", "right_ahead_s", "cause", "words"),
    [
        (0.0, 0.0, "auth", "ubuntu@"),
        (9 * HOUR, 9 * HOUR, "auth", "ubuntu@"),
        (-2 * HOUR, 0.0, "clock", "certificate not valid before 2026-03-01T11:00:00"),
        (11 * HOUR, 0.0, "clock", "certificate expired at 2026-03-01T22:00:00"),
        (11 * HOUR, 11 * HOUR, "certificate", "certificate expired at"),
    ],
)
def test_a_refused_certificate_is_read_by_the_clock_of_who_refused_it(
    target_ahead_s: float, right_ahead_s: float, cause: str, words: str
) -> None:
    failure = refused("certificate 2026-03-01T11:00:00 2026-03-01T22:00:00 2026-03-01T12:00:00: ")
    timed = verify.timed(failure, target_ahead_s, right_ahead_s)
    assert timed.cause == cause
    assert timed.text.startswith(words)


def test_a_refused_key_is_nobodys_clocks_fault() -> None:
    assert verify.timed(refused(""), 9e9).cause == "auth"


@pytest.mark.parametrize(
    ("made_hours_ago", "cause", "words"),
    [
        (30.0, "certificate", "certificate expired at"),
        (-3.0, "clock", "certificate not valid before"),
        (1.0, "auth", "Permission denied"),
    ],
)
def test_a_certificate_out_of_its_time_is_named_where_ssh_only_says_permission_denied(
    make_home: Callable[..., Home], made_hours_ago: float, cause: str, words: str
) -> None:
    held = authority.create(Path(make_home("operator").path) / "ca_key")
    node = authority.create(Path(make_home("other").path) / "node")
    home = make_home()
    made_s = time.time() - made_hours_ago * 3600
    certificate = authority.user_certificate(held, "lab", "n1", node.public, ("10.1.0.1",), now_s=made_s)
    (home.path / ".ssh/id-cert.pub").write_text(certificate)
    programs = home.path / "programs"
    programs.mkdir()
    (programs / "ssh").write_text(
        '#!/bin/sh\n[ "$1" = -G ] && echo "identityfile ~/.ssh/id" && exit\n'
        'echo "ubuntu@10.1.0.2: Permission denied (publickey)." >&2\nexit 255\n'
    )
    (programs / "ssh").chmod(0o755)
    path = f"{programs}:{os.environ['PATH']}"
    answer = home.ask(LOGIN.sections, PATH=path)
    (failure,) = map(verify.timed, LOGIN.parse(Reply(answer.sections)))
    assert failure.cause == cause
    assert words in failure.text
