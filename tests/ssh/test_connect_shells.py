"""Start-up files that leave jobs behind do not hold an answer back; hostile ones cannot forge one."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from connect_helpers import Way, echo, error_of, said  # type: ignore[import-not-found]

from clusterboot.nodes.sessions import Session

pytestmark = [pytest.mark.lab, pytest.mark.usefixtures("no_threads_left")]


@pytest.fixture
def with_start_up(sshd: Callable[..., Any], tmp_path: Path) -> Callable[[str], Any]:
    """Start an sshd whose account has this as its .bashrc."""

    def start(text: str) -> Any:
        server = sshd()
        (server.log.parent / ".bashrc").write_text(text)
        return server

    return start


JOBS = [
    "sleep 1 &",  # holds the channel open
    "{ while echo noise; do sleep 0.01; done; } & job=$!; { sleep 1; kill $job; } &",  # and talks on
    "trap 'echo bye' EXIT",
    "echo noise >&2; printf 'no newline'",
    "stty erase x 2>&1",
]


@pytest.mark.parametrize("text", JOBS)
def test_what_a_start_up_file_leaves_behind_does_no_harm(
    way: Way, with_start_up: Callable[[str], Any], text: str
) -> None:
    server = with_start_up(text)

    said = way.fleet(known=server.known()).each([server.host], echo)["node"]

    # What a job says while a section runs cannot be told from the section's own words.
    assert str(said).replace("noise\n", "") == "hello\n"


LIES = [
    ("cat >/dev/null", r"the login shell began nothing within 3 s", 3),
    (
        "read -r line; read -r line; printf '%s' \"$line\"; exit 0",
        r"ended before it ran anything|cut off",
        None,
    ),
    (
        # Reads the script, finds the nonce, and says that all is over.
        "while read -r b; do n=${b##* }; case $b in *begin*) break;; esac; done;"
        " printf '\\n%s begin\\n\\n%s end\\n' $n $n; exit 0",
        r"cut off",
        None,
    ),
    ("exec sleep 3600", r"the login shell began nothing within 3 s", 3),
    ("exec yes", r"printed more than 16 MiB", None),
]


@pytest.mark.parametrize(("text", "cause", "waits_s"), LIES)
def test_a_start_up_file_that_lies_costs_its_own_host_alone(
    way: Way, with_start_up: Callable[[str], Any], text: str, cause: str, waits_s: float | None
) -> None:
    liar, honest = with_start_up(text), with_start_up("")
    hosts = [liar.host, type(honest.host)("honest", honest.login)]

    def work(session: Session) -> str:
        return session.ask(said("echo", "echo hello", None if session.name == "honest" else waits_s))

    outcomes = way.fleet(known=liar.known() + honest.known()).each(hosts, work)

    assert re.search(cause, error_of(outcomes["node"]).cause), error_of(outcomes["node"]).cause
    assert outcomes["honest"] == "hello\n"
