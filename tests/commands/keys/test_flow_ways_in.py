"""Heads that want more than a key: through a master that is open, by askpass, and typed on a terminal."""

from __future__ import annotations

import os
import pty
import re
import select
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from patience import HANGS_S

from clusterboot import lab as labs
from operator_fixture import Operator

pytestmark = [pytest.mark.lab, pytest.mark.long]

_ASKPASS = """\
#!/bin/sh
case $1 in
*code*) cat "$CODE" ;;
*) cat "$PASSWORD" ;;
esac
"""


@dataclass(frozen=True)
class Head:
    """A lab whose way in asks for something.

    ``asks`` is the address that asks, ``takes`` the method that it takes alone, ``answers`` the files with
    what it wants to hear, by what the question has in it.
    """

    lab: labs.Lab
    cluster: Path
    asks: str
    takes: str
    answers: dict[str, Path]
    config: str = ""

    def secret(self, word: str) -> str:
        return self.answers[word].read_text().strip()


def asking_head(lab: labs.Lab, *faults: str) -> Head:
    for fault in faults:
        labs.break_node(lab.name, "head", fault)
    folder = lab.folder / "head/etc/ssh"
    answers = {"assword": folder / f"{faults[0]}.password"}
    if faults[0] == "head-otp":
        answers["code"] = folder / f"{faults[0]}.code"
    takes = "keyboard-interactive" if "code" in answers else "password"
    return Head(lab, lab.cluster_file, str(lab.head_address), takes, answers)


@pytest.fixture(scope="module", params=["head-password", "head-otp", "head-by-proxycommand", "middle-hop"])
def head(request: pytest.FixtureRequest, module_lab: Callable[..., labs.Lab]) -> Head:
    if request.param == "middle-hop":
        lab = module_lab(nodes=10)
        labs.break_node(lab.name, "n9", "middle-hop:n10")
        secret = lab.folder / "n9/etc/ssh/middle-hop.password"
        middle = lab.nodes[8].address
        before = f"Host {middle}\n    ProxyJump {lab.head_address}\n"
        return Head(lab, lab.folder / "through-n9.yaml", middle, "password", {"assword": secret}, before)
    lab = module_lab(nodes=8)
    if request.param == "head-by-proxycommand":
        behind = asking_head(lab, "head-password", request.param)
        return replace(behind, config=(lab.folder / "head.ssh_config").read_text())
    return asking_head(lab, request.param)


@pytest.fixture
def sockets() -> Iterator[Path]:
    """A folder whose name is short enough for a control socket's."""
    with tempfile.TemporaryDirectory(prefix="cb-", dir="/tmp") as folder:
        yield Path(folder)


@pytest.fixture
def client(head: Head, operator: Operator, sockets: Path) -> Path:
    """The operator's own ``~/.ssh/config``, in which masters may be open."""
    lab = head.lab
    own = (
        f"Host *\n    ControlPath {sockets}/%h\n    UserKnownHostsFile {lab.folder / 'known_hosts'}\n"
        f"    User {lab.user}\n    IdentityFile {lab.folder / 'head_key'}\n    NumberOfPasswordPrompts 1\n"
    )
    path = operator.write(".ssh/config", head.config + own)
    path.chmod(0o600)
    return path


@pytest.fixture
def asked(head: Head, operator: Operator) -> dict[str, str]:
    """The environment of somebody who has a program that answers."""
    helper = operator.write("askpass", _ASKPASS)
    helper.chmod(0o700)
    files = {"PASSWORD": head.answers["assword"], "CODE": head.answers.get("code", Path())}
    return {"SSH_ASKPASS": str(helper), **{name: str(path) for name, path in files.items()}}


def test_with_nobody_to_answer_it_is_one_error_that_says_what_is_wanted(
    head: Head, operator: Operator, client: Path
) -> None:
    document = operator.document("bootstrap", "--cluster", str(head.cluster), expect=4)

    ((stage, cause, remedy),) = {(host["stage"], host["cause"], host["remedy"]) for host in document["hosts"]}
    assert len(document["hosts"]) == 8
    assert stage == "gateway"
    assert cause.startswith(f"{head.asks}: ")
    assert head.takes in cause
    assert "ControlPath" in remedy


def test_a_master_that_is_open_is_used_and_left_open(
    head: Head, operator: Operator, client: Path, asked: dict[str, str]
) -> None:
    ssh = ["ssh", "-F", str(client)]
    env = operator.environment(**asked, SSH_ASKPASS_REQUIRE="force")
    quiet = subprocess.DEVNULL
    opened = [*ssh, "-M", "-N", "-f", head.asks]
    subprocess.run(opened, env=env, check=True, stdin=quiet, stdout=quiet, stderr=quiet, timeout=HANGS_S)
    try:
        document = operator.document("bootstrap", "--cluster", str(head.cluster))
        check = subprocess.run([*ssh, "-O", "check", head.asks], capture_output=True, check=False, env=env)
    finally:
        subprocess.run([*ssh, "-O", "exit", head.asks], capture_output=True, check=False, env=env)

    assert {host["status"] for host in document["hosts"]} == {"ok"}
    assert len(document["hosts"]) == 8
    assert check.returncode == 0


def test_a_program_answers(head: Head, operator: Operator, client: Path, asked: dict[str, str]) -> None:
    document = operator.document("bootstrap", "--cluster", str(head.cluster), expect=0, **asked)

    assert {host["status"] for host in document["hosts"]} == {"ok"}
    assert len(document["hosts"]) == 8


def words_of_processes() -> bytes:
    """Read the arguments and the environment of every process that there is."""
    found = b""
    for number in filter(str.isdigit, os.listdir("/proc")):  # noqa: PTH208 - a Path would look at each again
        for name in ("cmdline", "environ"):
            with suppress(OSError):
                found += Path("/proc", number, name).read_bytes()
    return found


def read(terminal: int) -> bytes:
    """Read what comes next on a terminal; nothing once the last process on it has gone."""
    ready, _, _ = select.select([terminal], [], [], HANGS_S)
    assert ready
    # Then a read gives EIO: pty(7).
    with suppress(OSError):
        return os.read(terminal, 65536)
    return b""


def test_who_types_it_is_asked_once_and_what_is_typed_is_found_nowhere(
    head: Head, operator: Operator, client: Path
) -> None:
    argv = [sys.executable, "-m", "clusterboot", "bootstrap", "--cluster", str(head.cluster)]
    child, terminal = pty.fork()
    if child == 0:
        os.chdir(operator.folder)
        os.execve(argv[0], argv, operator.environment(TERM="dumb"))  # noqa: S606 - a test's own argv
    shown, read_up_to, typed = b"", 0, []
    seen_in_processes = b""
    while piece := read(terminal):
        shown += piece
        question = re.search(rb"(assword|code): ?$", shown[read_up_to:])
        if question:
            read_up_to = len(shown)
            typed.append(question[1].decode())
            os.write(terminal, head.secret(typed[-1]).encode() + b"\n")
        if typed:
            seen_in_processes += words_of_processes()
    _, status = os.waitpid(child, 0)
    os.close(terminal)

    assert os.waitstatus_to_exitcode(status) == 0, shown.decode(errors="replace")
    assert typed == list(head.answers), shown.decode(errors="replace")
    left = b"".join(path.read_bytes() for path in operator.folder.rglob("*") if path.is_file())
    for word in head.answers:
        secret = head.secret(word).encode()
        assert secret not in shown
        assert secret not in seen_in_processes
        assert secret not in left
