"""Faults of the way in are what they say to OpenSSH's own client, and leave nothing behind."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from patience import HANGS_S

from clusterboot import lab as labs
from clusterboot.inventory.loader import load
from clusterboot.lab.faults.ways_in import WAY_IN_FAULTS

pytestmark = pytest.mark.lab

# Everything that such a fault touches: settings, PAM's files, users, mounts, and what listens.
_LOOK = """\
for file in /etc/ssh/* /etc/pam.d/* /etc/passwd /etc/shadow /run/lab/*.so; do
    [ ! -f "$file" ] || { stat -c '%n %a %u %g' "$file"; cksum < "$file"; }
done
cat /proc/self/mounts
"""
# The outer machine's, which no fault of a lab may touch.
_OUTSIDE = ("/etc/pam.d", "/etc/pam.d/sshd", "/etc/ssh", "/etc/ssh/sshd_config", "/etc/passwd", "/etc/shadow")

_ASKPASS = """\
#!/bin/sh
printf '%s\\n' "$1" >>"$ASKED"
case $1 in
*code*) cat "$CODE" ;;
*) cat "$PASSWORD" ;;
esac
"""


class Client:
    """The ``ssh`` of an operator who has the lab's keys, and a program that answers what is asked."""

    def __init__(self, lab: labs.Lab, folder: Path) -> None:
        self._lab, self._folder = lab, folder
        # In a file, and not among the words: ssh tells its own clients for gateways no more than that.
        settings = (
            f"UserKnownHostsFile {lab.folder / 'known_hosts'}",
            *("GlobalKnownHostsFile /dev/null", "StrictHostKeyChecking yes", "NumberOfPasswordPrompts 1"),
            *("IdentitiesOnly yes", "IdentityAgent none", f"IdentityFile {lab.folder / 'head_key'}"),
            *(f"IdentityFile {lab.folder / 'node_key'}", f"User {lab.user}"),
        )
        self.config = folder / "config"
        self.config.write_text("".join(f"{line}\n" for line in settings))
        helper = folder / "askpass"
        helper.write_text(_ASKPASS)
        helper.chmod(0o700)
        self._env = {"PATH": os.environ["PATH"], "SSH_ASKPASS": str(helper), "SSH_ASKPASS_REQUIRE": "force"}

    def answers(self, machine: str, fault: str) -> dict[str, str]:
        """Give the files in which the answers to a fault's questions are."""
        folder = self._lab.folder / machine / "etc/ssh"
        return {"PASSWORD": f"{folder / fault}.password", "CODE": f"{folder / fault}.code"}

    def hostname(
        self, *words: str, answers: dict[str, str] | None = None
    ) -> tuple[subprocess.CompletedProcess[str], list[str]]:
        """Have a host say its name; beside it comes what was asked."""
        asked = self._folder / "asked"
        asked.write_text("")
        done = subprocess.run(
            ["ssh", "-F", str(self.config), *words, "hostname"],
            env={**self._env, "ASKED": str(asked), **(answers or {})},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=HANGS_S,
            check=False,
        )
        return done, asked.read_text().splitlines()


@pytest.fixture(scope="module")
def trio(module_lab: Callable[..., labs.Lab]) -> labs.Lab:
    return module_lab(nodes=3)


@pytest.fixture
def broken(trio: labs.Lab) -> Iterator[labs.Lab]:
    """The lab, mended afterwards."""
    yield trio
    for machine in trio.machines:
        labs.mend(trio.name, machine.name)


@pytest.fixture
def client(broken: labs.Lab, tmp_path: Path) -> Client:
    return Client(broken, tmp_path)


def look(lab: labs.Lab) -> list[str]:
    """Show a lab as its head and its first node see it, and which files it has."""
    inside = [labs.node_exec(lab.name, name, ["sh", "-c", _LOOK]).stdout for name in ("head", "n1")]
    return [*inside, *sorted(f"{path} {path.lstat().st_mode:o}" for path in lab.folder.rglob("*"))]


def outside() -> list[tuple[int, int, int]]:
    return [(found.st_ino, found.st_mode, found.st_mtime_ns) for found in map(os.lstat, _OUTSIDE)]


@pytest.mark.parametrize(
    ("fault", "takes_prompts"),
    [
        ("head-password", ("password", "password")),
        ("head-otp", ("keyboard-interactive", "Password", "One-time code")),
    ],
)
def test_a_head_that_asks_lets_in_who_answers_all_of_it(
    broken: labs.Lab, client: Client, tmp_path: Path, fault: str, takes_prompts: tuple[str, ...]
) -> None:
    takes, *prompts = takes_prompts
    labs.break_node(broken.name, "head", fault)
    head, answers = str(broken.head_address), client.answers("head", fault)
    wrong = tmp_path / "wrong"
    wrong.write_text("wrong\n")

    by_key, _ = client.hostname("-o", "BatchMode=yes", head)
    let_in, asked = client.hostname(head, answers=answers)

    assert f"Permission denied ({takes})." in by_key.stderr
    assert let_in.stdout == "head\n", let_in.stderr
    for prompt, end in zip(asked, prompts, strict=True):
        assert prompt.rstrip(": ").endswith(end), prompt
    for one in list(answers)[: len(prompts)]:
        refused, _ = client.hostname(head, answers={**answers, one: str(wrong)})
        assert f"Permission denied ({takes})." in refused.stderr, one


def test_no_user_of_a_machine_reads_what_it_asks_for(broken: labs.Lab, client: Client) -> None:
    labs.break_node(broken.name, "head", "head-otp")

    for path in map(Path, client.answers("head", "head-otp").values()):
        assert path.stat().st_mode & 0o777 == 0o600
        argv = ["cat", f"/etc/ssh/{path.name}"]
        assert labs.node_exec(broken.name, "head", argv, "ubuntu").returncode != 0


def test_a_head_behind_a_proxy_command_is_reached_by_that_alone(broken: labs.Lab, client: Client) -> None:
    labs.break_node(broken.name, "head", "head-by-proxycommand")
    head = str(broken.head_address)

    dialled, _ = client.hostname(head)
    with client.config.open("a") as config:
        config.write((broken.folder / "head.ssh_config").read_text())
    relayed, _ = client.hostname(head)
    onward, _ = client.hostname("-J", head, "n1")

    assert "Connection refused" in dialled.stderr
    assert relayed.stdout == "head\n", relayed.stderr
    assert onward.stdout == "n1\n", onward.stderr


def test_a_middle_hop_wants_a_password_between_two_that_want_none(broken: labs.Lab, client: Client) -> None:
    labs.break_node(broken.name, "n2", "middle-hop:n3")

    (host,) = load(broken.folder / "through-n2.yaml").hosts
    hops = [login.hostname for login in host.via]
    reached, asked = client.hostname("-J", ",".join(hops), "n1", answers=client.answers("n2", "middle-hop"))

    assert hops == [str(broken.head_address), *(node.address for node in broken.nodes[1:])]
    assert reached.stdout == "n1\n", reached.stderr
    assert len(asked) == 1
    assert hops[1] in asked[0]


@pytest.mark.long
def test_each_is_mended_whole_and_touches_nothing_outside(broken: labs.Lab) -> None:
    machine, before = outside(), look(broken)

    for fault, kind in WAY_IN_FAULTS.items():
        for node in ("head", "n1"):
            labs.break_node(broken.name, node, fault + (":n2" if kind.paired else ""))
            assert look(broken) != before, fault
            labs.mend(broken.name, node)
            assert look(broken) == before, fault

    for fault, kind in WAY_IN_FAULTS.items():
        labs.break_node(broken.name, "n1", fault + (":n2" if kind.paired else ""))
    assert len(labs.mend(broken.name, "n1")) == len(WAY_IN_FAULTS)
    assert look(broken) == before
    assert outside() == machine


def test_a_lab_with_them_goes_down_whole(make_lab: Callable[..., labs.Lab]) -> None:
    lab = make_lab(nodes=1)
    for fault, kind in WAY_IN_FAULTS.items():
        labs.break_node(lab.name, "head", fault + (":n1" if kind.paired else ""))

    labs.down(lab.name)

    assert not lab.folder.exists()
    assert str(lab.folder) not in Path("/proc/self/mounts").read_text()
